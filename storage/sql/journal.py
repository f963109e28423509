"""Group commit: many producers append, one task writes everything that is queued in one transaction.

The transaction checks the fence of every task in it, so a process that lost a lease stores nothing more.
A task whose events are refused fails alone; the others in its batch are stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from typing_extensions import override

from storage import codec
from storage.errors import JournalConflict, StorageError, StorageUnavailable
from storage.events import Event
from storage.queueing import NO_RULES, Rules
from storage.store import Writer
from storage.tasks import Task, TaskStatus

SHARE = 0.05
"""The share of time that the journal spends writing while nobody waits. A slow disk gets larger batches."""

MIN_LINGER_SECONDS, MAX_LINGER_SECONDS = 0.005, 0.02
"""Bounds on how long an event waits for others to join its batch. A flush waits only for the disk."""

ROOM_CHARACTERS = 8_000_000
"""Characters of queued data above which :meth:`Writer.room` waits."""

_log = structlog.get_logger(__name__)

Row = tuple[int, str, str, float, str]
"""A row of the table ``events``, without the task: seq, type, path, at, data."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new task: columns of the table ``tasks``, and the process that runs it now (None: it is queued).

    Its deadline may be ``within`` so many seconds. ``rules`` say whether there is room for it in the queue.
    Among the values is also the endpoint that the task names, as ``webhook``.
    """

    values: Mapping[str, Any]
    owner: str | None = None
    lease_seconds: float = 0.0
    within: float | None = None
    rules: Rules = NO_RULES


@dataclass(frozen=True, slots=True)
class Ending:
    """The terminal state of a task; ``solution`` and ``error`` are JSON text."""

    status: TaskStatus
    outcome: str | None
    solution: str | None
    error: str | None
    entropy: float | None


@dataclass(eq=False, slots=True)
class Portion:
    """What one task adds to a batch. The commit sets ``task`` for an arrival, and ``error`` if it refuses."""

    task_id: str
    fence: int
    arrival: Arrival | None = None
    writer: JournalWriter | None = None
    rows: list[Row] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    ending: Ending | None = None
    task: Task | None = None
    error: StorageError | None = None


@dataclass(eq=False, slots=True)
class Batch:
    """What is committed together."""

    portions: dict[tuple[str, int], Portion] = field(default_factory=dict)
    characters: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def portion(self, task_id: str, fence: int) -> Portion:
        """The portion of that task and fence, created if there is none."""
        key = task_id, fence
        portion = self.portions.get(key)
        if portion is None:
            portion = self.portions[key] = Portion(task_id, fence)
        return portion


Commit = Callable[[list[Portion]], Awaitable[None]]
"""Stores portions in one transaction, or sets their ``error``; raises only if nothing was stored."""


class Journal:
    """The queue in front of the database, and the task that empties it. Opened in a running event loop."""

    def __init__(self, commit: Commit, *, redact: codec.Redact | None = None) -> None:
        self._store = commit
        self._redact = redact
        self._filling = Batch()
        self._writing = Batch()
        self._writing.done.set()
        self._filled = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closed = False
        self.failure: str | None = None  # why it has ended without having been closed
        self._task = asyncio.create_task(self._watched(), name="journal")

    def writer(self, task_id: str, fence: int, next_seq: int) -> JournalWriter:
        """See :meth:`Store.writer`."""
        return JournalWriter(self, task_id, fence, next_seq, self._redact)

    def fill(self, size: int) -> Batch:
        """The batch to which something of ``size`` characters is about to be added."""
        if self._closed:
            raise StorageUnavailable(self.failure or "the store is closed")
        self._filling.characters += size
        self._filled.set()
        return self._filling

    async def add(self, task_id: str, arrival: Arrival) -> Task:
        """Store a new task, or return the earlier one that has its idempotency key."""
        batch = self.fill(0)
        portion = batch.portion(task_id, 0)
        portion.arrival = arrival
        await self.committed(batch)
        if portion.error is not None:
            raise portion.error
        if portion.task is None:
            raise StorageError(f"task {task_id} was stored, but is not there")
        return portion.task

    async def finish(self, task_id: str, fence: int, ending: Ending) -> None:
        """See :meth:`Store.finish`."""
        batch = self.fill(0)
        portion = batch.portion(task_id, fence)
        portion.ending = ending
        await self.committed(batch)
        if portion.error is not None:
            raise portion.error

    async def committed(self, batch: Batch) -> None:
        """Wait until ``batch`` has been stored or has failed, without letting it linger."""
        if batch is self._filling:
            self._hurry.set()
        await batch.done.wait()

    async def drained(self) -> None:
        """Wait until all that has been appended so far has been stored or has failed."""
        if self._filling.portions:
            await self.committed(self._filling)
        else:
            await self._writing.done.wait()

    async def room(self) -> None:
        """See :meth:`Writer.room`."""
        while self._writing.characters + self._filling.characters > ROOM_CHARACTERS:
            await self.committed(self._filling if self._writing.done.is_set() else self._writing)

    async def close(self) -> None:
        """Write what is queued, then stop."""
        self._closed = True
        self._hurry.set()
        self._filled.set()
        await asyncio.wait([self._task])

    async def _watched(self) -> None:
        """Run; if that ends other than by closing, fail what was not written, so that nobody waits for it."""
        try:
            await self._run()
        except BaseException as error:
            self.failure = f"nothing more is stored, since the journal was stopped by {error!r}; start again"
            _log.exception("the journal has stopped", action="journal_stopped")
            if not isinstance(error, Exception):
                raise
        finally:
            self._closed = True
            for batch in (self._writing, self._filling):
                if not batch.done.is_set():
                    _fail(batch.portions.values(), StorageUnavailable(self.failure or "the store is closed"))
                    batch.done.set()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        linger = MIN_LINGER_SECONDS
        while True:
            await self._filled.wait()
            if not self._hurry.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(linger):
                        await self._hurry.wait()
            batch = self._writing = self._filling
            self._filling = Batch()
            self._hurry.clear()
            self._filled.clear()
            began = clock()
            await self._write(batch)
            batch.characters = 0
            batch.done.set()
            linger = min(max((clock() - began) / SHARE, MIN_LINGER_SECONDS), MAX_LINGER_SECONDS)
            if self._closed:
                self._filled.set()
                self._hurry.set()
                if not self._filling.portions:
                    return

    async def _write(self, batch: Batch) -> None:
        portions = []
        for portion in batch.portions.values():
            if portion.writer is not None and portion.writer.error is not None:
                portion.error = portion.writer.error
            else:
                portions.append(portion)
        if portions:
            failure: StorageError | None = None
            try:
                await self._store(portions)
            except StorageError as error:
                _log.error(
                    "journal batch failed", action="journal_failed", tasks=len(portions), error=str(error)
                )
                failure = error
            except Exception as error:  # a bug; the producers must learn of it, and other batches go on
                _log.exception("journal batch failed", action="journal_failed", tasks=len(portions))
                failure = StorageError(repr(error))
            if failure is not None:
                _fail(portions, failure)
        for portion in batch.portions.values():
            if portion.error is not None:
                _fail([portion], portion.error)


def _fail(portions: Iterable[Portion], error: StorageError) -> None:
    for portion in portions:
        portion.error = error
        if portion.writer is not None:
            portion.writer.error = error


class JournalWriter(Writer):
    """Packs events and puts them into the batch that is being filled."""

    __slots__ = ("_batch", "_fence", "_journal", "_next_seq", "_redact", "_task_id", "_used", "error")

    def __init__(
        self, journal: Journal, task_id: str, fence: int, next_seq: int, redact: codec.Redact | None
    ) -> None:
        self._journal = journal
        self._task_id = task_id
        self._fence = fence
        self._next_seq = next_seq
        self._redact = redact
        self._batch: Batch | None = None
        self._used: set[str] = set()  # texts that are queued or stored; they stay while the task runs
        self.error: StorageError | None = None

    @override
    def append(self, event: Event) -> None:
        if self.error is not None:
            raise self.error
        seq = event.seq
        if seq != self._next_seq:
            raise JournalConflict(
                f"task {self._task_id}: event {seq} was appended where {self._next_seq} comes next"
            )
        data: Mapping[str, Any] = event.data
        if self._redact is not None:
            data = codec.redacted(data, self._redact, codec.EVENT_IDENTIFIERS)
        packed, texts = codec.pack(data)
        batch = self._journal.fill(len(packed))
        portion = batch.portion(self._task_id, self._fence)
        portion.writer = self
        portion.rows.append((seq, event.type.value, event.path, event.at, packed))
        for key, text in texts.items():
            if key not in self._used:
                self._used.add(key)
                portion.texts[key] = text
                batch.characters += len(text)
        self._batch = batch
        self._next_seq = seq + 1

    @override
    async def flush(self) -> None:
        if self._batch is not None:
            await self._journal.committed(self._batch)
        if self.error is not None:
            raise self.error

    @override
    async def room(self) -> None:
        await self._journal.room()
