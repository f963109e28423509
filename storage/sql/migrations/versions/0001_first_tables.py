"""Tasks, their events, and the texts that events share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_STATUSES = "'cancelled', 'dead', 'failed', 'queued', 'running', 'succeeded'"
_TYPES = (
    "'decision', 'limit_reached', 'node_added', 'node_chunk', 'node_settled', 'node_started', "
    "'run_finished', 'run_resumed', 'run_started'"
)


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("key", _KEY, sa.Identity(), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("planner", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("parent_id", sa.Text),
        sa.Column("fork_at", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("outcome", sa.Text),
        sa.Column("solution", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_fence", sa.Integer, nullable=False),
        sa.Column("lease_expires_at", sa.Double),
        sa.PrimaryKeyConstraint("key", name="tasks_pkey"),
        sa.UniqueConstraint("id", name="tasks_id_key"),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("tasks_status_check")),
        sa.CheckConstraint(
            "(status = 'running') = (lease_owner IS NOT NULL)", name=op.f("tasks_lease_owner_check")
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_expires_at IS NULL)", name=op.f("tasks_lease_expires_at_check")
        ),
        sa.CheckConstraint(
            "(status IN ('queued', 'running')) = (finished_at IS NULL)", name=op.f("tasks_finished_at_check")
        ),
        sa.CheckConstraint("attempts >= 0 AND lease_fence >= attempts", name=op.f("tasks_attempts_check")),
        sa.CheckConstraint("fork_at IS NULL OR parent_id IS NOT NULL", name=op.f("tasks_fork_check")),
    )
    op.create_index("tasks_tenant_created_at_idx", "tasks", ["tenant", "created_at", "id"])
    op.create_index("tasks_created_at_idx", "tasks", ["created_at", "id"])
    _partial_index(
        "tasks_idempotency_key", "tasks", ["tenant", "idempotency_key"], "idempotency_key IS NOT NULL"
    )
    _partial_index(
        "tasks_open_idx", "tasks", ["created_at", "id"], "status IN ('queued', 'running')", unique=False
    )
    op.create_table(
        "events",
        sa.Column("task_key", _KEY, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_key", "seq", name="events_pkey"),
        sa.ForeignKeyConstraint(["task_key"], ["tasks.key"], name="events_task_key_fkey", ondelete="CASCADE"),
        sa.CheckConstraint(f"type IN ({_TYPES})", name=op.f("events_type_check")),
        sa.CheckConstraint("seq >= 0", name=op.f("events_seq_check")),
    )
    _partial_index("events_node_added_once", "events", ["task_key", "path"], "type = 'node_added'")
    _partial_index("events_node_settled_once", "events", ["task_key", "path"], "type = 'node_settled'")
    _partial_index("events_run_finished_once", "events", ["task_key"], "type = 'run_finished'")
    op.create_table(
        "texts",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="texts_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "text_uses",
        sa.Column("task_key", _KEY, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_key", "hash", name="text_uses_pkey"),
        sa.ForeignKeyConstraint(
            ["task_key"], ["tasks.key"], name="text_uses_task_key_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["hash"], ["texts.hash"], name="text_uses_hash_fkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("text_uses_hash_idx", "text_uses", ["hash"])


def downgrade() -> None:
    for table in ("text_uses", "texts", "events", "tasks"):
        op.drop_table(table)


def _partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = True) -> None:
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
