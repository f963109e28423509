"""An event loop whose clock jumps to the next timer, so that tests of timing are exact and take no time.

Threads work in real time, so the clock stands still until those that were started have ended.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


STUCK_SECONDS = 10.0
"""Of real time. A thread that has not ended by then never will, and the clock goes on without it."""


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._others = set(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        until = time.monotonic() + STUCK_SECONDS
        while timeout != 0 and not ready and (working := set(threading.enumerate()) - self._others):
            ready = super().select(0.01)
            if time.monotonic() > until:
                self._others |= working
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready and no timer is set")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a virtual clock (``asyncio.get_running_loop().time()``)."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def elapsed(work: Awaitable[object]) -> float:
    """Seconds on the running loop's clock until ``work`` is done."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await work
    return loop.time() - began
