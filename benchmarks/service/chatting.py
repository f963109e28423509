"""A client of chat completions that notes when things come, over connections that are kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from benchmarks.service.doors import Door

QUESTION = "How many clips?"
WORD = "yes"
"""What the engine says, again and again; with a space, it is a token."""

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.002


class WrongAnswer(Exception):
    """A door refuses, breaks off, or says something else than the engine."""


@dataclass(slots=True)
class Told:
    """A streamed answer: its text, and the seconds from the request to each piece of it."""

    text: str = ""
    at: list[float] = field(default_factory=list)

    @property
    def first(self) -> float:
        """The seconds to the first piece."""
        return self.at[0]

    @property
    def gaps(self) -> list[float]:
        """The seconds from each piece to the next."""
        return [later - earlier for earlier, later in zip(self.at, self.at[1:], strict=False)]


class Chats:
    """Asks one door the same question again and again, for an answer of so many words."""

    def __init__(self, door: Door, session: aiohttp.ClientSession, words: int) -> None:
        self.door = door
        self._session, self._words = session, words

    async def whole(self) -> float:
        """Ask, and get the answer in one piece: the seconds that it took.

        Raises:
            WrongAnswer: it is not what the engine says.
        """
        began = time.perf_counter()
        async with self._asked(stream=False) as answer:
            body = await answer.read()
        seconds = time.perf_counter() - began
        self._check(json.loads(body)["choices"][0]["message"]["content"])
        return seconds

    async def streamed(self) -> Told:
        """Ask, and get the answer in pieces. Raises as :meth:`whole`."""
        told = Told()
        began = time.perf_counter()
        async with self._asked(stream=True) as answer:
            async for line in answer.content:
                if piece := piece_of(line):
                    told.at.append(time.perf_counter() - began)
                    told.text += piece
        self._check(told.text)
        return told

    @asynccontextmanager
    async def _asked(self, *, stream: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        body = {
            "model": self.door.model,
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": self._words,
            "temperature": 0,
            "stream": stream,
        }
        url = f"{self.door.url}/chat/completions"
        async with self._session.post(url, json=body, headers=self.door.headers) as answer:
            if answer.status != 200:
                raise WrongAnswer(f"{self.door.name}: {answer.status} {await answer.text()}")
            yield answer

    def _check(self, text: str) -> None:
        if text.split() != [WORD] * self._words:
            raise WrongAnswer(f"{self.door.name}: {text!r} instead of {self._words} times {WORD!r}")


def piece_of(line: bytes) -> str:
    """The piece of the answer in a line of a stream; empty if it has none."""
    if not line.startswith(b"data: {"):
        return ""
    choices = json.loads(line[6:]).get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


async def freed(door: Door, engine: str, words: int, *, stream: bool, after: float) -> float:
    """Ask, leave some seconds after the engine has begun, and see for how many it goes on.

    The client has a connection of its own, which it closes.
    """
    async with aiohttp.ClientSession() as watching, aiohttp.ClientSession() as session:
        client = Chats(door, session, words)
        asking = asyncio.create_task(client.streamed() if stream else client.whole(), name="a client")
        await _until_running(watching, engine, 1)
        await asyncio.sleep(after)
        left = time.perf_counter()
        asking.cancel()
        await asyncio.wait([asking])
        return await _until_running(watching, engine, 0) - left


async def _until_running(session: aiohttp.ClientSession, engine: str, calls: int) -> float:
    """Wait until a simulated engine works on so many calls; the moment when it says so.

    Raises:
        TimeoutError: it takes too long.
    """
    url = f"{engine.removesuffix('/v1')}/metrics"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with session.get(url) as answer:
                told = await answer.text()
            if f"vllm:num_requests_running {calls}\n" in told:
                return time.perf_counter()
            await asyncio.sleep(POLL_SECONDS)
