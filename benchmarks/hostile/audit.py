"""What became of all tasks: read from the database and the API once everything has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Connection, text

from benchmarks.hostile.good import good
from benchmarks.hostile.processes import SECRET, Slot
from benchmarks.hostile.traffic import Sent
from orchestrator.tasks.hindsight.verifying import verify
from storage.errors import StorageError
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql.transactions import Database


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of tasks as it is, damaged or not."""

    id: str
    tenant: str
    status: str
    error: Any
    solution: Any
    attempts: int
    finished_at: float | None

    @property
    def code(self) -> str:
        """The code of the error; empty if there is none."""
        return str(self.error.get("code", "")) if isinstance(self.error, dict) else str(self.error or "")

    @property
    def message(self) -> str:
        """What the error says."""
        return str(self.error.get("message", "")) if isinstance(self.error, dict) else ""

    @property
    def answer(self) -> str:
        """The answer; empty if there is none."""
        return str(self.solution.get("answer", "")) if isinstance(self.solution, dict) else ""


async def rows(database: Database) -> dict[str, Row]:
    """All tasks by id. Of what is huge, only the beginning is read."""

    def read(connection: Connection) -> dict[str, Row]:
        columns = "id, tenant, status, attempts, finished_at, substr(error, 1, 100000) AS error"
        query = text(f"SELECT {columns}, substr(solution, 1, 100000) AS solution FROM tasks")  # noqa: S608
        return {
            row.id: Row(
                row.id,
                row.tenant,
                row.status,
                _json(row.error),
                _json(row.solution),
                row.attempts,
                row.finished_at,
            )
            for row in connection.execute(query)
        }

    return await database.read(read)


def _json(column: str | None) -> Any:
    try:
        return None if column is None else json.loads(column)
    except ValueError:
        return column


@dataclass(frozen=True, slots=True)
class Histories:
    """What the journals of good tasks say."""

    finished_twice: list[str]
    differing: Mapping[str, str]


async def histories(url: str, sent: Sequence[Sent]) -> Histories:
    """Read and replay the journals of good tasks."""
    twice: list[str] = []
    unreadable: dict[str, str] = {}
    async with await open_store(url) as store:

        async def journals() -> AsyncIterator[tuple[str, list[Event]]]:
            for task_id in filter(None, (each.task_id for each in sent)):
                try:
                    events = [event async for event in store.read(task_id)]
                except StorageError as error:
                    unreadable[task_id] = str(error)
                    continue
                finishes = [event for event in events if event.type is EventType.RUN_FINISHED]
                if len(finishes) > 1:
                    twice.append(task_id)
                if finishes:  # the others are counted as lost
                    yield task_id, events

        found = await verify(journals(), {good.name: good}.__getitem__)
    return Histories(twice, {**unreadable, **found.differing})


async def listed(session: aiohttp.ClientSession, slots: Sequence[Slot]) -> dict[str, Any] | str:
    """All tasks as the API lists them, page by page; if it does not, why."""
    patience = aiohttp.ClientTimeout(total=60.0)
    found: dict[str, Any] = {}
    page: dict[str, str] = {"limit": "200"}
    slot = next((slot for slot in slots if slot.life is not None), slots[0])
    try:
        while True:
            async with session.get(f"{slot.url}/v1/tasks", params=page, timeout=patience) as response:
                body = await response.json()
                if response.status != 200:
                    return f"{response.status} {body}"
            found |= {task["id"]: task for task in body["tasks"]}
            if body["next"] is None:
                return found
            page["before"] = body["next"]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


async def quoting(database: Database, logs: Path) -> list[str]:
    """Where the key to the engines is written down: rows, and log files under ``logs``."""

    def count(connection: Connection) -> list[str]:
        found = []
        for table, column in (
            ("tasks", "error"),
            ("tasks", "solution"),
            ("events", "data"),
            ("texts", "text"),
        ):
            query = text(f"SELECT count(*) FROM {table} WHERE {column} LIKE :key")  # noqa: S608
            if number := connection.execute(query, {"key": f"%{SECRET}%"}).scalar_one():
                found.append(f"{number} rows of {table}.{column}")
        return found

    def search() -> list[str]:
        files = sorted(logs.rglob("*.log"))
        return [str(file.relative_to(logs)) for file in files if SECRET.encode() in file.read_bytes()]

    return await database.read(count) + await asyncio.to_thread(search)
