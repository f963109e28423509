"""Watches the processes from outside: when tasks end, whether lists are served, and whether health is true.

Health is checked against what a client sees: twice a second a tiny task is submitted to each process. What
the process says of itself before and after must agree with whether that task is taken and solved in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

import aiohttp
from sqlalchemy import Connection, text

from benchmarks.hostile.good import probe
from benchmarks.hostile.processes import STUCK_SECONDS, Slot
from storage.errors import StorageError
from storage.sql.transactions import Database

EVERY = 0.5
BOUND = 10.0
"""Seconds within which a process that is well answers, and a probe ends: a lease may have to lapse first."""

RECOVERY = 2 * STUCK_SECONDS
"""For how long a process that was stuck may still say so when it works again: it counts turns of its loop."""

IDLE = 20
"""After so many probes in a row that others solved, a process that says it is well is taken to do nothing."""

PATIENCE = aiohttp.ClientTimeout(total=BOUND)
PROBES = "probe"


class Ends:
    """When tasks end, as the database says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at: dict[str, float] = {}
        self._changed = asyncio.Condition()

    async def watch(self) -> None:
        """Look five times a second, for ever."""
        while True:
            with suppress(StorageError):
                self._at = await self._database.read(_ended)
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(0.2)

    async def wait(self, task_id: str, until: float) -> float | None:
        """When the task ended; None if it has not by ``until``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(until - time.time()), self._changed:
                await self._changed.wait_for(lambda: task_id in self._at)
        return self._at.get(task_id)

    async def holder(self, task_id: str) -> str:
        """The id of the process that holds the task; empty if none does."""

        def look(connection: Connection) -> str:
            query = text("SELECT lease_owner FROM tasks WHERE id = :id")
            return str(connection.execute(query, {"id": task_id}).scalar_one_or_none() or "")

        owner = await self._database.read(look)
        return owner.split(":")[1] if owner else ""


def _ended(connection: Connection) -> dict[str, float]:
    rows = connection.execute(text("SELECT id, finished_at FROM tasks WHERE finished_at IS NOT NULL"))
    return {row.id: row.finished_at for row in rows}


@dataclass
class Sample:
    """One look at one process, and what it said of its health ``before`` and ``after`` the probe.

    It said the former at ``said``. ``task_id`` is that of the probe, if it was accepted; otherwise
    ``answer`` says what came instead. ``holder`` is the process that still held it when it should have ended.
    """

    slot: Slot
    pid: int
    at: float
    until: float = 0.0
    said: float = 0.0
    before: str = ""
    after: str = ""
    task_id: str | None = None
    answer: str = ""
    ended: bool = False
    holder: str = ""

    @property
    def counts(self) -> bool:
        """Whether the process was there all the time."""
        return self.slot.was_up(self.at, self.until)

    def boasts(self, solved: Mapping[str, str]) -> str:
        """In words, what it did not do although it said that it was well; empty if it did it.

        ``solved`` are the ids of the processes that solved probes, by task, or why they failed.
        """
        if not self.before == self.after == "ok":
            return ""
        if self.task_id is None:
            return f"health says ok; a submission: {self.answer}"
        if not self.ended:
            held_here = self.holder in ("", str(self.pid))
            return (
                f"health says ok; a task did not end, held by {self.holder or 'nobody'}" if held_here else ""
            )
        by = solved.get(self.task_id, "")
        return "" if by.isdigit() else f"health says ok; a task failed: {by}"

    def belittles(self, solved: Mapping[str, str]) -> str:
        """In words, what it did although it said that it was not well; empty if it did nothing."""
        here = self.ended and solved.get(self.task_id or "") == str(self.pid)
        if "ok" in (self.before, self.after) or not here:
            return ""
        return f"health says {self.before}, then {self.after}; but it solved a task"


@dataclass(frozen=True)
class Page:
    """One request for the list of tasks; ``failure`` is why it was not served."""

    slot: Slot
    at: float
    until: float
    failure: str


@dataclass
class Seen:
    """What was seen of all processes since ``start``, by ``time.time``."""

    start: float
    samples: list[Sample] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def unserved(self) -> list[str]:
        """The lists that were not served, though the process was there all the time."""
        return [
            self._told(page.slot, page.at, page.failure)
            for page in self.pages
            if page.failure and page.slot.was_up(page.at, page.until)
        ]

    def disagreements(self, solved: Mapping[str, str]) -> list[str]:
        """The moments at which health was not true. ``solved`` is as for a sample."""
        found = []
        samples = sorted(
            (each for each in self.samples if each.counts), key=lambda each: (each.pid, each.said)
        )
        for pid, own in groupby(samples, key=lambda each: each.pid):
            idle, reason, since = 0, "", 0.0
            for sample in own:
                what = sample.boasts(solved)
                if belittled := sample.belittles(solved):
                    if sample.after != reason:  # it is stuck again, or for another reason
                        reason, since = sample.after, sample.said
                    what = belittled if sample.said - since > RECOVERY else ""
                else:
                    reason = ""
                elsewhere = sample.before == "ok" and solved.get(sample.task_id or "") != str(pid)
                idle = idle + 1 if elsewhere and not what else 0
                if idle == IDLE:
                    what = "health says ok, but others do all the work"
                if what:
                    found.append(self._told(sample.slot, sample.at, what))
        return found

    def _told(self, slot: Slot, at: float, what: str) -> str:
        return f"{slot.name_at(at)} at {at - self.start:.1f} s: {what}"


class Watch:
    """Looks at all processes."""

    def __init__(
        self, session: aiohttp.ClientSession, ends: Ends, slots: Sequence[Slot], start: float
    ) -> None:
        self._session = session
        self._ends = ends
        self._slots = slots
        self.seen = Seen(start)

    async def look(self, over: asyncio.Event) -> None:
        """Look at every process again and again until it is over; returns when the last look has ended."""
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                for slot in self._slots:
                    if slot.life is not None:
                        group.create_task(self._sample(slot, slot.life.pid))
                        group.create_task(self._list(slot))
                await asyncio.sleep(EVERY)

    async def _sample(self, slot: Slot, pid: int) -> None:
        sample = Sample(slot, pid, time.time())
        self.seen.samples.append(sample)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask(sample))
            group.create_task(self._probe(sample))
        sample.after = await self._health(slot)
        sample.until = time.time()

    async def _ask(self, sample: Sample) -> None:
        sample.before = await self._health(sample.slot)
        sample.said = time.time()

    async def _probe(self, sample: Sample) -> None:
        body = {"query": "?", "planner": probe.name, "tenant": PROBES}
        try:
            async with self._session.post(
                f"{sample.slot.url}/v1/tasks", json=body, timeout=PATIENCE
            ) as response:
                answer = await response.json()
            if response.status in (200, 202):
                sample.task_id = answer["id"]
            else:
                sample.answer = f"{response.status} {answer['error']['code']}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            sample.answer = type(error).__name__
        if sample.task_id is not None:
            sample.ended = await self._ends.wait(sample.task_id, sample.at + BOUND) is not None
            if not sample.ended:
                sample.holder = await self._ends.holder(sample.task_id)

    async def _health(self, slot: Slot) -> str:
        try:
            async with self._session.get(f"{slot.url}/healthz", timeout=PATIENCE) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return type(error).__name__
        if response.status == 200:
            return "ok"
        parts = [f"{part}: {answer[part]['detail']}" for part in answer if _unwell(answer[part])]
        return f"{response.status} {answer.get('status', answer)} ({'; '.join(parts)})"

    async def _list(self, slot: Slot) -> None:
        start = time.time()
        try:
            async with self._session.get(
                f"{slot.url}/v1/tasks", params={"limit": 50}, timeout=PATIENCE
            ) as response:
                body = await response.text()
            failure = "" if response.status == 200 else f"{response.status} {body[:200]}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = type(error).__name__
        self.seen.pages.append(Page(slot, start, time.time(), failure))


def _unwell(part: object) -> bool:
    return isinstance(part, dict) and part.get("ok") is False
