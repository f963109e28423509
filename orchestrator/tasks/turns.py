"""Wakes those who wait for a task to begin or end in this process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from weakref import WeakValueDictionary

MANY = 100
"""Beyond so many waits at a time, each is longer, so that looking for changes never fills the process."""


class Turns:
    """Signals that a task may have changed since somebody looked, as far as this process knows."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._waiting = 0

    def next_of(self, task_id: str) -> asyncio.Event:
        """An event, set when the task next begins or ends. Get it before looking; keep it while waiting."""
        return self._turns.setdefault(task_id, asyncio.Event())

    def turn(self, task_id: str) -> None:
        """Wake those who wait: the task has begun or ended."""
        if turn := self._turns.pop(task_id, None):
            turn.set()

    async def wait(self, turn: asyncio.Event, seconds: float) -> None:
        """Wait for such an event, or until it is time to look whether another process changed the task."""
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(turn.wait(), seconds * max(1.0, self._waiting / MANY))
        finally:
            self._waiting -= 1
