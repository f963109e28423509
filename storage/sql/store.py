"""The store on a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Dialect, Select, bindparam, case, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from typing_extensions import override

from storage import codec
from storage.errors import IllegalTransition, JournalConflict, JournalDamaged, NotStorable, StorageError
from storage.events import Event, EventType
from storage.refusals import exists, not_ended, not_found
from storage.sql import lease, retention
from storage.sql.commit import commit, restore
from storage.sql.database import Database, open_database
from storage.sql.journal import Arrival, Ending, Journal, Portion, Row
from storage.sql.rows import JSON_COLUMNS, TASK_COLUMNS, AnyRow, among, array, get_task, is_open, now, task_of
from storage.sql.tables import events, tasks, texts
from storage.store import MAX_ATTEMPTS, Store, Writer
from storage.tasks import Claim, NewTask, Pruned, Task, TaskStatus, new_task_id

PAGE = 500
"""How many events a reader holds in memory at a time."""

JOURNALS = 8
"""How many journals are requested at a time. Those that are not whole in a page are read one by one."""


class SqlStore(Store):
    """Tasks and journals in SQLite or PostgreSQL."""

    def __init__(self, database: Database, redact: codec.Redact | None) -> None:
        self._database = database
        self.redact = redact
        self._journal = Journal(self._commit, redact=redact)
        self._closed = False

    @classmethod
    async def connect(cls, url: str | None, redact: codec.Redact | None = None) -> SqlStore:
        """See :func:`storage.opening.open_store`."""
        return cls(await open_database(url), redact)

    @override
    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._journal.close()
            finally:
                await self._database.close()

    @override
    async def submit(self, new: NewTask) -> Task:
        return await self._journal.add(new_task_id(), Arrival(self._values(new)))

    @override
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        task_id = new_task_id()
        valid_until = monotonic() + lease_seconds
        task = await self._journal.add(task_id, Arrival(self._values(new), owner, lease_seconds))
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
        self,
        *,
        tenant: str | None = None,
        status: TaskStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Task, ...]:
        query = select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(tasks.c.tenant == tenant)
        if status is not None:
            query = query.where(tasks.c.status == status.value)

        def body(connection: Connection) -> tuple[Task, ...]:
            page = query
            if before is not None:
                last = get_task(connection, before)
                if tenant not in (None, last.tenant):
                    raise not_found(before)
                page = page.where(tuple_(tasks.c.created_at, tasks.c.id) < tuple_(last.created_at, last.id))
            return tuple(task_of(row) for row in connection.execute(page))

        return await self._database.read(body)

    @override
    async def request_cancel(self, task_id: str) -> Task:
        queued = tasks.c.status == TaskStatus.QUEUED.value

        def body(connection: Connection) -> Task:
            connection.execute(
                update(tasks)
                .where(tasks.c.id == task_id, is_open())
                .values(
                    cancel_requested=True,
                    status=case((queued, TaskStatus.CANCELLED.value), else_=tasks.c.status),
                    finished_at=case((queued, now(connection)), else_=tasks.c.finished_at),
                )
            )
            return get_task(connection, task_id)

        return await self._database.write(body)

    @override
    async def claim(
        self, owner: str, lease_seconds: float, *, max_attempts: int = MAX_ATTEMPTS
    ) -> Claim | None:
        return await self._database.write(
            lambda connection: lease.claim_oldest(connection, owner, lease_seconds, max_attempts)
        )

    @override
    async def claim_task(self, task_id: str, owner: str, lease_seconds: float) -> Claim:
        return await self._database.write(
            lambda connection: lease.claim_task(connection, task_id, owner, lease_seconds)
        )

    @override
    async def heartbeat(self, claim: Claim) -> Claim:
        return await self._database.write(lambda connection: lease.renew(connection, claim))

    @override
    async def release(self, claim: Claim) -> Task:
        await self._journal.drained()  # once the task is released, the journal accepts nothing more for it
        return await self._database.write(lambda connection: lease.release(connection, claim))

    @override
    async def requeue(self, task_id: str) -> Task:
        return await self._database.write(lambda connection: lease.requeue(connection, task_id))

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
        )
        await self._journal.finish(claim.task.id, claim.fence, ending)

    @override
    def writer(self, task_id: str, fence: int, *, next_seq: int = 0) -> Writer:
        return self._journal.writer(task_id, fence, next_seq)

    @override
    async def read(self, task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
        while True:
            page = await self._database.read(
                lambda connection, after=after: _page(connection, task_id, after)  # type: ignore[misc]
            )
            for event in page:
                yield event
            if len(page) < PAGE:
                return
            after = page[-1].seq

    @override
    async def journals(self, task_ids: Iterable[str]) -> AsyncIterator[tuple[str, Sequence[Event]]]:
        remaining = iter(task_ids)
        while batch := list(islice(remaining, JOURNALS)):
            short = await self._database.read(
                lambda connection, batch=batch: _journals(connection, batch)  # type: ignore[misc]
            )
            for task_id in batch:
                yield task_id, short.get(task_id) or [event async for event in self.read(task_id)]

    @override
    async def last_seq(self, task_id: str) -> int:
        def body(connection: Connection) -> int:
            last = connection.execute(
                _OF_TASK.with_only_columns(func.max(events.c.seq)), {"task_id": task_id}
            ).scalar()
            if last is None:
                get_task(connection, task_id)
                return -1
            return int(last)

        return await self._database.read(body)

    @override
    async def restore(self, task: Task, events: Iterable[Event]) -> Task:
        if not task.status.terminal:
            raise not_ended(task)
        values = {name: getattr(task, name) for name in TASK_COLUMNS}
        values |= {"status": task.status.value, "lease_owner": None, "lease_expires_at": None}
        for name in JSON_COLUMNS:
            if values[name] is not None:
                spared = codec.ENDING_IDENTIFIERS if name in ("solution", "error") else frozenset()
                values[name] = self._json(values[name], spared)
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
    async def prune(
        self,
        *,
        older_than: float | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        tenant: str | None = None,
    ) -> Pruned:
        bounds = retention.Bounds(older_than, keep, max_bytes, tenant)
        return await retention.prune(self._database, bounds)

    def _json(self, value: Any, spared: codec.Places = frozenset()) -> str:
        return codec.dumps(self._redacted(value, spared))

    def _redacted(self, value: Any, spared: codec.Places) -> Any:
        return value if self.redact is None else codec.redacted(value, self.redact, spared)

    def _values(self, new: NewTask) -> dict[str, Any]:
        return {
            "tenant": new.tenant,
            "question": self._json(new.question),
            "planner": new.planner,
            "options": self._json(new.options),
            "seed": new.seed,
            "idempotency_key": new.idempotency_key,
            "parent_id": new.parent_id,
            "fork_at": new.fork_at,
        }

    async def _commit(self, portions: Sequence[Portion]) -> None:
        try:
            await self._commit_together(portions)
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


_OF_TASK = (
    select(events).join(tasks, tasks.c.key == events.c.task_key).where(tasks.c.id == bindparam("task_id"))
)
_PAGE = _OF_TASK.where(events.c.seq > bindparam("after")).order_by(events.c.seq).limit(PAGE)


def _page(connection: Connection, task_id: str, after: int) -> list[Event]:
    rows = connection.execute(_PAGE, {"task_id": task_id, "after": after}).all()
    if not rows and after < 0:
        get_task(connection, task_id)
    return _unpacked(connection, [(task_id, row) for row in rows])


def _journals(connection: Connection, task_ids: Sequence[str]) -> dict[str, list[Event]]:
    """The journals of these tasks, as many as fit whole into a page."""
    rows = connection.execute(
        _first_page(connection.dialect), {"task_ids": array(connection.dialect, task_ids)}
    ).all()
    cut = rows[-1].id if len(rows) == PAGE else None
    found: dict[str, list[Event]] = {}
    try:
        for row, event in zip(rows, _unpacked(connection, [(row.id, row) for row in rows]), strict=True):
            if row.id != cut:
                found.setdefault(row.id, []).append(event)
    except JournalDamaged:  # reading them one by one shows which
        return {}
    return found


def _unpacked(connection: Connection, rows: Sequence[tuple[str, AnyRow]]) -> list[Event]:
    """The events in the rows, each of which is paired with the id of its task."""
    wanted = {key for _, row in rows for key in codec.references(row.data)}
    found = {}
    if wanted:
        hashes = array(connection.dialect, sorted(wanted))
        query = connection.execute(_texts(connection.dialect), {"hashes": hashes})
        found = {row.hash: row.text for row in query}
    unpack = codec.unpacker(found)

    def read(task_id: str, row: AnyRow) -> Event:
        try:
            data = unpack(row.data)
            if not isinstance(data, dict):
                raise TypeError("it is not a JSON object")
            return Event(row.seq, EventType(row.type), row.path, row.at, data)
        except KeyError as error:
            why = f"it refers to a text that is gone, {error}"
        except (TypeError, ValueError, RecursionError) as error:
            why = str(error)
        raise JournalDamaged(f"task {task_id}: event {row.seq} ({row.type}) cannot be read: {why}")

    return [read(task_id, row) for task_id, row in rows]


@lru_cache(maxsize=8)
def _first_page(dialect: Dialect) -> Select[Any]:
    return (
        select(events, tasks.c.id)
        .join(tasks, tasks.c.key == events.c.task_key)
        .where(among(dialect, tasks.c.id, bindparam("task_ids")))
        .order_by(events.c.task_key, events.c.seq)
        .limit(PAGE)
    )


@lru_cache(maxsize=8)
def _texts(dialect: Dialect) -> Select[Any]:
    return select(texts).where(among(dialect, texts.c.hash, bindparam("hashes")))
