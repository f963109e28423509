"""One life of a simulated engine: what is lost when it dies."""

from __future__ import annotations

import asyncio
import heapq

from workers.engines.simulator.cache import BlockCache


class Batch:
    """The calls that advance together, those that wait for a place, and the cache that they share.

    Args:
        places: calls that advance at the same time; ``math.inf``: no limit.
        cache: the prefix cache.
    """

    def __init__(self, places: float, cache: BlockCache) -> None:
        self.cache = cache
        self.prefill_turn = asyncio.Lock()
        """Whoever holds it computes a prompt."""
        self.running = 0
        """Calls that hold a place."""
        self.decoding = 0
        """Those of them whose prompt has been computed."""
        self.waiting = 0
        """Calls that wait for a place."""
        self.over = False
        """Whether the engine died."""
        self._places = places
        self._queue: list[tuple[float, int, asyncio.Future[bool]]] = []  # heap: -priority, index, admitted?
        self._pauses: set[asyncio.Future[None]] = set()

    async def enter(self, priority: float, index: int) -> bool:
        """Take a place, in order of priority, then of index. Returns False if the engine died instead."""
        if self.running < self._places:
            self.running += 1
            return True
        admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (-priority, index, admitted))
        self.waiting += 1
        try:
            return await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled() and admitted.result():
                self.leave()  # the place came at the very moment the call left
            raise
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Give the place to the next waiting call."""
        self.running -= 1
        while self._queue and self.running < self._places:
            _, _, admitted = heapq.heappop(self._queue)
            if not admitted.done():
                self.running += 1
                admitted.set_result(True)

    async def pause(self, seconds: float | None) -> None:
        """Sleep until the time has passed or the engine has died; None: until it dies."""
        loop = asyncio.get_running_loop()
        pause: asyncio.Future[None] = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _wake, pause)
        self._pauses.add(pause)
        try:
            await pause
        finally:
            self._pauses.discard(pause)
            if timer is not None:
                timer.cancel()

    def end(self) -> None:
        """Let the engine die: wake all calls, so that each finds out."""
        self.over = True
        for pause in self._pauses:
            _wake(pause)
        for _, _, admitted in self._queue:
            if not admitted.done():
                admitted.set_result(False)
        self._queue.clear()


def _wake(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
