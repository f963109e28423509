"""SIGTERM and SIGINT to a service: one during the start ends it; later the first drains, the next hurries."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """What this process has been told by signals, and what it does about the next one."""

    def __init__(self, give_up: Callable[[signal.Signals], object]) -> None:
        self.first: signal.Signals | None = None
        self.draining = asyncio.Event()
        self._act = give_up

    def serving(self, hurry: Callable[[], object]) -> None:
        """The start is over: from now on the first signal only sets ``draining``, each other one hurries."""
        self._act = lambda number: self.draining.is_set() and hurry()

    def received(self, number: signal.Signals) -> None:
        """Take note of a signal."""
        self.first = self.first or number
        self._act(number)
        self.draining.set()


@asynccontextmanager
async def obeyed(on_given_up: Callable[[signal.Signals], object]) -> AsyncIterator[Signals]:
    """Obey signals during the block.

    One that comes before :meth:`Signals.serving` is passed to ``on_given_up``, and the block is cancelled.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def give_up(number: signal.Signals) -> None:
        on_given_up(number)
        task.cancel()

    signals = Signals(give_up)
    for number in SIGNALS:
        loop.add_signal_handler(number, signals.received, number)
    try:
        yield signals
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
