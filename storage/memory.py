"""The store in dictionaries: for benchmarks, for tests, and for runs that nobody wants to keep.

It keeps the same promises as the database, except durability. Events go through the same packing, so that
what a database would refuse is refused here too.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import Unpack, override

from storage import codec, refusals
from storage.changes import Changes
from storage.errors import IllegalTransition
from storage.events import Event
from storage.listing import Place, Wanted, has
from storage.memory_access import MemoryAccess
from storage.memory_batches import MemoryBatches
from storage.memory_webhooks import MemoryWebhooks
from storage.queueing import NO_RULES, Lengths, Rules, expired
from storage.recording import Journal, MemoryWriter
from storage.store import MAX_ATTEMPTS, Store, Writer
from storage.tasks import EXPIRED, Claim, NewTask, Pruned, Task, TaskStatus, new_task_id
from storage.waiting import Waiting


class MemoryStore(Store):
    """Tasks and journals of this process only."""

    def __init__(self, *, redact: codec.Redact | None = None) -> None:
        self.redact = redact
        self._tasks: dict[str, Task] = {}  # oldest first
        self.webhooks: MemoryWebhooks = MemoryWebhooks(self._tasks)
        self._journals: dict[str, Journal] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self.batches = MemoryBatches()
        self.access = MemoryAccess(self._tasks, self._keys)
        self._changes = Changes()
        self._waiting = Waiting()
        self._expired: list[str] = []

    @classmethod
    async def connect(cls, redact: codec.Redact | None = None) -> MemoryStore:
        """See :func:`storage.opening.open_store`."""
        return cls(redact=redact)

    @override
    async def close(self) -> None:
        """Nothing to do."""

    @override
    async def submit(self, new: NewTask, rules: Rules = NO_RULES) -> Task:
        return self._submit(new, rules)

    def _submit(self, new: NewTask, rules: Rules | None) -> Task:
        """Add a task; without rules it begins at once."""
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
        now = time.time()
        deadline = new.deadline if new.within is None else now + new.within
        if (refused := self._waiting.refusal(new, now, deadline, rules)) is not None:
            raise refused
        if new.webhook is not None:
            self.webhooks.name(new.webhook)
        task = Task(
            id=new.id or new_task_id(),
            tenant=new.tenant,
            status=TaskStatus.QUEUED,
            question=question,
            planner=new.planner,
            options=options,
            seed=new.seed,
            idempotency_key=new.idempotency_key,
            parent_id=new.parent_id,
            fork_at=new.fork_at,
            submitted_by=new.submitted_by,
            created_at=now,
            priority=new.priority,
            deadline=deadline,
            trace_parent=new.trace_parent,
        )
        self._tasks[task.id] = task
        self._waiting.note(None, task)
        self._journals[task.id] = Journal()
        if new.idempotency_key is not None:
            self._keys[new.tenant, new.idempotency_key] = task.id
        self._changes.tell([task.id])
        return task

    @override
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        task = self._submit(new, None)
        return await self.claim_task(task.id, owner, lease_seconds)

    @override
    async def get(self, task_id: str) -> Task:
        return self._get(task_id)

    @override
    async def list(
        self, *, limit: int = 100, before: Place | None = None, **wanted: Unpack[Wanted]
    ) -> tuple[Task, ...]:
        found = [
            task
            for task in self._tasks.values()
            if (before is None or Place.of(task) < before) and has(task, wanted)
        ]
        found.sort(key=Place.of, reverse=True)
        return tuple(found[:limit])

    @override
    def changes(self) -> AsyncIterator[Collection[str] | None]:
        return self._changes.follow()

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
        rules: Rules = NO_RULES,
    ) -> Claim | None:
        for task in self._begun():
            if below is not None and below <= task.attempts < max_attempts:
                continue
            if task.status is TaskStatus.QUEUED or task.attempts < max_attempts:
                return self._take(task, owner, lease_seconds)
            error = refusals.exhausted(task)
            self._put(task, **_FREE, status=TaskStatus.DEAD, finished_at=time.time(), error=error)
        self._expire()
        if (task_id := self._waiting.next(rules)) is None:
            return None
        task = self._tasks[task_id]
        self._waiting.count(task, rules)
        return self._take(task, owner, lease_seconds)

    def _begun(self) -> Sequence[Task]:
        """The tasks that were handed back, and then those under lapsed leases, the oldest first."""
        begun = [self._tasks[task_id] for task_id in self._waiting.begun]
        free = [task for task in begun if task.status is TaskStatus.QUEUED or _lapsed(task)]
        return sorted(free, key=lambda task: (task.status is not TaskStatus.QUEUED, task.created_at, task.id))

    @override
    async def expire(self) -> Sequence[str]:
        self._expire()
        ended, self._expired = self._expired, []
        return ended

    def _expire(self) -> None:
        now = time.time()
        for task_id in self._waiting.late(now):
            self._put(
                self._tasks[task_id],
                status=TaskStatus.FAILED,
                finished_at=now,
                outcome=EXPIRED,
                error=expired(),
            )
            self._expired.append(task_id)

    @override
    async def waiting(self) -> Lengths:
        return self._waiting.lengths()

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
        return self._put(task, status=TaskStatus.QUEUED, attempts=task.attempts - 1, **_FREE)

    @override
    async def requeue(self, task_id: str, *, submitted_by: str | None = None) -> Task:
        task = self._get(task_id)
        if task.status is TaskStatus.QUEUED:
            return task
        if task.status is not TaskStatus.DEAD:
            raise refusals.not_dead(task)
        return self._put(
            task,
            status=TaskStatus.QUEUED,
            attempts=0,
            lease_fence=task.lease_fence + 1,
            cancel_requested=False,
            started_at=None,
            finished_at=None,
            error=None,
            deadline=None,
            submitted_by=task.submitted_by or submitted_by,
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
        def append(event: Event, data: str) -> None:
            self._held(task_id, fence)
            self._journals[task_id].append(task_id, event, data)
            self._changes.tell([task_id])

        return MemoryWriter(task_id, next_seq, self.packed, append)

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
        journal = Journal()
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
        self._changes.tell([task.id])
        return self._tasks[task.id]

    @override
    async def size(self, task_id: str) -> int:
        task = self._get(task_id)
        told = codec.dumps([task.question, task.options, task.solution])
        texts = (task.id, task.tenant, task.planner, told)
        return sum(len(text.encode()) for text in texts) + self._journals[task_id].size

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
            self._remove(task_id)
        return Pruned(tasks=len(gone), texts=0)

    @override
    async def delete(self, task_id: str) -> Pruned:
        task = self._get(task_id)
        forks = (each for each in self._tasks.values() if each.parent_id == task_id)
        if not all(each.status.terminal for each in (task, *forks)):
            raise refusals.not_deletable(task)
        self._remove(task_id)
        return Pruned(tasks=1, texts=0)

    def _remove(self, task_id: str) -> None:
        task = self._tasks.pop(task_id)
        del self._journals[task_id]
        if task.idempotency_key is not None:
            del self._keys[task.tenant, task.idempotency_key]
        self._changes.tell([task_id])

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
        self._waiting.note(task, changed)
        self._changes.tell([task.id])
        if changed.status.terminal:
            self.webhooks.note(changed)
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


_FREE: Mapping[str, Any] = {"lease_owner": None, "lease_expires_at": None}


def _lapsed(task: Task) -> bool:
    return task.lease_expires_at is not None and task.lease_expires_at < time.time()
