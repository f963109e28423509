"""Whose turn it is among the tenants whose tasks wait: what :mod:`storage.queueing` says, in SQL.

Each line has a row, and so has each tenant that is ahead of its line. They are read and written in the
transaction of the claim, which holds the rows of the lines until it commits; so turns are taken in the same
order however many processes claim.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    literal_column,
    select,
    update,
)

from storage.queueing import Rules
from storage.sql.rows import AnyRow, insert_new, replacing
from storage.sql.tables import lines, shares, tasks
from storage.tasks import Priority

CANDIDATES = 8
"""How many tasks are tried in the order of their turns, if others hold their rows at the moment."""


def waits(table: FromClause = tasks) -> ColumnElement[bool]:
    """The task waits to begin. Uses literals, so that the partial indexes of such tasks apply."""
    return and_(table.c.status == literal_column("'queued'"), table.c.started_at.is_(None))


def indexed(query: Select[Any], index: str, table: FromClause = tasks) -> Select[Any]:
    """Let SQLite use that index: without statistics, it may take one that leads through the whole queue."""
    return query.with_hint(table, f"INDEXED BY {index}", "sqlite")


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn in a line that has ``reached`` so far: of a tenant who has used so much."""

    priority: Priority
    tenant: str
    used: float
    reached: float
    passed_over: bool  # whether a batch task waits meanwhile
    times: int  # how often one was passed over before


def in_turn(
    connection: Connection, rules: Rules, *, interactive: bool, batch: bool
) -> tuple[AnyRow, Turn] | None:
    """The task whose turn it is, locked until the commit; given which lines have tasks.

    None if there is none whose row nobody else is changing.
    """
    reached, times = _states(connection)
    first = rules.line(interactive, batch, times)
    for priority in sorted(Priority, key=lambda each: each is not first):
        line = {"priority": priority.value, "reached": reached[priority]}
        for head in connection.execute(_HEADS, line).all():
            row = connection.execute(_WAITING, {"key": head.key}).first()
            if row is not None:
                passed_over = batch and priority is not Priority.BATCH
                used = float(head.used)
                return row, Turn(priority, head.tenant, used, reached[priority], passed_over, times)
    return None


def in_no_line(connection: Connection) -> AnyRow | None:
    """A task that waits in a line that does not exist, since somebody has changed its row."""
    return connection.execute(_IN_NO_LINE).first()


def count(connection: Connection, turn: Turn, rules: Rules) -> None:
    """Write down that a tenant has had its turn, and now and then forget those with whom its line is even."""
    share = {
        "priority": turn.priority.value,
        "tenant": turn.tenant,
        "used": turn.used + 1.0 / rules.weight(turn.tenant),
    }
    connection.execute(replacing(connection.dialect, shares), share)
    if turn.used > turn.reached:
        connection.execute(_REACH, {"line": turn.priority.value, "now": turn.used})
        if math.floor(turn.used) > math.floor(turn.reached):
            connection.execute(_FORGET, {"line": turn.priority.value, "now": turn.used})
    times = turn.times + 1 if turn.passed_over else 0
    if times != turn.times:
        connection.execute(_PASS_OVER, {"line": Priority.BATCH.value, "times": times})


def _first_key(after: ColumnElement[str] | None = None) -> ScalarSelect[Any]:
    """The key of the task that waits first, of the first tenant or of the next one after a tenant."""
    first = tasks.alias()
    query = select(first.c.key).where(waits(first), first.c.priority == bindparam("priority"))
    if after is not None:
        query = query.where(first.c.tenant > after)
    query = query.order_by(first.c.tenant, first.c.created_at, first.c.id).limit(1)
    return indexed(query, "tasks_waiting_idx", first).scalar_subquery()


def _heads() -> Select[Any]:
    """The first task that waits of each tenant, in the order of their turns.

    Goes from tenant to tenant in the index, so it takes as long as there are tenants, not tasks.
    """
    place = (tasks.c.key, tasks.c.tenant, tasks.c.created_at, tasks.c.id)
    heads = select(*place).where(tasks.c.key == _first_key()).cte("heads", recursive=True)
    after = tasks.alias()
    following = heads.join(after, after.c.key == _first_key(heads.c.tenant))
    heads = heads.union_all(select(*(after.c[each.name] for each in place)).select_from(following))
    # What somebody has changed into something else than a number counts as little as none.
    ahead = shares.c.used.between(bindparam("reached"), sys.float_info.max)
    used = case((ahead, shares.c.used), else_=bindparam("reached"))
    same = and_(shares.c.priority == bindparam("priority"), shares.c.tenant == heads.c.tenant)
    return (
        select(heads.c.key, heads.c.tenant, used.label("used"))
        .select_from(heads.outerjoin(shares, same))
        .order_by(used, heads.c.created_at, heads.c.id)
        .limit(CANDIDATES)
    )


_HEADS = _heads()
_WAITING = (
    select(tasks)
    .where(tasks.c.key == bindparam("key"), waits())
    .with_for_update(skip_locked=True, key_share=True)
)
_IN_NO_LINE = indexed(
    select(tasks)
    .where(waits(), tasks.c.priority.not_in([each.value for each in Priority]))
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True),
    "tasks_waiting_idx",
)
_LINES = select(lines).order_by(lines.c.priority).with_for_update()
_THIS_LINE = lines.c.priority == bindparam("line")
_REACH = update(lines).where(_THIS_LINE).values(reached=bindparam("now"))
_PASS_OVER = update(lines).where(_THIS_LINE).values(passed_over=bindparam("times"))
_FORGET = delete(shares).where(shares.c.priority == bindparam("line"), shares.c.used <= bindparam("now"))


def _states(connection: Connection) -> tuple[Mapping[Priority, float], int]:
    """How far the lines have come, and how often batch tasks were passed over; locked until the commit."""
    found = {row.priority: row for row in connection.execute(_LINES)}
    if missing := [each for each in Priority if each.value not in found]:
        new = [{"priority": each.value, "reached": 0.0, "passed_over": 0} for each in missing]
        connection.execute(insert_new(connection.dialect, lines), new)
        found = {row.priority: row for row in connection.execute(_LINES)}
    reached = {each: _number(found[each.value].reached) for each in Priority}
    return reached, int(_number(found[Priority.BATCH.value].passed_over))


def _number(value: Any) -> float:
    """What a column holds; 0 for what somebody has changed into something else than a number."""
    sound = isinstance(value, int | float) and 0 <= value < sys.float_info.max
    return float(value) if sound else 0.0
