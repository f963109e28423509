"""Wakes those who wait for a task to begin or end in this process."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """Signals that a task may have changed since somebody looked, as far as this process knows."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def next_of(self, task_id: str) -> asyncio.Event:
        """An event, set when the task next begins or ends. Get it before looking; keep it while waiting."""
        return self._turns.setdefault(task_id, asyncio.Event())

    def turn(self, task_id: str) -> None:
        """Wake those who wait: the task has begun or ended."""
        if turn := self._turns.pop(task_id, None):
            turn.set()
