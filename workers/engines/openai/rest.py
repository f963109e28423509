"""The rest of a response whose completion is finished: its usage may come in it, and nothing else counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp

from workers.engines.openai.stream import CompletionStream
from workers.errors import WorkerError

_UNCOUNTED = 2.0  # seconds of silence to wait for the usage
_COUNTED = 0.5  # and for the end of the response, so that its connection can be reused
_LONGEST = 10.0  # seconds in all


def framed(response: aiohttp.ClientResponse) -> bool:
    """Whether the end of the body can be told from a broken connection."""
    return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers


async def read_rest(response: aiohttp.ClientResponse, stream: CompletionStream, room: int) -> None:
    """Read on after the finish, ``room`` bytes at most, for as long as something may come."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError, WorkerError):
        async with asyncio.timeout(_LONGEST):
            while room > 0 and not response.content.is_eof():
                silence = _COUNTED if stream.counted or stream.done else _UNCOUNTED
                async with asyncio.timeout(silence):
                    data = await response.content.readany()
                if not data:
                    break
                room -= len(data)
                stream.feed(data)
            stream.end(whole=True)
