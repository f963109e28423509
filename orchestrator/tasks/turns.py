"""Waking those who wait for a task to begin or to end in this process."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """What may have changed for a task since somebody looked, as far as this process knows."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def next_of(self, task_id: str) -> asyncio.Event:
        """Set when the task next begins or ends. Ask for it before looking, and keep it while waiting."""
        return self._turns.setdefault(task_id, asyncio.Event())

    def turn(self, task_id: str) -> None:
        """The task has begun or ended: let those look again who wait for that."""
        if turn := self._turns.pop(task_id, None):
            turn.set()
