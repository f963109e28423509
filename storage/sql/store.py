"""The store on a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from typing_extensions import Unpack, override

from storage import codec
from storage.errors import (
    IllegalTransition,
    JournalConflict,
    JournalDamaged,
    NotStorable,
    StorageDamaged,
    StorageError,
    StorageUnavailable,
)
from storage.events import Event
from storage.listing import Place, Wanted, entropy_of, searched
from storage.queueing import NO_RULES, Lengths, Rules
from storage.refusals import exists, not_ended
from storage.sql import admission, checking, lease, retention
from storage.sql.access import SqlAccess
from storage.sql.batches import SqlBatches
from storage.sql.claiming import claim_next, expire
from storage.sql.commit import commit, restore
from storage.sql.database import open_database
from storage.sql.events import PAGE, last_seq_of, page, short_journals
from storage.sql.journal import Arrival, Ending, Journal, Portion, Row
from storage.sql.listing import page as page_of
from storage.sql.rows import JSON_COLUMNS, TASK_COLUMNS, get_task, now
from storage.sql.transactions import Body, Database, T
from storage.sql.webhooks import SqlWebhooks
from storage.store import MAX_ATTEMPTS, Store, Writer
from storage.tasks import Claim, NewTask, Pruned, Task, TaskStatus, new_task_id

_log = structlog.get_logger(__name__)

JOURNALS = 8
"""How many journals are requested at a time. Those that are not whole in a page are read one by one."""


class SqlStore(Store):
    """Tasks and journals in SQLite or PostgreSQL."""

    def __init__(self, database: Database, redact: codec.Redact | None) -> None:
        self._database = database
        self.access = SqlAccess(database)
        self.redact = redact
        self.batches = SqlBatches(database)
        self.webhooks = SqlWebhooks(database)
        self._journal = Journal(self._commit, redact=redact)
        self._closed = False
        self._damaged: StorageDamaged | None = None
        self._expired: list[str] = []

    @classmethod
    async def connect(
        cls,
        url: str | None,
        redact: codec.Redact | None = None,
        *,
        check: bool = False,
        patience: float = 0.0,
    ) -> SqlStore:
        """See :func:`storage.opening.open_store`."""
        return cls(await open_database(url, check=check, patience=patience), redact)

    @override
    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._journal.close()
            finally:
                await self._database.close()

    @override
    def failed(self) -> str | None:
        return self._database.failed() or self._journal.failure

    @override
    async def probe(self) -> None:
        if (failure := self.failed()) is not None:
            raise StorageUnavailable(failure)
        if self._damaged is not None:
            raise self._damaged
        await self._database.probe()

    @override
    async def time(self) -> float:
        return await self._database.read(now)

    @override
    async def check(self) -> Sequence[str]:
        return await self._database.read(checking.problems)

    @override
    def free_bytes(self) -> int | None:
        return self._database.free_bytes()

    @override
    async def submit(self, new: NewTask, rules: Rules = NO_RULES) -> Task:
        arrival = Arrival(self._values(new), within=new.within, rules=rules)
        return await self._journal.add(new.id or new_task_id(), arrival)

    @override
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        task_id = new.id or new_task_id()
        valid_until = monotonic() + lease_seconds
        task = await self._journal.add(task_id, Arrival(self._values(new), owner, lease_seconds, new.within))
        if task.id == task_id:
            return Claim(
                task=task,
                owner=owner,
                fence=task.lease_fence,
                lease_seconds=lease_seconds,
                valid_until=valid_until,
            )
        return await self.claim_task(task.id, owner, lease_seconds)

    @override
    async def get(self, task_id: str) -> Task:
        return await self._database.read(lambda connection: get_task(connection, task_id))

    @override
    async def list(
        self, *, limit: int = 100, before: Place | None = None, **wanted: Unpack[Wanted]
    ) -> tuple[Task, ...]:
        return await self._database.read(lambda connection: page_of(connection, wanted, limit, before))

    @override
    def changes(self) -> AsyncIterator[Collection[str] | None]:
        return self._database.changes()

    @override
    async def request_cancel(self, task_id: str) -> Task:
        return await self._change(task_id, lambda connection: lease.request_cancel(connection, task_id))

    @override
    async def cancellations(self, held: Callable[[], Collection[str]]) -> AsyncIterator[str]:
        while True:
            await self._database.news()
            if ids := tuple(held()):
                with suppress(StorageError):
                    for task_id in await self._database.read(
                        lambda connection, ids=ids: lease.cancelled(connection, ids)  # type: ignore[misc]
                    ):
                        yield task_id

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
        while True:
            found = await self._database.write(
                lambda connection: claim_next(connection, owner, lease_seconds, max_attempts, below, rules)
            )
            for damage in found.damaged:
                _log.error("a task was set aside", action="task_set_aside", error=damage)
            self._expired += found.expired
            if not found.more:
                return found.claim

    @override
    async def expire(self) -> Sequence[str]:
        found = await self._database.write(expire)
        ended, self._expired = [*self._expired, *found], []
        return ended

    @override
    async def waiting(self) -> Lengths:
        return await self._database.read(admission.lengths)

    @override
    async def claim_task(self, task_id: str, owner: str, lease_seconds: float) -> Claim:
        return await self._change(
            task_id, lambda connection: lease.claim_task(connection, task_id, owner, lease_seconds)
        )

    @override
    async def heartbeat(self, claim: Claim) -> Claim:
        return await self._change(claim.task.id, lambda connection: lease.renew(connection, claim))

    @override
    async def release(self, claim: Claim) -> Task:
        await self._journal.drained()  # once the task is released, the journal accepts nothing more for it
        return await self._change(claim.task.id, lambda connection: lease.release(connection, claim))

    @override
    async def requeue(self, task_id: str, *, submitted_by: str | None = None) -> Task:
        return await self._change(
            task_id, lambda connection: lease.requeue(connection, task_id, submitted_by)
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
        ending = Ending(
            status,
            outcome,
            None if solution is None else self._json(solution, codec.ENDING_IDENTIFIERS),
            None if error is None else self._json(error, codec.ENDING_IDENTIFIERS),
            entropy_of(solution),
        )
        await self._journal.finish(claim.task.id, claim.fence, ending)

    @override
    def writer(self, task_id: str, fence: int, *, next_seq: int = 0) -> Writer:
        return self._journal.writer(task_id, fence, next_seq)

    @override
    async def read(self, task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
        while True:
            found = await self._database.read(
                lambda connection, after=after: page(connection, task_id, after)  # type: ignore[misc]
            )
            for event in found:
                yield event
            if len(found) < PAGE:
                return
            after = found[-1].seq

    @override
    async def journals(self, task_ids: Iterable[str]) -> AsyncIterator[tuple[str, Sequence[Event]]]:
        remaining = iter(task_ids)
        while batch := list(islice(remaining, JOURNALS)):
            short = await self._database.read(
                lambda connection, batch=batch: short_journals(connection, batch)  # type: ignore[misc]
            )
            for task_id in batch:
                yield task_id, short.get(task_id) or [event async for event in self.read(task_id)]

    @override
    async def last_seq(self, task_id: str) -> int:
        return await self._database.read(lambda connection: last_seq_of(connection, task_id))

    @override
    async def restore(self, task: Task, events: Iterable[Event]) -> Task:
        if not task.status.terminal:
            raise not_ended(task)
        values = {name: getattr(task, name) for name in TASK_COLUMNS}
        values |= {"status": task.status.value, "priority": task.priority.value}
        values |= {"lease_owner": None, "lease_expires_at": None}
        for name in JSON_COLUMNS:
            if values[name] is not None:
                spared = codec.ENDING_IDENTIFIERS if name in ("solution", "error") else frozenset()
                values[name] = self._json(values[name], spared)
        values |= {"searched": self._searched(task.question), "entropy": entropy_of(task.solution)}
        rows, shared = await asyncio.to_thread(_rows, events, self._redacted)
        attempts = 0

        def body(connection: Connection) -> bool:
            nonlocal attempts
            attempts += 1
            # On a second attempt, an existing task was stored before the connection broke.
            return restore(connection, values, rows, shared) or attempts > 1

        try:
            if not await self._database.write(body):
                raise exists(task)
        except IntegrityError as error:
            raise JournalConflict(f"task {task.id}: {error.orig}") from error
        return await self.get(task.id)

    @override
    async def size(self, task_id: str) -> int:
        return await self._database.read(lambda connection: retention.size(connection, task_id))

    @override
    async def delete(self, task_id: str) -> Pruned:
        attempts = 0

        def body(connection: Connection) -> Pruned:
            nonlocal attempts
            attempts += 1
            # On a second attempt, a task that is gone was deleted before the connection broke.
            return retention.delete_task(connection, task_id, again=attempts > 1)

        return await self._change(task_id, body)

    @override
    async def prune(
        self,
        *,
        older_than: float | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        tenant: str | None = None,
    ) -> Pruned:
        return await retention.prune(self._database, retention.Bounds(older_than, keep, max_bytes, tenant))

    async def _change(self, task_id: str, body: Body[T]) -> T:
        """A transaction about one task, whose row may break a constraint if somebody has changed it."""
        try:
            return await self._database.write(body)
        except IntegrityError as error:
            raise JournalDamaged(
                f"task {task_id} cannot be changed, since its row is damaged: {error.orig}"
            ) from error

    def _json(self, value: Any, spared: codec.Places = frozenset()) -> str:
        return codec.dumps(self._redacted(value, spared))

    def _searched(self, question: Any) -> str:
        return searched(self._redacted(question, frozenset()))

    def _redacted(self, value: Any, spared: codec.Places) -> Any:
        return value if self.redact is None else codec.redacted(value, self.redact, spared)

    def _values(self, new: NewTask) -> dict[str, Any]:
        return {
            "tenant": new.tenant,
            "question": self._json(new.question),
            "searched": self._searched(new.question),
            "planner": new.planner,
            "options": self._json(new.options),
            "seed": new.seed,
            "idempotency_key": new.idempotency_key,
            "parent_id": new.parent_id,
            "fork_at": new.fork_at,
            "submitted_by": new.submitted_by,
            "priority": new.priority.value,
            "deadline": new.deadline,
            "webhook": new.webhook,
            "trace_parent": new.trace_parent,
        }

    async def _commit(self, portions: Sequence[Portion]) -> None:
        try:
            await self._commit_together(portions)
        except StorageDamaged as error:
            self._damaged = error
            raise
        except (IntegrityError, NotStorable):
            # One portion spoils the transaction for all. Storing each by itself finds it; and if a shared
            # text was merely pruned in the meantime, the second try stores it again.
            for portion in portions:
                try:
                    await self._commit_together([portion])
                except IntegrityError as error:
                    portion.error = JournalConflict(f"task {portion.task_id}: {error.orig}")
                except StorageError as error:
                    portion.error = error

    async def _commit_together(self, portions: Sequence[Portion]) -> None:
        attempts = 0

        def body(connection: Connection) -> None:
            nonlocal attempts
            attempts += 1
            commit(connection, portions, again=attempts > 1)

        await self._database.write(body)
        self._damaged = None


def _rows(
    events: Iterable[Event], redacted: Callable[[Any, codec.Places], Any]
) -> tuple[list[Row], dict[str, str]]:
    """The rows of a journal, and the texts that they refer to, by hash."""
    rows: list[Row] = []
    shared: dict[str, str] = {}
    for event in events:
        data, texts = codec.pack(redacted(event.data, codec.EVENT_IDENTIFIERS))
        rows.append((event.seq, event.type.value, event.path, event.at, data))
        shared.update(texts)
    return rows, shared
