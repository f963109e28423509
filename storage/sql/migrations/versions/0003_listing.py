"""What lists of tasks are filtered by, in columns and indexes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.listing import entropy_of, searched

revision = "0003"
down_revision = "0002"

_BATCH = 500
_TASKS = sa.table(
    "tasks",
    *(sa.column(name, sa.Text) for name in ("question", "solution", "searched")),
    sa.column("key", sa.BigInteger),
    sa.column("entropy", sa.Double),
)
_INDEXES = {
    "tasks_planner_idx": (["planner", "created_at", "id"], None),
    "tasks_finished_at_idx": (["finished_at"], "finished_at IS NOT NULL"),
    "tasks_entropy_idx": (["entropy"], "entropy IS NOT NULL"),
}


def upgrade() -> None:
    op.add_column("tasks", sa.Column("searched", sa.Text))
    op.add_column("tasks", sa.Column("entropy", sa.Double))
    _fill(op.get_bind())
    for name, (columns, condition) in _INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "tasks")
    op.drop_column("tasks", "entropy")
    op.drop_column("tasks", "searched")


def _fill(connection: sa.Connection) -> None:
    """Fill the columns of the tasks that are there, some at a time; damaged ones are found by nothing."""
    wanted = sa.select(_TASKS.c.key, _TASKS.c.question, _TASKS.c.solution).order_by(_TASKS.c.key)
    filling = (
        sa.update(_TASKS)
        .where(_TASKS.c.key == sa.bindparam("its_key"))
        .values(searched=sa.bindparam("its_searched"), entropy=sa.bindparam("its_entropy"))
    )
    last = -1
    while rows := connection.execute(wanted.where(_TASKS.c.key > last).limit(_BATCH)).all():
        last = rows[-1].key
        connection.execute(
            filling,
            [
                {
                    "its_key": row.key,
                    "its_searched": searched(_value(row.question)),
                    "its_entropy": entropy_of(_value(row.solution)),
                }
                for row in rows
            ],
        )


def _value(text: object) -> Any:
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)  # type: ignore[arg-type]
    return None
