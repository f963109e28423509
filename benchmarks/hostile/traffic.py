"""Submits tasks over HTTP at given times, as a patient client does: with a key, until somebody accepts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from benchmarks.hostile import good, rows
from benchmarks.hostile.items import Item
from benchmarks.hostile.processes import Slot
from storage.errors import StorageError
from storage.sql.database import Database

PATIENCE = aiohttp.ClientTimeout(total=5.0)
PAUSE = 0.2
GOOD = "good"


@dataclass
class Sent:
    """Something that was sent: a good task by its number, or something hostile.

    ``due`` is when it was first tried, by ``time.time``. ``refused`` says why it was refused for good.
    """

    what: int | Item
    due: float
    task_id: str | None = None
    refused: str = ""


@dataclass(frozen=True)
class Schedule:
    """When what happens, in seconds from the start: numbers of good tasks, items, and slots to be killed."""

    good: Sequence[tuple[float, int]]
    hostile: Sequence[tuple[float, Item]]
    kills: Sequence[tuple[float, int]]

    @classmethod
    def drawn(
        cls, seed: int, span: float, *, tasks: int, kills: int, processes: int, items: Sequence[Item]
    ) -> Schedule:
        """Good tasks and kills depend on the seed alone. What is deadly comes early, as it takes longest."""
        rng = random.Random(f"good {seed}")
        good_times = sorted(rng.uniform(0.0, span) for _ in range(tasks))
        kill_times = sorted(rng.uniform(0.05, 0.95) * span for _ in range(kills))
        victims = [rng.randrange(processes) for _ in range(kills)]
        hostile = random.Random(f"hostile {seed}")
        thrown = [(hostile.uniform(0.0, 0.3 if item.deadly else 0.9) * span, item) for item in items]
        return cls(
            [(at, number) for number, at in enumerate(good_times)],
            sorted(thrown, key=lambda each: each[0]),
            list(zip(kill_times, victims, strict=True)),
        )


class Clients:
    """Whoever submits: to any of the processes, and to the next one if that does not answer."""

    def __init__(
        self, session: aiohttp.ClientSession, database: Database, slots: Sequence[Slot], run: str, seed: int
    ) -> None:
        self._session = session
        self._database = database
        self._slots = slots
        self._run = run
        self._rng = random.Random(f"clients {seed}")

    async def ask(self, sent: Sent) -> None:
        """Submit a good task."""
        assert isinstance(sent.what, int)
        body = {"query": good.question(sent.what), "planner": good.good.name, "seed": sent.what}
        await self._submit(sent, {**body, "tenant": GOOD}, f"{self._run} {sent.what}")

    async def throw(self, sent: Sent) -> None:
        """Submit something hostile, or write it into the database."""
        assert isinstance(sent.what, Item)
        if sent.what.request is not None:
            await self._submit(sent, sent.what.request, f"{self._run} {sent.what.full_name}")
            return
        while sent.task_id is None:
            try:
                sent.task_id = await rows.throw(self._database, sent.what.name)
            except StorageError:  # such as a file that is locked by a process that is stuck
                await asyncio.sleep(PAUSE)

    async def _submit(self, sent: Sent, body: Mapping[str, Any], key: str) -> None:
        number = self._rng.randrange(len(self._slots))
        while sent.task_id is None and not sent.refused:
            slot = self._slots[number % len(self._slots)]
            number += 1
            try:
                async with self._session.post(
                    f"{slot.url}/v1/tasks", json=body, headers={"Idempotency-Key": key}, timeout=PATIENCE
                ) as response:
                    answer = await response.json()
                    if response.status in (200, 202):
                        sent.task_id = answer["id"]
                    elif response.status < 500:
                        sent.refused = answer["error"]["code"]
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                pass
            if sent.task_id is None:
                await asyncio.sleep(PAUSE)


async def until(start: float, at: float) -> None:
    """Sleep until ``at`` seconds after ``start``."""
    await asyncio.sleep(max(0.0, start + at - time.time()))
