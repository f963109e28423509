"""Finds out which tasks have changed by looking: for databases and connections that do not tell."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from storage.sql import columns
from storage.sql.rows import is_open, now
from storage.sql.tables import events, tasks
from storage.tasks import OPEN, TaskStatus

LATE_SECONDS = 30.0
"""How long after its time an end may be committed."""

_LAST = select(func.max(events.c.seq)).where(events.c.task_key == tasks.c.key).scalar_subquery()

_OPEN = frozenset(status.value for status in OPEN)

Standing = dict[str, tuple[Any, ...]]
"""How tasks stand: what differs when one of them has changed, by id."""


class Look:
    """How the tasks stood that were open, or had ended not long before, when somebody last looked."""

    def __init__(self) -> None:
        self._time: float | None = None
        self._stood: Standing | None = None

    def standing(self, connection: Connection) -> tuple[float, Standing]:
        """The time, and how tasks stand now."""
        time = now(connection)
        ended = tasks.c.finished_at >= (self._time or time) - LATE_SECONDS
        rows = [*connection.execute(_standing(is_open())), *connection.execute(_standing(ended))]
        return time, {row.id: tuple(row) for row in rows if columns.is_text(row.id)}

    def changed(self, found: tuple[float, Standing]) -> frozenset[str] | None:
        """The ids of the tasks that stand otherwise than before; None after the first look: perhaps any."""
        before = self._stood
        self._time, self._stood = found
        if before is None:
            return None
        after = self._stood
        gone = {task_id for task_id in before.keys() - after.keys() if before[task_id][1] in _OPEN}
        return frozenset(
            {task_id for task_id, stands in after.items() if before.get(task_id) != stands} | gone
        )


def _standing(condition: ColumnElement[bool]) -> Select[Any]:
    last = case((tasks.c.status == TaskStatus.RUNNING.value, _LAST))
    stands = (tasks.c.id, tasks.c.status, tasks.c.lease_fence, tasks.c.cancel_requested, last)
    return select(*stands).where(condition)
