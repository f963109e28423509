"""The store in dictionaries: for benchmarks, for tests, and for runs that nobody wants to keep.

It keeps the same promises as the database, except durability. Events go through the same packing, so that
what a database would refuse is refused here too.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from storage import codec, refusals
from storage.errors import IllegalTransition, JournalConflict, StorageError
from storage.events import Event, EventType
from storage.store import MAX_ATTEMPTS, Store, Writer
from storage.tasks import Claim, NewTask, Pruned, Task, TaskStatus, new_task_id

_Stored = tuple[EventType, str, float, str]


class _Journal:
    """The lines of one task."""

    def __init__(self) -> None:
        self.lines: list[_Stored] = []
        self._once: set[tuple[EventType, str]] = set()

    def append(self, task_id: str, event: Event, data: str) -> None:
        """Add an event if it is the next one and does not repeat an event that may happen only once."""
        happened = (event.type, "" if event.type is EventType.RUN_FINISHED else event.path)
        if event.seq != len(self.lines) or happened in self._once:
            raise JournalConflict(f"task {task_id}: event {event.seq} contradicts the journal")
        if event.type in _ONCE:
            self._once.add(happened)
        self.lines.append((event.type, event.path, event.at, data))


class MemoryStore(Store):
    """Tasks and journals of this process only."""

    def __init__(self, *, redact: codec.Redact | None = None) -> None:
        self.redact = redact
        self._tasks: dict[str, Task] = {}  # oldest first
        self._journals: dict[str, _Journal] = {}
        self._keys: dict[tuple[str, str], str] = {}

    @classmethod
    async def connect(cls, redact: codec.Redact | None = None) -> MemoryStore:
        """See :func:`storage.opening.open_store`."""
        return cls(redact=redact)

    @override
    async def close(self) -> None:
        """Nothing to do."""

    @override
    async def submit(self, new: NewTask) -> Task:
        question, options = self._json(new.question), self._json(new.options)
        if new.idempotency_key is not None:
            first = self._keys.get((new.tenant, new.idempotency_key))
            if first is not None:
                task, asked = self._tasks[first], replace(new, question=question, options=options)
                if differing := [
                    name for name in refusals.REQUEST if getattr(task, name) != getattr(asked, name)
                ]:
                    raise refusals.key_taken(new.idempotency_key, first, differing)
                return task
        task = Task(
            id=new_task_id(),
            tenant=new.tenant,
            status=TaskStatus.QUEUED,
            question=question,
            planner=new.planner,
            options=options,
            seed=new.seed,
            idempotency_key=new.idempotency_key,
            parent_id=new.parent_id,
            fork_at=new.fork_at,
            trace_parent=new.trace_parent,
            created_at=time.time(),
        )
        self._tasks[task.id] = task
        self._journals[task.id] = _Journal()
        if new.idempotency_key is not None:
            self._keys[new.tenant, new.idempotency_key] = task.id
        return task

    @override
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        task = await self.submit(new)
        return await self.claim_task(task.id, owner, lease_seconds)

    @override
    async def get(self, task_id: str) -> Task:
        return self._get(task_id)

    @override
    async def list(
        self,
        *,
        tenant: str | None = None,
        status: TaskStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Task, ...]:
        end = None
        if before is not None:
            last = self._get(before)
            if tenant not in (None, last.tenant):
                raise refusals.not_found(before)
            end = (last.created_at, before)
        found = [
            task
            for task in self._tasks.values()
            if (tenant is None or task.tenant == tenant)
            and (status is None or task.status is status)
            and (end is None or (task.created_at, task.id) < end)
        ]
        found.sort(key=lambda task: (task.created_at, task.id), reverse=True)
        return tuple(found[:limit])

    @override
    async def request_cancel(self, task_id: str) -> Task:
        task = self._get(task_id)
        if task.status is TaskStatus.QUEUED:
            return self._put(
                task, status=TaskStatus.CANCELLED, cancel_requested=True, finished_at=time.time()
            )
        return task if task.status.terminal else self._put(task, cancel_requested=True)

    @override
    async def claim(
        self,
        owner: str,
        lease_seconds: float,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        below: int | None = None,
    ) -> Claim | None:
        for task in list(self._tasks.values()):
            if below is not None and below <= task.attempts < max_attempts:
                continue
            if task.status is TaskStatus.QUEUED or (_lapsed(task) and task.attempts < max_attempts):
                return self._take(task, owner, lease_seconds)
            if _lapsed(task):
                error = refusals.exhausted(task)
                self._put(task, **_FREE, status=TaskStatus.DEAD, finished_at=time.time(), error=error)
        return None

    @override
    async def claim_task(self, task_id: str, owner: str, lease_seconds: float) -> Claim:
        task = self._get(task_id)
        if task.status is TaskStatus.QUEUED or _lapsed(task):
            return self._take(task, owner, lease_seconds)
        raise refusals.not_claimable(task)

    @override
    async def heartbeat(self, claim: Claim) -> Claim:
        task = self._held(claim.task.id, claim.fence)
        task = self._put(task, lease_expires_at=time.time() + claim.lease_seconds)
        return replace(claim, task=task, valid_until=time.monotonic() + claim.lease_seconds)

    @override
    async def release(self, claim: Claim) -> Task:
        task = self._held(claim.task.id, claim.fence)
        return self._put(
            task,
            status=TaskStatus.QUEUED,
            attempts=task.attempts - 1,
            **_FREE,
        )

    @override
    async def requeue(self, task_id: str) -> Task:
        task = self._get(task_id)
        if task.status is TaskStatus.QUEUED:
            return task
        if task.status is not TaskStatus.DEAD:
            raise refusals.not_dead(task)
        return self._put(
            task,
            status=TaskStatus.QUEUED,
            attempts=0,
            cancel_requested=False,
            started_at=None,
            finished_at=None,
            error=None,
        )

    @override
    async def finish(
        self,
        claim: Claim,
        status: TaskStatus,
        *,
        outcome: str | None = None,
        solution: Any = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        if not status.terminal:
            raise IllegalTransition(f"task {claim.task.id} cannot finish as {status}, which is not terminal")
        solution, error = (self._json(value, codec.ENDING_IDENTIFIERS) for value in (solution, error))
        self._put(
            self._held(claim.task.id, claim.fence),
            status=status,
            finished_at=time.time(),
            outcome=outcome,
            solution=solution,
            error=error,
            **_FREE,
        )

    @override
    def writer(self, task_id: str, fence: int, *, next_seq: int = 0) -> Writer:
        return MemoryWriter(self, task_id, fence, next_seq)

    @override
    async def read(self, task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
        self._get(task_id)
        lines = self._journals[task_id].lines
        seq = after + 1
        while seq < len(lines):
            kind, path, at, data = lines[seq]
            yield Event(seq, kind, path, at, json.loads(data))
            seq += 1

    @override
    async def last_seq(self, task_id: str) -> int:
        self._get(task_id)
        return len(self._journals[task_id].lines) - 1

    @override
    async def restore(self, task: Task, events: Iterable[Event]) -> Task:
        if not task.status.terminal:
            raise refusals.not_ended(task)
        key = (task.tenant, task.idempotency_key or "")
        if task.id in self._tasks or key in self._keys:
            raise refusals.exists(task)
        journal = _Journal()
        for event in events:
            journal.append(task.id, event, self.packed(event.data))
        self._journals[task.id] = journal
        self._tasks[task.id] = replace(
            task,
            question=self._json(task.question),
            options=self._json(task.options),
            solution=self._json(task.solution, codec.ENDING_IDENTIFIERS),
            error=self._json(task.error, codec.ENDING_IDENTIFIERS),
            **_FREE,
        )
        if task.idempotency_key is not None:
            self._keys[key] = task.id
        return self._tasks[task.id]

    @override
    async def size(self, task_id: str) -> int:
        task = self._get(task_id)
        texts = (
            task.id,
            task.tenant,
            task.planner,
            codec.dumps([task.question, task.options, task.solution]),
        )
        lines = self._journals[task_id].lines
        return sum(len(text.encode()) for text in texts) + sum(
            len(data.encode()) + len(path) + len(kind) + 16 for kind, path, _, data in lines
        )

    @override
    async def prune(
        self,
        *,
        older_than: float | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        tenant: str | None = None,
    ) -> Pruned:
        mine = [task for task in self._tasks.values() if tenant is None or task.tenant == tenant]
        needed = {task.parent_id for task in self._tasks.values() if not task.status.terminal}
        ended = [task for task in mine if task.status.terminal and task.id not in needed]  # oldest first
        going = ended[: max(0, len(ended) - keep)] if keep is not None else []
        if older_than is not None:
            horizon = time.time() - older_than
            going += [task for task in ended if task.finished_at is not None and task.finished_at < horizon]
        gone = {task.id for task in going}
        if max_bytes is not None:
            sizes = {task.id: await self.size(task.id) for task in mine if task.id not in gone}
            for task in ended:
                if sum(sizes.values()) <= max_bytes:
                    break
                if sizes.pop(task.id, None) is not None:
                    gone.add(task.id)
        for task_id in gone:
            task = self._tasks.pop(task_id)
            del self._journals[task_id]
            if task.idempotency_key is not None:
                del self._keys[task.tenant, task.idempotency_key]
        return Pruned(tasks=len(gone), texts=0)

    def append(self, task_id: str, fence: int, event: Event, data: str) -> None:
        """Store an event if the fence holds and the journal can take it; used by the writer."""
        self._held(task_id, fence)
        self._journals[task_id].append(task_id, event, data)

    def packed(self, value: Any, spared: codec.Places = codec.EVENT_IDENTIFIERS) -> str:
        """The value, an event's data by default, as a database would store it."""
        return codec.dumps(value if self.redact is None else codec.redacted(value, self.redact, spared))

    def _json(self, value: Any, spared: codec.Places = frozenset()) -> Any:
        return json.loads(self.packed(value, spared))

    def _get(self, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise refusals.not_found(task_id)
        return task

    def _put(self, task: Task, **changes: Any) -> Task:
        changed = self._tasks[task.id] = replace(task, **changes)
        return changed

    def _take(self, task: Task, owner: str, lease_seconds: float) -> Claim:
        now = time.time()
        task = self._put(
            task,
            status=TaskStatus.RUNNING,
            started_at=task.started_at or now,
            attempts=task.attempts + 1,
            lease_owner=owner,
            lease_fence=task.lease_fence + 1,
            lease_expires_at=now + lease_seconds,
        )
        return Claim(
            task=task,
            owner=owner,
            fence=task.lease_fence,
            lease_seconds=lease_seconds,
            valid_until=time.monotonic() + lease_seconds,
        )

    def _held(self, task_id: str, fence: int) -> Task:
        task = self._get(task_id)
        if task.status is not TaskStatus.RUNNING or task.lease_fence != fence:
            raise refusals.lost(task, fence)
        return task


class MemoryWriter(Writer):
    """Appends at once; errors surface where a database's would."""

    __slots__ = ("_error", "_fence", "_next_seq", "_store", "_task_id")

    def __init__(self, store: MemoryStore, task_id: str, fence: int, next_seq: int) -> None:
        self._store = store
        self._task_id = task_id
        self._fence = fence
        self._next_seq = next_seq
        self._error: StorageError | None = None

    @override
    def append(self, event: Event) -> None:
        if self._error is not None:
            raise self._error
        if event.seq != self._next_seq:
            raise JournalConflict(
                f"task {self._task_id}: event {event.seq} was appended where {self._next_seq} comes next"
            )
        data = self._store.packed(event.data)
        self._next_seq += 1
        try:
            self._store.append(self._task_id, self._fence, event, data)
        except StorageError as error:
            self._error = error

    @override
    async def flush(self) -> None:
        if self._error is not None:
            raise self._error

    @override
    async def room(self) -> None:
        """There is always room."""


_FREE: Mapping[str, Any] = {"lease_owner": None, "lease_expires_at": None}
_ONCE = frozenset({EventType.NODE_ADDED, EventType.NODE_SETTLED, EventType.RUN_FINISHED})


def _lapsed(task: Task) -> bool:
    return task.lease_expires_at is not None and task.lease_expires_at < time.time()
