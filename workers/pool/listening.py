"""Hears one attempt at a call in a task of its own, so that it can be given up whatever its engine does."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

from workers.calls import Call, Chunk
from workers.contained import end
from workers.contract import name_of, stream, typed
from workers.engine import Engine
from workers.errors import WorkerError

GRACE_SECONDS = 2.0
"""How long an engine may take to abort a call; less than the time for which the pool's caller waits."""

AHEAD = 32
"""How many chunks are read ahead of whoever reads them."""


class Listening:
    """The stream of a call on one engine, as an iterator of chunks that keep to the contract.

    The last chunk ends it. What it raises is a :class:`~workers.errors.WorkerError`.
    """

    def __init__(self, engine: Engine, call: Call) -> None:
        loop = asyncio.get_running_loop()
        self._who = f"a call to {name_of(engine)}"
        self._new_future = loop.create_future
        self._heard: deque[Chunk] = deque()
        self._news: asyncio.Future[None] | None = None  # the reader waits for it
        self._room: asyncio.Future[None] | None = None  # the engine waits for it
        self._over = False
        self._error: WorkerError | None = None
        self._interruption: WorkerError | None = None
        self._task = loop.create_task(self._listen(engine, call), name=self._who)

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> Chunk:
        while not self._heard:
            if self._interruption is not None:
                raise self._interruption
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._news = self._new_future()
            try:
                await self._news
            finally:
                self._news = None
        self._interruption = None  # the chunk came just then
        _tell(self._room)
        return self._heard.popleft()

    def interrupt(self, error: WorkerError) -> None:
        """Raise ``error`` where a chunk is waited for, unless one comes at the same time."""
        self._interruption = error
        _tell(self._news)

    async def aclose(self) -> None:
        """Abort the call unless it has ended; returns when the engine is done, or has had its time."""
        try:
            if self._over and not self._task.done():  # it is closing its stream, and is not to be cut short
                await asyncio.wait([self._task], timeout=GRACE_SECONDS)
        finally:
            if not self._task.done():
                await end(self._task, self._who, GRACE_SECONDS)

    async def _listen(self, engine: Engine, call: Call) -> None:
        try:
            async with aclosing(stream(engine, call)) as chunks:
                async for chunk in chunks:
                    self._heard.append(chunk)
                    self._over = chunk.finish_reason is not None
                    _tell(self._news)
                    if len(self._heard) >= AHEAD and not self._over:
                        self._room = self._new_future()
                        await self._room
        except Exception as error:
            self._error = typed(error, self._who)
        finally:
            self._over = True
            _tell(self._news)


def _tell(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
