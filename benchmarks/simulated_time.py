"""Runs whose seconds pass at once: loops and journals are told the time of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from tests.workers.virtual_time import VirtualTimeLoop

T = TypeVar("T")

EPOCH = 1_000_000_000.0
"""When simulated time begins, in seconds since 1970."""

TOLD = ("drivers", "executor", "journaling", "received")
"""The modules of the runtime that look at a clock."""


class _Clock:
    """The module ``time``, as far as they use it, by the clock of the running loop."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()

    @staticmethod
    def time() -> float:
        return EPOCH + asyncio.get_running_loop().time()


@contextmanager
def _told() -> Iterator[None]:
    with ExitStack() as stack:
        for module in TOLD:
            stack.enter_context(patch(f"orchestrator.runtime.{module}.time", _Clock))
        yield


def simulated(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in simulated time. Nothing in it may wait for a thread or a socket."""
    with _told(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
