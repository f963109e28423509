"""Wakes those who wait for something to happen to a task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from weakref import WeakValueDictionary

from storage.changes import Changes


class Turns:
    """Signals that a task may have changed since somebody looked, as far as this process knows.

    ``changes`` tells the same of all tasks, and of each event of those that run here.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self.changes = Changes()

    def next_of(self, task_id: str) -> asyncio.Event:
        """An event, set when the task next changes. Get it before looking; keep it while waiting."""
        return self._turns.setdefault(task_id, asyncio.Event())

    def turn(self, task_id: str) -> None:
        """Wake those who wait: the task has changed."""
        if turn := self._turns.pop(task_id, None):
            turn.set()
        self.changes.tell((task_id,))

    def turn_all(self) -> None:
        """Wake all who wait: any task may have changed."""
        turns = list(self._turns.values())
        self._turns.clear()
        for turn in turns:
            turn.set()
        self.changes.tell(None)

    async def wait(self, turn: asyncio.Event, seconds: float) -> None:
        """Wait for such an event, or until it is time to look all the same."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await turn.wait()
