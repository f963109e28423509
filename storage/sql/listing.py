"""Lists tasks, filtered in the query itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, and_, bindparam, func, select, true, tuple_

from storage.listing import Place, Wanted, folded
from storage.sql import columns
from storage.sql.rows import among, array, is_open, task_of
from storage.sql.tables import tasks
from storage.tasks import Task


def page(connection: Connection, wanted: Wanted, limit: int, before: Place | None) -> tuple[Task, ...]:
    """See :meth:`storage.store.Store.list`."""
    query = listed(wanted, connection.dialect)
    if before is not None:
        query = query.where(tuple_(tasks.c.created_at, tasks.c.id) < tuple_(before.created_at, before.id))
    found: list[Task] = []
    seen = 0
    while (missing := limit - len(found)) > 0:
        rows = connection.execute(query.offset(seen).limit(missing)).all()
        # A row that lost its id is left out: nothing could be asked about it.
        found += [task_of(row) for row in rows if columns.is_text(row.id)]
        seen += len(rows)
        if len(rows) < missing:
            break
    return tuple(found)


def listed(wanted: Wanted, dialect: Dialect) -> Select[Any]:
    """The rows of a list, in its order."""
    query = select(tasks).where(_matching(wanted, dialect))
    if wanted.get("ended_from") is None:
        return query.order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    # Few of many tasks: the index of their ends is better than one that has this order.
    return query.order_by((tasks.c.created_at + 0.0).desc(), tasks.c.id.desc())


def _matching(wanted: Wanted, dialect: Dialect) -> ColumnElement[bool]:
    """The condition that the tasks of a list meet."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    conditions = [_CONDITIONS[name](given.pop(name)) for name in _CONDITIONS.keys() & given.keys()]
    if "is_open" in given:
        conditions.append(is_open() if given["is_open"] else ~is_open())
    if "ids" in given:
        conditions.append(among(dialect, tasks.c.id, bindparam("ids", array(dialect, tuple(given["ids"])))))
    if "text" in given:
        position = func.strpos if dialect.name == "postgresql" else func.instr
        conditions.append(position(tasks.c.searched, folded(given["text"])) > 0)
    return and_(true(), *conditions)


_CONDITIONS: Mapping[str, Callable[[Any], ColumnElement[bool]]] = {
    "tenant": lambda tenant: tasks.c.tenant == tenant,
    "status": lambda status: tasks.c.status == status.value,
    "planner": lambda planner: tasks.c.planner == planner,
    "created_from": lambda time: tasks.c.created_at >= time,
    "created_before": lambda time: tasks.c.created_at < time,
    "ended_from": lambda time: tasks.c.finished_at >= time,
    "entropy_from": lambda entropy: tasks.c.entropy >= entropy,
    "entropy_to": lambda entropy: tasks.c.entropy <= entropy,
}
