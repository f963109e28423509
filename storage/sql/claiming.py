"""Which task a process gets: first one that had begun, then one that waits, in the turns of the tenants."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from storage.queueing import Rules, expired
from storage.refusals import exhausted, set_aside
from storage.sql import columns
from storage.sql.lease import give_up, take
from storage.sql.rows import AnyRow, clock, clocked, task_of
from storage.sql.tables import tasks
from storage.sql.turns import count, in_no_line, in_turn, indexed, waits
from storage.tasks import EXPIRED, Claim, Priority, Task, TaskStatus

GIVEN_UP = 100
"""How many tasks one transaction gives up before it lets others write."""

SILENCE_SECONDS = 3.0
"""How long a process that was stopped in the middle of a claim keeps others from claiming, on PostgreSQL."""


class Found(NamedTuple):
    """A claim, if there was something to claim, and what became of other tasks meanwhile.

    That is the damage of those that were set aside, and the ids of those that expired.
    """

    claim: Claim | None
    damaged: Sequence[str]
    expired: Sequence[str]
    more: bool  # what is behind the tasks that were given up has not been looked at


def claim_next(
    connection: Connection,
    owner: str,
    lease_seconds: float,
    max_attempts: int,
    below: int | None,
    rules: Rules,
) -> Found:
    """See :meth:`storage.store.Store.claim`. Rows that another process is changing are skipped."""
    dialect = connection.dialect
    attempts = {"max_attempts": max_attempts, "below": max_attempts if below is None else below}
    damaged: list[str] = []
    late: list[str] = []
    for _ in range(GIVEN_UP):
        seen = connection.execute(_look(dialect), {**attempts, **clocked(dialect)}).one()
        row, turn = None, None
        if seen.begun:
            row = _begun(connection, {**attempts, "time": seen.time})
        if row is None and (seen.interactive or seen.batch):
            found = in_turn(connection, rules, interactive=seen.interactive, batch=seen.batch)
            row, turn = found or (None, None)
        elif row is None and seen.waiting:
            row = in_no_line(connection)
        if row is None:
            return Found(None, damaged, late, more=False)
        task = task_of(row)
        if task.damage is not None:
            damaged.append(task.damage)
            give_up(connection, row.key, task.id, set_aside(task.damage))
        elif _too_late(task, seen.time):
            late.append(task.id)
            give_up(connection, row.key, task.id, expired(), status=TaskStatus.FAILED, outcome=EXPIRED)
        elif task.status is TaskStatus.RUNNING and task.attempts >= max_attempts:
            give_up(connection, row.key, task.id, exhausted(task))
        else:
            if turn is not None:
                count(connection, turn, rules)
            return Found(take(connection, row.key, owner, lease_seconds), damaged, late, more=False)
    return Found(None, damaged, late, more=True)


def expire(connection: Connection) -> Sequence[str]:
    """See :meth:`storage.store.Store.expire`."""
    late = connection.execute(_late(connection.dialect), clocked(connection.dialect)).all()
    for row in late:
        give_up(connection, row.key, row.id, expired(), status=TaskStatus.FAILED, outcome=EXPIRED)
    return [row.id for row in late if columns.is_text(row.id)]


def _too_late(task: Task, time: float) -> bool:
    return task.started_at is None and task.deadline is not None and task.deadline <= time


def _handed_back() -> Select[Any]:
    query = select(tasks).where(
        tasks.c.status == literal_column("'queued'"), tasks.c.started_at.is_not(None), _may_run()
    )
    return indexed(query, "tasks_handed_back_idx")


def _lapsed(time: ColumnElement[float]) -> Select[Any]:
    # What is no number is larger than every number, so such a lease counts as lapsed.
    leased = func.coalesce(tasks.c.lease_expires_at, 0.0).between(time, sys.float_info.max)
    query = select(tasks).where(tasks.c.status == literal_column("'running'"), ~leased, _may_run())
    return indexed(query, "tasks_running_idx")


def _may_run() -> ColumnElement[bool]:
    """A task with so many attempts need not wait, or has used up all of them and is to be given up."""
    return or_(tasks.c.attempts < bindparam("below"), tasks.c.attempts >= bindparam("max_attempts"))


def _some_wait(priority: Priority | None = None) -> ColumnElement[bool]:
    query = select(tasks.c.key).where(waits())
    if priority is not None:
        query = query.where(tasks.c.priority == priority.value)
    return indexed(query, "tasks_waiting_idx").exists()


@lru_cache(maxsize=8)
def _look(dialect: Dialect) -> Select[Any]:
    """What there is to claim, and the time.

    On PostgreSQL it also lets the server soon end the transaction of a process that is stopped in the middle
    of it, since others wait for what it has locked.
    """
    time = clock(dialect)
    seen: list[ColumnElement[Any]] = [
        time.label("time"),
        or_(_handed_back().exists(), _lapsed(time).exists()).label("begun"),
        _some_wait(Priority.INTERACTIVE).label("interactive"),
        _some_wait(Priority.BATCH).label("batch"),
        _some_wait().label("waiting"),
    ]
    if dialect.name == "postgresql":
        patience = f"{SILENCE_SECONDS * 1000:.0f}"
        seen.append(func.set_config("idle_in_transaction_session_timeout", patience, True))
    return select(*seen)


@lru_cache(maxsize=8)
def _late(dialect: Dialect) -> Select[Any]:
    late = select(tasks.c.key, tasks.c.id).where(
        waits(), tasks.c.deadline.is_not(None), tasks.c.deadline <= clock(dialect)
    )
    late = late.order_by(tasks.c.deadline).limit(GIVEN_UP)
    return indexed(late, "tasks_deadline_idx").with_for_update(skip_locked=True, key_share=True)


_FIRST_BEGUN = tuple(
    query.order_by(tasks.c.created_at, tasks.c.id).limit(1).with_for_update(skip_locked=True, key_share=True)
    for query in (_handed_back(), _lapsed(bindparam("time")))
)


def _begun(connection: Connection, parameters: Mapping[str, float]) -> AnyRow | None:
    """The oldest task that was handed back, or else the oldest whose lease has lapsed."""
    for query in _FIRST_BEGUN:
        if (row := connection.execute(query, parameters).first()) is not None:
            return row
    return None
