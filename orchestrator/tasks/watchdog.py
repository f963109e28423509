"""Notices from a thread of its own that the event loop does not turn, names who blocks it, and ends that."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import structlog

from orchestrator.runtime import interruption
from orchestrator.settings import Settings
from orchestrator.tasks.containment import apart

log = structlog.get_logger()

EX_SOFTWARE = 70
"""The exit code of a process whose event loop stayed blocked."""

LOGGING_SECONDS = 1.0
"""How long the last words may take: whoever should read them may be what blocks the loop."""

DEEPEST = 50
"""How many calls of a stack are shown, from the innermost."""


class Watchdog:
    """Watches the event loop of the current thread.

    It counts its own ticks instead of comparing clocks, so a process that was stopped or a machine that slept
    is not taken for a blocked loop. What it cannot see is code that holds the interpreter's lock all the
    time, because that stops every thread.

    Args:
        settings: ``stuck_seconds`` without a turn are a blocked loop; after ``lease_seconds`` others have
            taken over what runs here.
        end: ends the process.
    """

    def __init__(self, settings: Settings, *, end: Callable[[int], object] = os._exit) -> None:
        self._stuck = settings.stuck_seconds
        self._hopeless = max(settings.lease_seconds, 2 * settings.stuck_seconds)
        self._tick = min(0.5, settings.stuck_seconds / 10)
        self._every = round(self._stuck / self._tick)
        self._end = end
        self._turned = False
        self._silent = 0
        self._calm = 0
        self._reason: str | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def blocked(self) -> str | None:
        """Why the loop cannot be relied on, until it has turned for ``stuck_seconds``; None if it can."""
        return self._reason

    def failed(self) -> str | None:
        """Why nobody watches the loop although somebody should; None if all is well."""
        dead = self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()
        return "the watchdog's thread has ended" if dead else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the loop that runs the block."""
        loop, loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch, args=(loop, loop_thread), name="watchdog", daemon=True
        )
        self._thread.start()
        try:
            with interruption.reachable():
                yield
        finally:
            self._stopping.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
        self._ask(loop)
        while not self._stopping.wait(self._tick):
            with apart("watching the event loop"):
                if self._turned:
                    self._count_turn()
                    self._ask(loop)
                else:
                    self._count_silence(loop_thread)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        def turned() -> None:
            self._turned = True

        self._turned = False
        loop.call_soon_threadsafe(turned)

    def _count_turn(self) -> None:
        """A busy loop may miss some ticks, as long as they are too few to be stuck."""
        calm = self._silent < self._every
        self._calm = self._calm + 1 + self._silent if calm else 0
        self._silent = 0
        if self._calm * self._tick >= self._stuck:
            self._reason = None

    def _count_silence(self, loop_thread: int) -> None:
        self._silent += 1
        if self._silent % self._every:
            return
        seconds = self._silent * self._tick
        stack = _stack(loop_thread)
        planner: str | None = None
        with apart("asking which planner runs"):
            planner = interruption.running(loop_thread)
        culprit = planner or (f"{stack[-1].filename}:{stack[-1].lineno}" if stack else "unknown code")
        self._reason = f"the event loop was blocked for {seconds:.1f} s or more by {culprit}"
        if seconds >= self._hopeless:
            self._give_up(seconds, culprit)
        if planner is not None:
            interruption.interrupt(loop_thread)
        if self._silent == self._every:  # only now: to read the sources takes time while a thread is busy
            told = {"seconds": seconds, "by": culprit, "stack": "".join(stack.format())}
            _say(lambda: log.error("the event loop is blocked", **told))

    def _give_up(self, seconds: float, culprit: str) -> None:
        _say(
            lambda: log.critical(
                "the event loop stays blocked, and the tasks that ran here have been taken over: "
                "this process ends, to be started again",
                seconds=seconds,
                by=culprit,
            )
        )
        self._end(EX_SOFTWARE)


def _stack(thread: int) -> traceback.StackSummary:
    """Where the thread is, innermost call last; its sources are not read yet."""
    calls = islice(traceback.walk_stack(sys._current_frames().get(thread)), DEEPEST)
    frames = [
        traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name, lookup_line=False)
        for frame, line in calls
    ]
    return traceback.StackSummary.from_list(reversed(frames))


def _say(words: Callable[[], object]) -> None:
    """Log something, but do not wait for ever until it is written."""
    saying = threading.Thread(target=words, name="watchdog's words", daemon=True)
    saying.start()
    saying.join(LOGGING_SECONDS)
