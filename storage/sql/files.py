"""Files in a database: those that clients send, and those that batches leave."""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true, update
from typing_extensions import override

from storage.batches import OPEN_BATCHES, Batches, File, NewFile, Purpose, files_full, in_use, no_file
from storage.sql.batch_rows import file_of
from storage.sql.batch_tables import batch_results, batches, file_parts, files
from storage.sql.rows import now
from storage.sql.transactions import Database

PAGE = 200
"""How many results are read at a time."""

FILES_LOCK = 0x616E6162
"""The seed of the numbers of the locks under which the files of tenants come to be there."""

IS_OPEN = batches.c.status.in_(sorted(OPEN_BATCHES))


class SqlFiles(Batches, ABC):
    """The part of a store of batches that is about files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add_file(self, new: NewFile, parts: AsyncIterator[bytes], *, most: int) -> File:
        def begin(connection: Connection) -> int:
            time = now(connection)
            if connection.execute(select(files.c.id).where(files.c.id == new.id)).first() is None:
                row = {"id": new.id, "tenant": new.tenant, "name": new.name, "created_at": time}
                ends = None if new.lasts is None else time + new.lasts
                connection.execute(
                    insert(files), [{**row, "purpose": Purpose.BATCH.value, "expires_at": ends}]
                )
            return _taken(connection, new.tenant)

        taken, size, seq = await self._database.write(begin), 0, 0
        try:
            async for part in parts:
                if taken + size + len(part) > most:
                    raise files_full(new.tenant, most)
                await self._database.write(partial(_put, file_id=new.id, seq=seq, part=part))
                size, seq = size + len(part), seq + 1
            return await self._database.write(partial(_end, new=new, size=size, most=most))
        except BaseException:
            await self._database.write(lambda connection: _drop_file(connection, new.id))
            raise

    @override
    async def file(self, file_id: str, tenant: str | None) -> File:
        return await self._database.read(lambda connection: file_in(connection, file_id, tenant))

    @override
    async def files(
        self,
        tenant: str | None,
        *,
        purpose: Purpose | None = None,
        limit: int = 100,
        after: str | None = None,
        oldest_first: bool = False,
    ) -> Sequence[File]:
        query = select(files).where(files.c.size.is_not(None), of_tenant(files.c.tenant, tenant))
        if purpose is not None:
            query = query.where(files.c.purpose == purpose.value)
        if after is not None:
            query = query.where(files.c.id > after if oldest_first else files.c.id < after)
        ordered = query.order_by(files.c.id if oldest_first else files.c.id.desc()).limit(limit)
        return await self._database.read(lambda connection: [*map(file_of, connection.execute(ordered))])

    @override
    async def read_file(self, file: File) -> AsyncIterator[bytes]:
        if file.batch_id is not None:
            async for part in self._results(file.batch_id, failed=bool(file.failed)):
                yield part
            return
        seq = 0
        while True:
            query = select(file_parts.c.data).where(file_parts.c.file_id == file.id, file_parts.c.seq == seq)
            row = await self._database.read(lambda connection, query=query: connection.execute(query).first())  # type: ignore[misc]
            if row is None:
                return
            yield bytes(row.data)
            seq += 1

    async def _results(self, batch_id: str, *, failed: bool) -> AsyncIterator[bytes]:
        after = 0
        while True:
            each = batch_results.c
            query = (
                select(each.line, each.body)
                .where(each.batch_id == batch_id, each.failed == failed, each.line > after)
                .order_by(each.line)
                .limit(PAGE)
            )
            rows = await self._database.read(lambda connection, query=query: connection.execute(query).all())  # type: ignore[misc]
            if not rows:
                return
            yield "".join(f"{row.body}\n" for row in rows).encode()
            after = rows[-1].line

    @override
    async def remove_file(self, file_id: str, tenant: str | None) -> File:
        found: File | None = None

        def body(connection: Connection) -> File:
            nonlocal found
            if found is None:  # else it may have been removed before the connection broke
                found = file_in(connection, file_id, tenant)
            using = select(batches.c.id).where(IS_OPEN, batches.c.input_file_id == file_id)
            if (batch_id := connection.execute(using).scalar()) is not None:
                raise in_use(file_id, batch_id)
            if found.batch_id is not None:
                each = batch_results.c
                connection.execute(
                    delete(batch_results).where(each.batch_id == found.batch_id, each.failed == found.failed)
                )
            _drop_file(connection, file_id)
            return found

        return await self._database.write(body)


def of_tenant(column: ColumnElement[str], tenant: str | None) -> ColumnElement[bool]:
    """The row is of that tenant; None: of any."""
    return true() if tenant is None else column == tenant


def _put(connection: Connection, *, file_id: str, seq: int, part: bytes) -> None:
    there = select(file_parts.c.seq).where(file_parts.c.file_id == file_id, file_parts.c.seq == seq)
    if connection.execute(there).first() is None:
        connection.execute(insert(file_parts), [{"file_id": file_id, "seq": seq, "data": part}])


def _taken(connection: Connection, tenant: str) -> int:
    """The bytes of the files of a tenant that have arrived."""
    taken = select(func.coalesce(func.sum(files.c.size), 0)).where(files.c.tenant == tenant)
    return int(connection.execute(taken).scalar_one())


def _end(connection: Connection, *, new: NewFile, size: int, most: int) -> File:
    """Let a file be there, unless others that came meanwhile have taken its room."""
    if connection.dialect.name == "postgresql":  # else writing is for one at a time
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(new.tenant, FILES_LOCK))))
    connection.execute(update(files).where(files.c.id == new.id).values(size=size))
    if _taken(connection, new.tenant) > most:
        raise files_full(new.tenant, most)
    return file_in(connection, new.id, new.tenant)


def _drop_file(connection: Connection, file_id: str) -> None:
    connection.execute(delete(files).where(files.c.id == file_id))


def file_in(connection: Connection, file_id: str, tenant: str | None, *, lock: bool = False) -> File:
    """A file that is whole; with ``lock``, it stays until the commit."""
    query = select(files).where(
        files.c.id == file_id, files.c.size.is_not(None), of_tenant(files.c.tenant, tenant)
    )
    row = connection.execute(query.with_for_update(read=True) if lock else query).first()
    if row is None:
        raise no_file(file_id)
    return file_of(row)
