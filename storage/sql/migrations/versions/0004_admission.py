"""The lines in which tasks wait, the turns of tenants, and deadlines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_WAITS = "status = 'queued' AND started_at IS NULL"
_INDEXES = {
    "tasks_waiting_idx": (_WAITS, ["priority", "tenant", "created_at", "id", "status", "started_at"]),
    "tasks_deadline_idx": (f"{_WAITS} AND deadline IS NOT NULL", ["deadline"]),
    "tasks_handed_back_idx": ("status = 'queued' AND started_at IS NOT NULL", ["created_at", "id"]),
    "tasks_running_idx": ("status = 'running'", ["created_at", "id"]),
    "tasks_ran_idx": ("started_at IS NOT NULL AND finished_at IS NOT NULL", ["finished_at"]),
    "tasks_open_forks_idx": ("status IN ('queued', 'running') AND parent_id IS NOT NULL", ["parent_id"]),
}


def upgrade() -> None:
    # Both databases take a column with its constraint, so no table has to be rebuilt.
    op.execute(
        "ALTER TABLE tasks ADD COLUMN priority TEXT DEFAULT 'interactive' NOT NULL "
        "CONSTRAINT tasks_priority_check CHECK (priority IN ('batch', 'interactive'))"
    )
    op.add_column("tasks", sa.Column("deadline", sa.Double))
    for name, (where, columns) in _INDEXES.items():
        _partial_index(name, where, columns)
    op.create_table(
        "lines",
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("reached", sa.Double, nullable=False),
        sa.Column("passed_over", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("priority", name="lines_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shares",
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("priority", "tenant", name="shares_pkey"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("shares", "lines"):
        op.drop_table(table)
    for name in _INDEXES:
        op.drop_index(name, "tasks")
    for column in ("deadline", "priority"):
        op.execute(f"ALTER TABLE tasks DROP COLUMN {column}")


def _partial_index(name: str, where: str, columns: list[str]) -> None:
    op.create_index(name, "tasks", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
