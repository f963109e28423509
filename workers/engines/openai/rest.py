"""The rest of a response whose completion is finished: its usage may come in it, and nothing else counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp

from workers.engines.openai.stream import CompletionStream
from workers.errors import WorkerError

_OPEN = 3.0  # seconds to wait for the usage, or for text from a server that gives a reason with every piece
_SETTLED = 0.5  # and for the end of the response alone, so that its connection can be reused


def framed(response: aiohttp.ClientResponse) -> bool:
    """Whether the end of the body can be told from a broken connection."""
    return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers


async def read_rest(response: aiohttp.ClientResponse, stream: CompletionStream, room: int) -> None:
    """Read on after the finish, ``room`` bytes at most, for as long as something may come that counts."""
    clock = asyncio.get_running_loop().time
    since, total = clock(), stream.total
    with suppress(TimeoutError, aiohttp.ClientError, OSError, WorkerError):
        while room > 0:
            async with asyncio.timeout_at(since + (_SETTLED if stream.settled else _OPEN)):
                data = await response.content.readany()
            if not data:
                break
            room -= len(data)
            stream.feed(data)
            if stream.total > total:
                since, total = clock(), stream.total
        stream.end(whole=True)
