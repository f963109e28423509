"""Hears what other processes do to tasks, while somebody here follows one that does not run here."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager

from orchestrator.tasks.containment import is_ending, report
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.turns import Turns
from storage.store import Store

PAUSE_SECONDS = 1.0
"""How long to wait when the store cannot be heard."""

LEAVING_SECONDS = 5.0
"""How long a read of the database may take to end when nobody needs it any more."""


class Hearing:
    """Passes on what the store tells: once for the process, however many follow tasks.

    A task that runs here is left out, since its feed tells the same, and sooner.
    """

    def __init__(self, store: Store, runner: Runner, turns: Turns) -> None:
        self._store = store
        self._runner = runner
        self._turns = turns
        self._blocks = 0
        self._listening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Wake those who wait for a task when another process has changed it, while the block runs."""
        self._blocks += 1
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(
                self._listen(), name="changes of tasks", context=contextvars.Context()
            )
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                listening, self._listening = self._listening, None  # whoever comes meanwhile needs another
                listening.cancel()
                await asyncio.wait([listening], timeout=LEAVING_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._store.changes()) as changes:  # type: ignore[type-var]
                    async for ids in changes:
                        self._pass_on(ids)
            except BaseException as error:
                if is_ending(error):
                    raise
                report("changes of tasks cannot be followed", error)
            await asyncio.sleep(PAUSE_SECONDS)

    def _pass_on(self, ids: Collection[str] | None) -> None:
        if ids is None:
            self._turns.turn_all()
            return
        for task_id in ids:
            if self._runner.feed_of(task_id) is None:
                self._turns.turn(task_id)
