"""The store on a database: every statement that serves tasks and journals is here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Row,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from typing_extensions import override

from storage import codec
from storage.database import Database, clock, open_database
from storage.errors import (
    IdempotencyConflict,
    IllegalTransition,
    JournalConflict,
    LeaseLost,
    StorageError,
    TaskNotFound,
)
from storage.events import Event, EventType
from storage.journal import Ending, Journal, Portion
from storage.store import MAX_ATTEMPTS, Store, Writer
from storage.tables import events, tasks, text_uses, texts
from storage.tasks import Claim, NewTask, Task, TaskStatus, new_task_id

PAGE = 500
"""Events that a reader holds in memory at a time."""


class SqlStore(Store):
    """Tasks and journals in SQLite or PostgreSQL."""

    def __init__(self, database: Database, redact: codec.Redact | None) -> None:
        self._database = database
        self._redact = redact
        self._journal = Journal(self._commit, redact=redact)
        self._closed = False

    @classmethod
    async def connect(cls, url: str | None, *, redact: codec.Redact | None = None) -> SqlStore:
        """See :meth:`Store.open`."""
        return cls(await open_database(url), redact)

    @override
    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._journal.close()
            await self._database.close()

    @override
    async def submit(self, new: NewTask) -> Task:
        values = self._new_values(new)
        return await self._database.write(lambda connection: _submit(connection, values))

    @override
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        values = self._new_values(new)

        def body(connection: Connection) -> Claim:
            task = _submit(connection, values)
            return _claim_task(connection, task.id, owner, lease_seconds)

        return await self._database.write(body)

    @override
    async def get(self, task_id: str) -> Task:
        return await self._database.read(lambda connection: _get(connection, task_id))

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
                last = _get(connection, before)
                page = page.where(tuple_(tasks.c.created_at, tasks.c.id) < tuple_(last.created_at, last.id))
            return tuple(_task(row) for row in connection.execute(page))

        return await self._database.read(body)

    @override
    async def request_cancel(self, task_id: str) -> Task:
        queued = tasks.c.status == TaskStatus.QUEUED.value

        def body(connection: Connection) -> Task:
            connection.execute(
                update(tasks)
                .where(tasks.c.id == task_id, _is_open())
                .values(
                    cancel_requested=True,
                    status=case((queued, TaskStatus.CANCELLED.value), else_=tasks.c.status),
                    finished_at=case((queued, clock(connection)), else_=tasks.c.finished_at),
                )
            )
            return _get(connection, task_id)

        return await self._database.write(body)

    @override
    async def claim(
        self, owner: str, lease_seconds: float, *, max_attempts: int = MAX_ATTEMPTS
    ) -> Claim | None:
        def body(connection: Connection) -> Claim | None:
            while (candidate := connection.execute(_oldest_claimable(connection)).first()) is not None:
                task = _task(candidate)
                if task.status is TaskStatus.QUEUED or task.attempts < max_attempts:
                    return _take(connection, task.id, owner, lease_seconds)
                _bury(connection, task)
            return None

        return await self._database.write(body)

    @override
    async def claim_task(self, task_id: str, owner: str, lease_seconds: float) -> Claim:
        return await self._database.write(
            lambda connection: _claim_task(connection, task_id, owner, lease_seconds)
        )

    @override
    async def heartbeat(self, claim: Claim) -> Claim:
        def body(connection: Connection) -> Claim:
            expires = clock(connection) + claim.lease_seconds
            task = _update_held(connection, claim, {"lease_expires_at": expires})
            return Claim(task=task, owner=claim.owner, fence=claim.fence, lease_seconds=claim.lease_seconds)

        return await self._database.write(body)

    @override
    async def release(self, claim: Claim) -> Task:
        values = {
            "status": TaskStatus.QUEUED.value,
            "attempts": tasks.c.attempts - 1,
            "lease_owner": None,
            "lease_expires_at": None,
        }
        return await self._database.write(lambda connection: _update_held(connection, claim, values))

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
            raise IllegalTransition(f"task {claim.task.id} cannot finish as {status}: it is not an end")
        ending = Ending(status, outcome, self._json(solution), self._json(error))
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
    async def last_seq(self, task_id: str) -> int:
        def body(connection: Connection) -> int:
            last = connection.execute(
                select(func.max(events.c.seq)).where(events.c.task_id == task_id)
            ).scalar()
            if last is None:
                _get(connection, task_id)
                return -1
            return int(last)

        return await self._database.read(body)

    def _json(self, value: Any) -> str | None:
        if value is None:
            return None
        return codec.dumps(value if self._redact is None else codec.redacted(value, self._redact))

    def _new_values(self, new: NewTask) -> dict[str, Any]:
        return {
            "id": new_task_id(),
            "tenant": new.tenant,
            "status": TaskStatus.QUEUED.value,
            "question": self._json(new.question) or "null",
            "planner": new.planner,
            "options": self._json(new.options),
            "seed": new.seed,
            "idempotency_key": new.idempotency_key,
            "parent_id": new.parent_id,
            "fork_at": new.fork_at,
            "cancel_requested": False,
            "attempts": 0,
            "lease_fence": 0,
        }

    async def _commit(self, portions: Sequence[Portion]) -> None:
        try:
            await self._commit_together(portions)
        except IntegrityError:
            # One portion spoils the transaction of all. Storing each by itself finds it; and if it was only
            # that a shared text was pruned under our hands, the second try stores it again.
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
            _append(connection, portions, again=attempts > 1)

        await self._database.write(body)


def _submit(connection: Connection, values: Mapping[str, Any]) -> Task:
    connection.execute(
        _insert(connection.dialect, tasks)
        .values(**values, created_at=clock(connection))
        .on_conflict_do_nothing()
    )
    row = connection.execute(select(tasks).where(tasks.c.id == values["id"])).first()
    if row is not None:
        return _task(row)
    first = connection.execute(
        select(tasks).where(
            tasks.c.tenant == values["tenant"], tasks.c.idempotency_key == values["idempotency_key"]
        )
    ).one()
    if any(getattr(first, key) != values[key] for key in ("question", "planner", "options")):
        raise IdempotencyConflict(
            f"idempotency key {values['idempotency_key']!r} belongs to task {first.id}, which asked for "
            "something else; use another key for another question"
        )
    return _task(first)


def _get(connection: Connection, task_id: str) -> Task:
    row = connection.execute(select(tasks).where(tasks.c.id == task_id)).first()
    if row is None:
        raise _not_found(task_id)
    return _task(row)


def _claim_task(connection: Connection, task_id: str, owner: str, lease_seconds: float) -> Claim:
    query = select(tasks, (tasks.c.lease_expires_at < clock(connection)).label("lapsed"))
    row = connection.execute(query.where(tasks.c.id == task_id).with_for_update(key_share=True)).first()
    if row is None:
        raise _not_found(task_id)
    if row.status == TaskStatus.QUEUED or row.lapsed:
        return _take(connection, task_id, owner, lease_seconds)
    if row.status == TaskStatus.RUNNING:
        raise IllegalTransition(
            f"task {task_id} is being run by {row.lease_owner}, whose lease has not lapsed"
        )
    raise IllegalTransition(
        f"task {task_id} has {row.status}; it cannot be run again, only replayed or forked"
    )


def _oldest_claimable(connection: Connection) -> Select[Any]:
    return (
        select(tasks)
        .where(
            _is_open(),
            or_(
                tasks.c.status == TaskStatus.QUEUED.value,
                tasks.c.lease_expires_at < clock(connection),
            ),
        )
        .order_by(tasks.c.created_at, tasks.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )


def _take(connection: Connection, task_id: str, owner: str, lease_seconds: float) -> Claim:
    now = clock(connection)
    row = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id)
        .values(
            status=TaskStatus.RUNNING.value,
            started_at=func.coalesce(tasks.c.started_at, now),
            attempts=tasks.c.attempts + 1,
            lease_owner=owner,
            lease_fence=tasks.c.lease_fence + 1,
            lease_expires_at=now + lease_seconds,
        )
        .returning(*tasks.c)
    ).one()
    return Claim(task=_task(row), owner=owner, fence=row.lease_fence, lease_seconds=lease_seconds)


def _bury(connection: Connection, task: Task) -> None:
    reason = f"given up after {task.attempts} attempts; the last, by {task.lease_owner}, let its lease lapse"
    connection.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(
            status=TaskStatus.DEAD.value,
            finished_at=clock(connection),
            error=codec.dumps({"code": "attempts_exhausted", "message": reason}),
            lease_owner=None,
            lease_expires_at=None,
        )
    )


def _update_held(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> Task:
    """Change the task if the claim still holds it."""
    row = connection.execute(
        update(tasks)
        .where(
            tasks.c.id == claim.task.id,
            tasks.c.status == TaskStatus.RUNNING.value,
            tasks.c.lease_fence == claim.fence,
        )
        .values(**values)
        .returning(*tasks.c)
    ).first()
    if row is None:
        raise _lost(_get(connection, claim.task.id), claim.fence)
    return _task(row)


def _append(connection: Connection, portions: Sequence[Portion], *, again: bool) -> None:
    """Store the portions whose fence holds; the others get a LeaseLost.

    ``again``: an earlier try may have been committed before its connection broke. The fence says that
    whatever is stored under our numbers is ours.
    """
    sql = _journal_sql(connection.dialect)
    ids = [portion.task_id for portion in portions]
    held = {row.id: row for row in connection.exec_driver_sql(sql.fences, (_array(connection.dialect, ids),))}
    stored = _last_seqs(connection, ids) if again else {}
    accepted: list[Portion] = []
    for portion in portions:
        portion.error = None
        row = held.get(portion.task_id)
        if row is None:
            portion.error = _not_found(portion.task_id)
        elif row.lease_fence == portion.fence and row.status == TaskStatus.RUNNING:
            accepted.append(portion)
        elif not (again and portion.ending and row.lease_fence == portion.fence):
            portion.error = _lost(row, portion.fence)
    shared = {key: text for portion in accepted for key, text in portion.texts.items()}
    if shared:
        # Sorted, so that two processes that store the same texts wait for each other but never in a circle.
        connection.exec_driver_sql(sql.texts, sorted(shared.items()))
        connection.exec_driver_sql(
            sql.text_uses, [(portion.task_id, key) for portion in accepted for key in portion.texts]
        )
    rows = [row for portion in accepted for row in portion.rows]
    if stored:
        rows = [row for row in rows if row[1] > stored.get(row[0], -1)]
    if rows:
        connection.exec_driver_sql(sql.events, rows)
    endings = [
        {"_id": portion.task_id, **asdict(portion.ending)}
        for portion in accepted
        if portion.ending is not None
    ]
    if endings:
        connection.execute(_FINISH.values(finished_at=clock(connection)), endings)


@dataclass(frozen=True, slots=True)
class _JournalSql:
    """The statements of every batch, compiled once: composing them anew costs more than running them."""

    fences: str
    texts: str
    text_uses: str
    events: str


@lru_cache
def _journal_sql(dialect: Dialect) -> _JournalSql:
    fences = (
        select(tasks.c.id, tasks.c.status, tasks.c.lease_fence, tasks.c.lease_owner)
        .where(_among(dialect, tasks.c.id, bindparam("ids")))
        .order_by(tasks.c.id)  # always in one order, so that two processes cannot deadlock
        .with_for_update(key_share=True)
    )

    def compiled(statement: ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    return _JournalSql(
        fences=compiled(fences),
        texts=compiled(_insert(dialect, texts).on_conflict_do_nothing()),
        text_uses=compiled(_insert(dialect, text_uses).on_conflict_do_nothing()),
        events=compiled(insert(events)),
    )


_FINISH = (
    update(tasks)
    .where(tasks.c.id == bindparam("_id"))
    .values(
        status=bindparam("status"),
        outcome=bindparam("outcome"),
        solution=bindparam("solution"),
        error=bindparam("error"),
        lease_owner=None,
        lease_expires_at=None,
    )
)


def _last_seqs(connection: Connection, task_ids: Sequence[str]) -> dict[str, int]:
    query = (
        select(events.c.task_id, func.max(events.c.seq).label("last"))
        .where(_among(connection.dialect, events.c.task_id, bindparam("ids")))
        .group_by(events.c.task_id)
    )
    return {
        row.task_id: row.last
        for row in connection.execute(query, {"ids": _array(connection.dialect, task_ids)})
    }


def _page(connection: Connection, task_id: str, after: int) -> list[Event]:
    rows = connection.execute(
        select(events)
        .where(events.c.task_id == task_id, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(PAGE)
    ).all()
    if not rows and after < 0:
        _get(connection, task_id)
    wanted = {key for row in rows for key in codec.references(row.data)}
    found = {}
    if wanted:
        dialect = connection.dialect
        query = select(texts.c.hash, texts.c.text).where(_among(dialect, texts.c.hash, bindparam("hashes")))
        rows_of_texts = connection.execute(query, {"hashes": _array(dialect, sorted(wanted))})
        found = {row.hash: row.text for row in rows_of_texts}
    return [
        Event(row.seq, EventType(row.type), row.path, row.at, codec.unpack(row.data, found)) for row in rows
    ]


def _task(row: Row[*tuple[Any, ...]]) -> Task:
    values = {name: value for name, value in row._mapping.items() if name in _TASK_FIELDS}
    for name in ("question", "options", "solution", "error"):
        if values[name] is not None:
            values[name] = json.loads(values[name])
    return Task(**{**values, "status": TaskStatus(row.status)})


_TASK_FIELDS = frozenset(tasks.c.keys())


def _is_open() -> ColumnElement[bool]:
    # As literals, so that the planner sees that the partial index of open tasks serves.
    return tasks.c.status.in_([literal(status, literal_execute=True) for status in ("queued", "running")])


def _among(dialect: Dialect, column: ColumnElement[str], values: BindParameter[Any]) -> ColumnElement[bool]:
    """``column IN values``, as one statement whatever the number of values is; see :func:`_array`."""
    if dialect.name == "postgresql":
        return column == any_(type_coerce(values, ARRAY(Text)))
    return column.in_(select(func.json_each(type_coerce(values, Text)).table_valued("value").c.value))


def _array(dialect: Dialect, values: Sequence[str]) -> list[str] | str:
    return list(values) if dialect.name == "postgresql" else json.dumps(list(values))


def _insert(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def _not_found(task_id: str) -> TaskNotFound:
    return TaskNotFound(f"there is no task {task_id!r}")


def _lost(now: Task | Row[*tuple[Any, ...]], fence: int) -> LeaseLost:
    return LeaseLost(
        f"task {now.id} is {now.status} under fence {now.lease_fence} (owner: {now.lease_owner}); "
        f"a claim with fence {fence} may write nothing more for it"
    )
