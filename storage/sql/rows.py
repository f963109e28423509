"""Converts rows to values, and has the few statements that differ between the two databases."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
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

from storage.errors import JournalDamaged
from storage.refusals import cannot_be_read, not_found, set_aside
from storage.sql import columns
from storage.sql.tables import tasks
from storage.tasks import OPEN, Priority, Task, TaskStatus

_BY_ID = select(tasks).where(tasks.c.id == bindparam("task_id"))

AnyRow = Row[*tuple[Any, ...]]

_TEXT, _MAYBE_TEXT = (columns.text, ""), (columns.optional(columns.text), None)
_MAYBE_TIME = (columns.optional(columns.time), None)
_COLUMNS: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "id": _TEXT,
    "tenant": _TEXT,
    "status": (columns.status, TaskStatus.DEAD),
    "question": (columns.json_value, {}),
    "planner": _TEXT,
    "options": (columns.json_object, {}),
    "seed": (columns.integer, 0),
    "idempotency_key": _MAYBE_TEXT,
    "parent_id": _MAYBE_TEXT,
    "fork_at": _MAYBE_TEXT,
    "created_at": (columns.time, 0.0),
    "started_at": _MAYBE_TIME,
    "finished_at": _MAYBE_TIME,
    "outcome": _MAYBE_TEXT,
    "solution": (columns.optional(columns.json_value), None),
    "error": (columns.optional(columns.json_object), None),
    "cancel_requested": (columns.flag, False),
    "attempts": (columns.count, 0),
    "lease_owner": _MAYBE_TEXT,
    "lease_fence": (columns.count, 0),
    "lease_expires_at": _MAYBE_TIME,
    "submitted_by": _MAYBE_TEXT,
    "priority": (columns.priority, Priority.INTERACTIVE),
    "deadline": _MAYBE_TIME,
    "trace_parent": _MAYBE_TEXT,
}
"""How each column of a task is read, and what stands for one that cannot be read."""

TASK_COLUMNS = tuple(_COLUMNS)
"""The columns that are attributes of a :class:`Task`."""

STORED_COLUMNS = (*TASK_COLUMNS, "searched", "entropy")
"""Those columns and the ones that only lists are filtered by, in the order of the table."""

JSON_COLUMNS = ("question", "options", "solution", "error")
"""Those that hold JSON."""


def task_of(row: AnyRow) -> Task:
    """The task in a row of the table ``tasks``, with its ``damage`` if it has any."""
    stored, values, wrong = row._mapping, dict[str, Any](), list[str]()
    for name, (read, placeholder) in _COLUMNS.items():
        try:
            values[name] = read(stored[name])
        except (TypeError, ValueError) as error:
            wrong.append(f"{name} {error}")
            values[name] = placeholder
    if wrong:
        values["id"] = values["id"] or columns.printable(stored["id"])
        values["damage"] = cannot_be_read(values["id"], wrong)
        values["error"] = set_aside(values["damage"])
    return Task(**values)


def sound(task: Task) -> Task:
    """The task.

    Raises:
        JournalDamaged: its row cannot be read.
    """
    if task.damage is not None:
        raise JournalDamaged(task.damage)
    return task


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
        return float(connection.execute(select(clock(connection.dialect))).scalar_one())
    return time.time()


def clock(dialect: Dialect) -> ColumnElement[float]:
    """The time that :func:`now` gives, within a statement; SQLite takes it as the parameter ``now``."""
    if dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()), Double)
    return bindparam("now", type_=Double)


def clocked(dialect: Dialect) -> dict[str, float]:
    """The parameters of a statement with :func:`clock` in it."""
    return {} if dialect.name == "postgresql" else {"now": time.time()}


def is_open(table: FromClause = tasks) -> ColumnElement[bool]:
    """The task has not ended. Uses literals, so that the partial index of open tasks applies."""
    return table.c.status.in_([literal(status.value, literal_execute=True) for status in sorted(OPEN)])


def among(dialect: Dialect, column: ColumnElement[Any], values: BindParameter[Any]) -> ColumnElement[bool]:
    """``column IN values``, as one statement for any number of values; bind :func:`array` to it."""
    if dialect.name == "postgresql":
        return column == any_(type_coerce(values, ARRAY(column.type)))
    return column.in_(select(func.json_each(type_coerce(values, Text)).table_valued("value").c.value))


def array(dialect: Dialect, values: Sequence[str] | Sequence[int]) -> list[str] | list[int] | str:
    """The values as :func:`among` takes them."""
    return json.dumps(list(values)) if dialect.name != "postgresql" else list(values)  # type: ignore[return-value]


def insert_new(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves existing rows alone."""
    statement = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    return statement.on_conflict_do_nothing()


def replacing(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that overwrites all but the key of an existing row."""
    statement = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)
