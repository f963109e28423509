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
from benchmarks.hostile.processes import Crew
from benchmarks.hostile.watching import Ends
from storage.errors import StorageError
from storage.sql.transactions import Database

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
        """Good tasks and kills depend on the seed alone. What is deadly comes early, as it takes longest.

        The processes are killed in turns and not in close succession, so that what is seen is what a kill
        does, and not how long a process takes to start.
        """
        rng = random.Random(f"good {seed}")
        good_times = sorted(rng.uniform(0.0, span) for _ in range(tasks))
        killing = [
            ((number + rng.uniform(0.25, 0.75)) * span / kills, number % processes) for number in range(kills)
        ]
        hostile = random.Random(f"hostile {seed}")
        thrown = [(hostile.uniform(0.0, 0.5 if item.deadly else 0.9) * span, item) for item in items]
        return cls(
            [(at, number) for number, at in enumerate(good_times)],
            sorted(thrown, key=lambda each: each[0]),
            killing,
        )


class Traffic:
    """Lets a schedule happen, beginning at ``start``; ``run`` is the name of the run, ``ends`` is watched."""

    def __init__(
        self,
        run: str,
        start: float,
        *,
        session: aiohttp.ClientSession,
        database: Database,
        crew: Crew,
        ends: Ends,
        seed: int,
    ) -> None:
        self.good: list[Sent] = []
        self.hostile: list[Sent] = []
        self._run = run
        self._start = start
        self._session = session
        self._database = database
        self._crew = crew
        self._ends = ends
        self._rng = random.Random(f"clients {seed}")

    async def flow(self, schedule: Schedule, seconds: float) -> None:
        """Return when all that was submitted has ended, or after so many seconds."""
        async with asyncio.TaskGroup() as group:
            until = self._start + seconds
            submitting: list[asyncio.Task[None]] = []
            for at, number in schedule.good:
                self.good.append(Sent(number, self._start + at))
                submitting.append(group.create_task(self._ask(self.good[-1], number, until)))
            for at, item in schedule.hostile:
                self.hostile.append(Sent(item, self._start + at))
                submitting.append(group.create_task(self._throw(self.hostile[-1], item, until)))
            killing = [group.create_task(self._kill(at, slot)) for at, slot in schedule.kills]
            await asyncio.wait(submitting, timeout=seconds)
            for task in (*submitting, *killing):
                task.cancel()

    async def _kill(self, at: float, slot: int) -> None:
        await _sleep_until(self._start + at)
        await self._crew.kill(slot)

    async def _ask(self, sent: Sent, number: int, until: float) -> None:
        await _sleep_until(sent.due)
        body = {"query": good.question(number), "planner": good.good.name, "seed": number, "tenant": GOOD}
        await self._submit(sent, body, f"{self._run} {number}")
        await self._end(sent, until)

    async def _throw(self, sent: Sent, item: Item, until: float) -> None:
        await _sleep_until(sent.due)
        if item.request is not None:
            await self._submit(sent, item.request, f"{self._run} {item.full_name}")
        while item.request is None and sent.task_id is None:
            try:
                sent.task_id = await rows.throw(self._database, item.name)
            except StorageError:  # such as a file that is locked by a process that is stuck
                await asyncio.sleep(PAUSE)
        await self._end(sent, until)

    async def _end(self, sent: Sent, until: float) -> None:
        if sent.task_id is not None:
            await self._ends.wait(sent.task_id, until)

    async def _submit(self, sent: Sent, body: Mapping[str, Any], key: str) -> None:
        slots = self._crew.slots
        number = self._rng.randrange(len(slots))
        while sent.task_id is None and not sent.refused:
            slot = slots[number % len(slots)]
            number += 1
            try:
                async with self._session.post(
                    f"{slot.url}/v1/tasks", json=body, headers={"Idempotency-Key": key}, timeout=PATIENCE
                ) as response:
                    answer = await response.json()
                    if response.status in (200, 202):
                        sent.task_id = answer["id"]
                    elif not answer["error"]["retryable"]:
                        sent.refused = answer["error"]["code"]
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
                pass
            if sent.task_id is None:
                await asyncio.sleep(PAUSE)


async def _sleep_until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.time()))
