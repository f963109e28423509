"""Reads how tasks stand for many who follow them: all who ask at the same time share one query."""

from __future__ import annotations

import asyncio

from orchestrator.tasks.containment import is_ending
from storage.refusals import not_found
from storage.store import Store
from storage.tasks import Task

MOST = 500
"""How many tasks are read at a time."""


class Lookup:
    """Reads tasks from a store. What it gives was read after it was asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, asyncio.Future[Task | BaseException | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, task_id: str) -> Task:
        """The task as it stands.

        Raises:
            TaskNotFound: there is no task with that id.
            StorageError: the database cannot be read.
        """
        told = self._wanted.setdefault(task_id, asyncio.get_running_loop().create_future())
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="look-up of tasks")
        found = await asyncio.shield(told)
        if isinstance(found, BaseException):
            raise found
        if found is None:
            raise not_found(task_id)
        return found

    async def _read(self) -> None:
        while self._wanted:
            await asyncio.sleep(0)  # whoever is about to ask shall not have to wait for the next query
            taken = {task_id: self._wanted.pop(task_id) for task_id in list(self._wanted)[:MOST]}
            try:
                found = {task.id: task for task in await self._store.list(ids=tuple(taken), limit=len(taken))}
            except BaseException as error:
                for told in taken.values():
                    told.set_result(error)
                if is_ending(error):
                    raise
                continue
            for task_id, told in taken.items():
                told.set_result(found.get(task_id))
