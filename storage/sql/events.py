"""Reads journals: their events out of rows, or what is wrong with a row that is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, bindparam, func, select

from storage import codec
from storage.errors import JournalDamaged
from storage.events import Event, EventType
from storage.refusals import not_found
from storage.sql import columns
from storage.sql.rows import AnyRow, among, array, get_task
from storage.sql.tables import events, tasks, texts

PAGE = 500
"""How many events a reader holds in memory at a time."""

_PAGE = (
    select(events)
    .join(tasks, tasks.c.key == events.c.task_key)
    .where(tasks.c.id == bindparam("task_id"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(PAGE)
)
_KEY = select(tasks.c.key).where(tasks.c.id == bindparam("task_id"))
_LAST = select(func.max(events.c.seq)).where(events.c.task_key == bindparam("key"))


def page(connection: Connection, task_id: str, after: int) -> list[Event]:
    """The events of a task with numbers larger than ``after``, at most a page.

    Raises:
        TaskNotFound: there is no such task.
        JournalDamaged: one of them cannot be read.
    """
    rows = connection.execute(_PAGE, {"task_id": task_id, "after": after}).all()
    if not rows and after < 0:
        get_task(connection, task_id)
    return list(_unpacked(connection, [(task_id, row) for row in rows]))


def short_journals(connection: Connection, task_ids: Sequence[str]) -> dict[str, list[Event]]:
    """The journals of these tasks, as many as fit whole into a page and can be read."""
    rows = connection.execute(
        _first_page(connection.dialect), {"task_ids": array(connection.dialect, task_ids)}
    ).all()
    cut = rows[-1].id if len(rows) == PAGE else None
    found: dict[str, list[Event]] = {}
    try:
        unpacked = _unpacked(connection, [(row.id, row) for row in rows])
        for row, event in zip(rows, unpacked, strict=True):
            if row.id != cut:
                found.setdefault(row.id, []).append(event)
    except JournalDamaged:  # reading them one by one shows which
        return {}
    return found


def last_seq(connection: Connection, key: int, task_id: str) -> int:
    """The number of the last event of the task with that key; -1 if there is none.

    Raises:
        JournalDamaged: it is no number.
    """
    last = connection.execute(_LAST, {"key": key}).scalar()
    try:
        return -1 if last is None else columns.integer(last)
    except TypeError as error:
        raise JournalDamaged(f"task {task_id}: its last event cannot be read: seq {error}") from None


def last_seq_of(connection: Connection, task_id: str) -> int:
    """:func:`last_seq` of the task with that id. Raises TaskNotFound as well."""
    key = connection.execute(_KEY, {"task_id": task_id}).scalar()
    if key is None:
        raise not_found(task_id)
    return last_seq(connection, key, task_id)


def _unpacked(connection: Connection, rows: Sequence[tuple[str, AnyRow]]) -> Iterator[Event]:
    """The events in the rows, each of which is paired with the id of its task."""
    wanted = {key for _, row in rows if isinstance(row.data, str) for key in codec.references(row.data)}
    found = {}
    if wanted:
        hashes = array(connection.dialect, sorted(wanted))
        query = connection.execute(_texts(connection.dialect), {"hashes": hashes})
        found = {row.hash: row.text for row in query if columns.is_text(row.text)}
    unpack = codec.unpacker(found)

    for task_id, row in rows:
        at = "data"
        try:
            data = unpack(columns.text(row.data))
            if not isinstance(data, dict):
                raise TypeError("is not a JSON object")
            at = "seq"
            seq = columns.integer(row.seq)
            at = "type"
            kind = EventType(row.type)
            at = "path"
            path = columns.text(row.path)
            at = "at"
            yield Event(seq, kind, path, columns.time(row.at), data)
            continue
        except KeyError as error:
            why = f"refers to a text that is gone, {error}"
        except (TypeError, ValueError, RecursionError) as error:
            why = str(error)
        named = f"{columns.printable(row.seq)} ({columns.printable(row.type)})"
        raise JournalDamaged(f"task {task_id}: event {named} cannot be read: {at} {why}")


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
