"""Structured concurrency that raises plain errors, and ends that leave nobody waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """An :class:`asyncio.TaskGroup` that raises its first error as it is, not wrapped in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


class Ending(asyncio.Event):
    """An event that ends, when it is set, what goes on under :meth:`until`; that needs no task of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._limits: set[asyncio.Timeout] = set()

    def set(self) -> None:
        """Wake whoever waits for it, and cancel what goes on until then; once more changes nothing."""
        if self.is_set():
            return
        super().set()
        while self._limits:
            self._limits.pop().reschedule(0.0)

    async def until(self, work: Awaitable[T]) -> T | None:
        """What comes of ``work``, which is cancelled if this is set first; then None."""
        limit = asyncio.timeout_at(0.0 if self.is_set() else None)
        try:
            async with limit:
                self._limits.add(limit)
                return await work
        except TimeoutError:
            if limit.expired():
                return None
            raise
        finally:
            self._limits.discard(limit)


def loop_in_thread(name: str) -> asyncio.AbstractEventLoop:
    """An event loop that runs in a thread of its own until it is stopped; it then cancels what is left."""
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:  # whoever waits for one of them would wait for ever
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    threading.Thread(target=run, name=name, daemon=True).start()
    return loop
