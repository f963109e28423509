"""Files and batches in a database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    and_,
    cast,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from typing_extensions import override

from storage.batches import (
    NOTHING,
    UNFINISHED_SECONDS,
    Batch,
    BatchStatus,
    HeldBatch,
    LineResult,
    NewBatch,
    Noted,
    Purpose,
    lost,
    moved,
    no_batch,
    no_file,
    results_file_id,
    results_name,
)
from storage.sql.batch_rows import batch_of, batch_values, dumped
from storage.sql.batch_tables import batch_results, batches, files
from storage.sql.files import IS_OPEN, SqlFiles, file_in, of_tenant
from storage.sql.rows import now


class SqlBatches(SqlFiles):
    """Files and batches in SQLite or PostgreSQL."""

    @override
    async def add(self, new: NewBatch) -> Batch:
        def body(connection: Connection) -> Batch:
            if connection.execute(select(batches.c.id).where(batches.c.id == new.id)).first() is None:
                if file_in(connection, new.input_file_id, new.tenant, lock=True).purpose is not Purpose.BATCH:
                    raise no_file(new.input_file_id)
                connection.execute(insert(batches), [batch_values(new, now(connection))])
            return _batch(connection, new.id, new.tenant)

        return await self._database.write(body)

    @override
    async def get(self, batch_id: str, tenant: str | None) -> Batch:
        return await self._database.read(lambda connection: _batch(connection, batch_id, tenant))

    @override
    async def list(
        self, tenant: str | None, *, limit: int = 100, after: str | None = None
    ) -> Sequence[Batch]:
        query = select(batches).where(of_tenant(batches.c.tenant, tenant))
        if after is not None:
            query = query.where(batches.c.id < after)
        ordered = query.order_by(batches.c.id.desc()).limit(limit)

        def body(connection: Connection) -> Sequence[Batch]:
            return _with_files(connection, [batch_of(row) for row in connection.execute(ordered)])

        return await self._database.read(body)

    @override
    async def request_cancel(self, batch_id: str, tenant: str | None) -> Batch:
        def body(connection: Connection) -> Batch:
            found = _batch(connection, batch_id, tenant, lock=True)
            if not found.status.terminal and found.status is not BatchStatus.CANCELLING:
                _move(connection, found, BatchStatus.CANCELLING)
            return _batch(connection, batch_id, tenant)

        return await self._database.write(body)

    @override
    async def claim(
        self, owner: str, lease_seconds: float, *, without: Collection[str] = ()
    ) -> HeldBatch | None:
        def free(connection: Connection) -> ColumnElement[bool]:
            lease = batches.c.lease_expires_at
            others = batches.c.tenant.not_in(sorted(without))
            return and_(IS_OPEN, others, or_(lease.is_(None), lease < now(connection)))

        def waits(connection: Connection) -> bool:
            return (
                connection.execute(select(batches.c.id).where(free(connection)).limit(1)).first() is not None
            )

        def body(connection: Connection) -> HeldBatch | None:
            query = select(batches.c.id).where(free(connection)).order_by(batches.c.id).limit(1)
            found = connection.execute(query.with_for_update(skip_locked=True)).scalar()
            if found is None:
                return None
            connection.execute(
                update(batches)
                .where(batches.c.id == found)
                .values(
                    lease_owner=owner,
                    lease_fence=batches.c.lease_fence + 1,
                    lease_expires_at=now(connection) + lease_seconds,
                )
            )
            batch = _batch(connection, found, None)
            return HeldBatch(batch=batch, owner=owner, fence=batch.lease_fence, lease_seconds=lease_seconds)

        return await self._database.write(body) if await self._database.read(waits) else None

    @override
    async def done(self, batch_id: str) -> frozenset[int]:
        query = select(batch_results.c.line).where(batch_results.c.batch_id == batch_id)
        return await self._database.read(lambda connection: frozenset(connection.execute(query).scalars()))

    @override
    async def note(
        self, held: HeldBatch, results: Sequence[LineResult] = (), changes: Noted = NOTHING
    ) -> HeldBatch:
        ended: Batch | None = None

        def body(connection: Connection) -> HeldBatch:
            nonlocal ended
            row = connection.execute(
                select(batches).where(batches.c.id == held.batch.id).with_for_update()
            ).first()
            if row is None or row.lease_fence != held.fence or row.lease_owner != held.owner:
                if ended is not None:  # the connection broke after this was committed
                    return replace(held, batch=ended)
                raise lost(held.batch.id, held.fence)
            batch = batch_of(row)
            new = _put_results(connection, batch.id, results)
            values = {
                "lease_expires_at": now(connection) + held.lease_seconds,
                "completed": batch.completed + sum(not each.failed for each in new),
                "failed": batch.failed + sum(each.failed for each in new),
                "prompt_tokens": batch.prompt_tokens + sum(each.prompt_tokens for each in new),
                "completion_tokens": batch.completion_tokens + sum(each.completion_tokens for each in new),
                **({} if changes.total is None else {"total": changes.total}),
                **({} if changes.errors is None else {"errors": dumped(list(changes.errors))}),
            }
            connection.execute(update(batches).where(batches.c.id == batch.id).values(**values))
            status = moved(batch.status, changes.status)
            if status is not batch.status:
                _move(connection, batch, status)
            if status.terminal:
                _make_files(connection, _batch(connection, batch.id, None))
                ended = _batch(connection, batch.id, None)
            return replace(held, batch=_batch(connection, batch.id, None))

        return await self._database.write(body)

    @override
    async def release(self, held: HeldBatch) -> None:
        mine = and_(batches.c.id == held.batch.id, batches.c.lease_fence == held.fence)
        statement = update(batches).where(mine).values(lease_owner=None, lease_expires_at=None)
        await self._database.write(lambda connection: connection.execute(statement))

    @override
    async def prune(self, *, older_than: float | None = None, tenant: str | None = None) -> int:
        def body(connection: Connection) -> int:
            time, gone = now(connection), 0
            needed = select(batches.c.input_file_id).where(IS_OPEN)
            going = or_(
                files.c.expires_at < time,
                and_(files.c.size.is_(None), files.c.created_at < time - UNFINISHED_SECONDS),
            )
            if older_than is not None:
                old = and_(
                    ~IS_OPEN,
                    batches.c.created_at < time - older_than,
                    of_tenant(batches.c.tenant, tenant),
                )
                ended = [
                    each.id
                    for each in map(batch_of, connection.execute(select(batches).where(old)))
                    if max(each.times.values(), default=each.created_at) < time - older_than
                ]
                for batch_id in ended:
                    gone += connection.execute(delete(files).where(files.c.batch_id == batch_id)).rowcount
                    gone += connection.execute(delete(batches).where(batches.c.id == batch_id)).rowcount
                going = or_(going, and_(files.c.created_at < time - older_than, files.c.batch_id.is_(None)))
            free = and_(going, of_tenant(files.c.tenant, tenant), files.c.id.not_in(needed))
            return gone + connection.execute(delete(files).where(free)).rowcount

        return await self._database.write(body)


def _batch(connection: Connection, batch_id: str, tenant: str | None, *, lock: bool = False) -> Batch:
    query = select(batches).where(batches.c.id == batch_id, of_tenant(batches.c.tenant, tenant))
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise no_batch(batch_id)
    return _with_files(connection, [batch_of(row)])[0]


def _with_files(connection: Connection, found: Sequence[Batch]) -> Sequence[Batch]:
    """The batches with the ids of their results, as far as those are there."""
    ids = [each.id for each in found if each.status.terminal]
    query = select(files.c.id, files.c.batch_id, files.c.failed).where(files.c.batch_id.in_(ids))
    made = {(row.batch_id, bool(row.failed)): row.id for row in connection.execute(query)} if ids else {}
    return [
        replace(each, output_file_id=made.get((each.id, False)), error_file_id=made.get((each.id, True)))
        for each in found
    ]


def _put_results(
    connection: Connection, batch_id: str, results: Sequence[LineResult]
) -> Sequence[LineResult]:
    """Store those results whose lines have none; returns them."""
    if not results:
        return ()
    numbers = [each.line for each in results]
    each = batch_results.c
    there = select(each.line).where(each.batch_id == batch_id, each.line.in_(numbers))
    known = set(connection.execute(there).scalars())
    new = [result for result in results if result.line not in known]
    if new:
        connection.execute(
            insert(batch_results),
            [{"batch_id": batch_id, "line": r.line, "failed": r.failed, "body": r.body} for r in new],
        )
    return new


def _move(connection: Connection, batch: Batch, status: BatchStatus) -> None:
    times = {**batch.times, status.value: now(connection)}
    ends = {"lease_owner": null(), "lease_expires_at": null()} if status.terminal else {}
    connection.execute(
        update(batches)
        .where(batches.c.id == batch.id)
        .values(status=status.value, times=dumped(times), **ends)
    )


def _make_files(connection: Connection, batch: Batch) -> None:
    """Let the results of a batch be files, as far as there are any."""
    each = batch_results.c
    octets = func.octet_length if connection.dialect.name == "postgresql" else func.length
    body = each.body if connection.dialect.name == "postgresql" else cast(each.body, LargeBinary)
    for failed in (False, True):
        count, size = connection.execute(
            select(func.count(), func.sum(octets(body) + 1)).where(
                each.batch_id == batch.id, each.failed == failed
            )
        ).one()
        if count:
            row = {"id": results_file_id(batch.id, failed=failed), "tenant": batch.tenant, "size": int(size)}
            named = {"name": results_name(batch, failed=failed), "purpose": Purpose.OUTPUT.value}
            of = {"batch_id": batch.id, "failed": failed, "created_at": now(connection)}
            connection.execute(insert(files), [{**row, **named, **of}])
