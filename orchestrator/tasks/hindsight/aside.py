"""Computes over journals beside the event loop: in threads, a few at a time, and none for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import structlog

from orchestrator.errors import PlannerError, PlannerStuck, Unavailable
from orchestrator.runtime import interruption
from workers.tools.threads import in_thread

log = structlog.get_logger()

G = TypeVar("G")
T = TypeVar("T")

CALLS, RUNS = 1, 2
"""How many threads compute, and how many run planner code, at the same time. All of them share one
interpreter with the event loop, and what they compute on may take much memory."""

WAITING_SECONDS = 60.0
"""How long a caller waits for one of them."""

STUCK_SECONDS = 10.0
"""How long planner code may run in a replay without waiting for anything."""

ENDING_SECONDS = 2.0
"""How long planner code that was interrupted may take to end; it is then left to itself."""


class Aside:
    """A few threads beside the event loop. For use from one event loop.

    What is ``gathered`` in the event loop, such as a journal, is handed to the thread, and gathered only once
    there is a place for it. A thread that cannot be ended keeps its place, so that there are never more. A
    caller that is cancelled does not wait for its thread.
    """

    def __init__(self, *, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._calls = asyncio.Semaphore(CALLS)
        self._runs = asyncio.Semaphore(RUNS)
        self._stuck_seconds = stuck_seconds

    async def call(self, gathered: Callable[[], Awaitable[G]], compute: Callable[[G], T]) -> T:
        """What ``compute`` returns or raises for what was gathered.

        Raises:
            Unavailable: other work has not ended in time.
        """
        leave = await _entered(self._calls)
        resume = _collect_nothing()

        def end() -> None:
            resume()
            leave()

        return await _in_thread(gathered, compute, end)

    async def run(
        self, gathered: Callable[[], Awaitable[G]], make: Callable[[G], Coroutine[Any, Any, T]]
    ) -> T:
        """What the coroutine returns or raises; it runs planner code, in an event loop of its own.

        Raises:
            PlannerStuck: planner code went on and on without waiting for anything.
            PlannerError: planner code tried to end the process.
            Unavailable: other work has not ended in time.
        """
        run = _Run()
        leave = await _entered(self._runs)
        work = asyncio.ensure_future(_in_thread(gathered, lambda given: run.in_own_loop(make(given)), leave))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=self._stuck_seconds / 10)
                if not work.done() and run.silent_seconds() > self._stuck_seconds:
                    await self._end(run, work)
            return await work
        finally:
            run.cancel()
            work.cancel()

    async def _end(self, run: _Run, work: asyncio.Future[Any]) -> None:
        """Interrupt planner code that is stuck.

        Raises:
            PlannerStuck: always.
        """
        code = run.code()
        log.warning("planner code was stuck in a replay", node=code, seconds=self._stuck_seconds)
        until = monotonic() + ENDING_SECONDS
        while not work.done() and monotonic() < until:
            run.interrupt()  # again and again: the code may catch it
            await asyncio.wait([work], timeout=0.1)
        if work.done() and not work.cancelled():
            work.exception()  # whatever it is follows from the interruption
        raise PlannerStuck(
            f"planner code{f' ({code})' if code else ''} ran for {self._stuck_seconds:g} s without waiting "
            "for anything, and was interrupted"
        )


async def _entered(places: asyncio.Semaphore) -> Callable[[], None]:
    """Take a place; returns what gives it back, from whatever thread."""
    try:
        async with asyncio.timeout(WAITING_SECONDS):
            await places.acquire()
    except TimeoutError:
        raise Unavailable(
            "other replays and traces have kept this process busy for too long; try again",
            code="busy",
            http_status=503,
            retryable=True,
        ) from None
    loop = asyncio.get_running_loop()

    def leave() -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(places.release)

    return leave


async def _in_thread(
    gathered: Callable[[], Awaitable[G]], compute: Callable[[G], T], end: Callable[[], None]
) -> T:
    """Compute in a thread, then call ``end`` there."""
    began = False

    def body() -> T:
        nonlocal began
        began = True
        try:
            return compute(given.pop())  # which is freed here as well
        finally:
            end()

    try:
        given = [await gathered()]
    except BaseException:
        end()
        raise
    try:
        return await in_thread(body, "aside")
    except RuntimeError:
        if not began:  # the system has no thread left
            end()
        raise


_collecting = threading.Lock()
_not_collecting = 0


def _collect_nothing() -> Callable[[], None]:
    """Collect no garbage until the returned function is called.

    The values of a journal form no cycles, but to look for garbage among them, many times while they are
    read, takes a tenth of a second each time, in which the event loop stands still.
    """
    global _not_collecting
    with _collecting:
        if not gc.isenabled() and not _not_collecting:
            return lambda: None  # somebody else wants it so
        _not_collecting += 1
        gc.disable()

    def resume() -> None:
        global _not_collecting
        with _collecting:
            _not_collecting -= 1
            if not _not_collecting:
                gc.enable()

    return resume


class _Run:
    """A coroutine that runs in the event loop of a thread, and what is known of it elsewhere."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._beat_at: float | None = None
        self._stop: Callable[[], object] | None = None
        self._cancelled = False

    def in_own_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it. What would end the process becomes a PlannerError: planner code may raise anything."""
        self._thread = threading.get_ident()
        try:
            return asyncio.run(self._watched(work))
        except Exception:
            raise
        except BaseException as error:
            raise PlannerError(f"planner code raised {type(error).__name__}: {error}") from None

    def silent_seconds(self) -> float:
        """For how long its event loop has not had a turn; 0 before it has begun."""
        return 0.0 if self._beat_at is None else monotonic() - self._beat_at

    def code(self) -> str | None:
        """The planner code that runs, for people."""
        return None if self._thread is None else interruption.running(self._thread)

    def interrupt(self) -> None:
        """End the planner code that runs, and what waits for it."""
        self.cancel()
        if self._thread is not None:
            interruption.interrupt(self._thread)

    def cancel(self) -> None:
        """Cancel it as soon as its event loop has a turn, or when it begins."""
        self._cancelled = True
        if self._stop is not None:
            with suppress(RuntimeError):  # it has ended
                self._stop()

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._stop = partial(loop.call_soon_threadsafe, task.cancel)
        if self._cancelled:
            self._stop()
        self._beat_at = monotonic()  # the work may never give the other task a turn
        beating = asyncio.create_task(self._beat(), name="beat")
        try:
            return await work
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._beat_at = monotonic()
            await asyncio.sleep(0.1)
