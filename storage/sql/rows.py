"""Converts rows to values, and has the few statements that differ between the two databases."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Double,
    FromClause,
    Row,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from storage.refusals import not_found
from storage.sql.tables import tasks
from storage.tasks import OPEN, Task, TaskStatus

_BY_ID = select(tasks).where(tasks.c.id == bindparam("task_id"))

AnyRow = Row[*tuple[Any, ...]]

TASK_COLUMNS = tuple(column.name for column in tasks.c if column is not tasks.c.key)
"""The columns that are attributes of a :class:`Task`."""

JSON_COLUMNS = ("question", "options", "solution", "error")
"""Those that hold JSON."""


def task_of(row: AnyRow) -> Task:
    """The task in a row of the table ``tasks``."""
    values = {name: row._mapping[name] for name in TASK_COLUMNS}
    for name in JSON_COLUMNS:
        if values[name] is not None:
            values[name] = json.loads(values[name])
    values["status"] = TaskStatus(values["status"])
    values["cancel_requested"] = bool(values["cancel_requested"])  # a textual statement knows no types
    return Task(**values)


def get_task(connection: Connection, task_id: str) -> Task:
    """The task with that id.

    Raises:
        TaskNotFound: there is none.
    """
    row = connection.execute(_BY_ID, {"task_id": task_id}).first()
    if row is None:
        raise not_found(task_id)
    return task_of(row)


def now(connection: Connection) -> float:
    """Seconds since the epoch, by a clock that all processes share.

    On PostgreSQL this is the server's, so that hosts with different clocks agree on leases; on SQLite it is
    the host's, on which all processes that share the file run.
    """
    if connection.dialect.name == "postgresql":
        return float(
            connection.execute(
                select(cast(func.extract("epoch", func.clock_timestamp()), Double))
            ).scalar_one()
        )
    return time.time()


def is_open(table: FromClause = tasks) -> ColumnElement[bool]:
    """The task has not ended. Uses literals, so that the partial index of open tasks applies."""
    return table.c.status.in_([literal(status.value, literal_execute=True) for status in sorted(OPEN)])


def among(dialect: Dialect, column: ColumnElement[str], values: BindParameter[Any]) -> ColumnElement[bool]:
    """``column IN values``, as one statement for any number of values; bind :func:`array` to it."""
    if dialect.name == "postgresql":
        return column == any_(type_coerce(values, ARRAY(Text)))
    return column.in_(select(func.json_each(type_coerce(values, Text)).table_valued("value").c.value))


def array(dialect: Dialect, values: Sequence[str]) -> list[str] | str:
    """The values as :func:`among` takes them."""
    return list(values) if dialect.name == "postgresql" else json.dumps(list(values))


def insert_new(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves existing rows alone."""
    statement = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    return statement.on_conflict_do_nothing()
