"""How much is stored, and removing what is no longer wanted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    LargeBinary,
    Select,
    and_,
    bindparam,
    cast,
    delete,
    func,
    select,
    type_coerce,
)

from storage.refusals import not_deletable, not_found
from storage.sql import columns
from storage.sql.listening import announce
from storage.sql.rows import among, array, get_task, is_open, now
from storage.sql.tables import events, tasks, text_uses, texts
from storage.sql.transactions import Database
from storage.tasks import Pruned

CHUNK = 200
"""How many tasks are removed in one transaction; few enough that writers need not wait long."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may stay; see :meth:`storage.store.Store.prune`."""

    older_than: float | None
    keep: int | None
    max_bytes: int | None
    tenant: str | None


def size(connection: Connection, task_id: str) -> int:
    """See :meth:`storage.store.Store.size`."""
    only: BindParameter[Any] = bindparam("only", task_id)
    row = connection.execute(_sizes(connection, only)).first()
    if row is None:  # or it is pruned in this moment: what an earlier statement saw may be gone
        raise not_found(task_id)
    return int(row.size)


async def prune(database: Database, bounds: Bounds) -> Pruned:
    """See :meth:`storage.store.Store.prune`."""
    total = Pruned(tasks=0, texts=0)
    while chosen := await database.read(lambda connection: _surplus(connection, bounds)):
        removed = await database.write(lambda connection, keys=chosen: _remove(connection, keys))  # type: ignore[misc]
        total = Pruned(tasks=total.tasks + removed.tasks, texts=total.texts + removed.texts)
    await database.write(_shrink)
    return total


def delete_task(connection: Connection, task_id: str, *, again: bool) -> Pruned:
    """See :meth:`storage.store.Store.delete`. ``again``: an earlier try may have been committed."""
    row = connection.execute(select(tasks.c.key).where(tasks.c.id == task_id)).first()
    if row is None:
        if again:
            return Pruned(tasks=1, texts=0)
        raise not_found(task_id)
    gone = _remove(connection, [row.key])
    if not gone.tasks:
        raise not_deletable(get_task(connection, task_id))
    announce(connection, [task_id])
    return gone


def _surplus(connection: Connection, bounds: Bounds) -> Sequence[int]:
    """The keys of the oldest tasks that have to go, at most ``CHUNK`` of them."""
    ended = select(tasks.c.key).where(_free())
    if bounds.tenant is not None:
        ended = ended.where(tasks.c.tenant == bounds.tenant)
    if bounds.older_than is not None:
        too_old = ended.where(tasks.c.finished_at < now(connection) - bounds.older_than)
        if found := connection.execute(too_old.limit(CHUNK)).scalars().all():
            return found
    oldest_last = ended.order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    if bounds.keep is not None:
        page = oldest_last.offset(bounds.keep).limit(CHUNK)
        if found := connection.execute(page).scalars().all():
            return found
    return [] if bounds.max_bytes is None else _too_large(connection, bounds.max_bytes, bounds.tenant)


def _free() -> ColumnElement[bool]:
    """The task has ended, and no open fork of it still has to read its journal."""
    fork = tasks.alias()
    needed = select(fork.c.parent_id).where(is_open(fork), fork.c.parent_id.is_not(None))
    return ~is_open() & tasks.c.id.not_in(needed)


def _too_large(connection: Connection, max_bytes: int, tenant: str | None) -> Sequence[int]:
    sizes = _sizes(connection).subquery()
    query = (
        select(tasks.c.key, _free().label("free"), sizes.c.size)
        .join(sizes, sizes.c.key == tasks.c.key)
        .order_by(tasks.c.created_at, tasks.c.id)
    )
    if tenant is not None:
        query = query.where(tasks.c.tenant == tenant)
    rows = connection.execute(query).all()
    excess = sum(row.size for row in rows) - max_bytes
    chosen: list[int] = []
    for row in rows:
        if excess <= 0 or len(chosen) == CHUNK:
            break
        if row.free:
            chosen.append(row.key)
            excess -= row.size
    return chosen


def _remove(connection: Connection, task_keys: Sequence[int]) -> Pruned:
    dialect = connection.dialect
    keys = {"keys": array(dialect, task_keys)}
    # Checked again with _free(), as a dead task may have been put back meanwhile.
    going = and_(among(dialect, tasks.c.key, bindparam("keys")), _free())
    used = select(text_uses.c.hash).distinct().join(tasks, tasks.c.key == text_uses.c.task_key).where(going)
    hashes = [found for found in connection.execute(used, keys).scalars() if columns.is_text(found)]
    # Journals and uses go with their task. A task that another process has pruned meanwhile does no harm.
    gone = connection.execute(delete(tasks).where(going), keys)
    orphans = delete(texts).where(
        among(dialect, texts.c.hash, bindparam("hashes")),
        ~select(text_uses.c.hash).where(text_uses.c.hash == texts.c.hash).exists(),
    )
    dropped = connection.execute(orphans, {"hashes": array(dialect, hashes)})
    return Pruned(tasks=gone.rowcount, texts=dropped.rowcount)


def _shrink(connection: Connection) -> None:
    """Give free pages back to the file system; on PostgreSQL, autovacuum runs by itself."""
    if connection.dialect.name == "sqlite":
        file = connection.connection.driver_connection
        assert isinstance(file, sqlite3.Connection)
        file.executescript("PRAGMA incremental_vacuum")  # execute() would stop after the first page


def _sizes(connection: Connection, only: BindParameter[Any] | None = None) -> Select[Any]:
    """``key`` and ``size`` in bytes of each task: its rows, plus its share of each text that it uses."""

    def octets(*columns: ColumnElement[Any]) -> ColumnElement[int]:
        if connection.dialect.name == "postgresql":
            lengths = [func.coalesce(func.octet_length(column), 0) for column in columns]
        else:
            lengths = [func.coalesce(func.length(cast(column, LargeBinary)), 0) for column in columns]
        return sum(lengths[1:], lengths[0])

    in_events = select(
        events.c.task_key,
        # Numbers and times take 8 bytes each.
        func.sum(octets(events.c.type, events.c.path, events.c.data) + 24).label("size"),
    ).group_by(events.c.task_key)
    users = select(text_uses.c.hash, func.count().label("count")).group_by(text_uses.c.hash)
    each_text = octets(texts.c.hash, texts.c.text)
    key = select(tasks.c.key).where(tasks.c.id == only).scalar_subquery()
    if only is not None:
        in_events = in_events.where(events.c.task_key == key)
        users = users.where(text_uses.c.hash.in_(select(text_uses.c.hash).where(text_uses.c.task_key == key)))
    by_event, by_user = in_events.subquery(), users.subquery()
    use = octets(text_uses.c.hash) + 8
    in_texts = (
        select(
            text_uses.c.task_key,
            func.sum(use + cast(each_text, Double) / by_user.c.count).label("size"),
        )
        .join(texts, texts.c.hash == text_uses.c.hash)
        .join(by_user, by_user.c.hash == text_uses.c.hash)
        .group_by(text_uses.c.task_key)
    )
    if only is not None:
        in_texts = in_texts.where(text_uses.c.task_key == key)
    by_text = in_texts.subquery()
    written = [column for column in tasks.c if isinstance(column.type, type(tasks.c.id.type))]
    numbers = 8 * (len(tasks.c) - len(written))
    size = octets(*written) + numbers + func.coalesce(by_event.c.size, 0) + func.coalesce(by_text.c.size, 0)
    query = (
        select(tasks.c.key, type_coerce(cast(size, Double), Double).label("size"))
        .outerjoin(by_event, by_event.c.task_key == tasks.c.key)
        .outerjoin(by_text, by_text.c.task_key == tasks.c.key)
    )
    return query if only is None else query.where(tasks.c.id == only)
