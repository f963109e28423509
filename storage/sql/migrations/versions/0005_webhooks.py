"""Endpoints that are told of the ends of tasks, what they are to be told, and what was delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("named", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
        sa.Column("disabled_why", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="webhooks_pkey"),
        sa.CheckConstraint("failures >= 0", name=op.f("webhooks_failures_check")),
    )
    op.create_index("webhooks_tenant_created_at_idx", "webhooks", ["tenant", "created_at", "id"])
    op.create_table(
        "webhook_outbox",
        sa.Column("key", _KEY, sa.Identity(), nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("tenant", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("planner", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("options", sa.Text),
        sa.Column("created_at", sa.Double),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.PrimaryKeyConstraint("key", name="webhook_outbox_pkey"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("attempted_at", sa.Double),
        sa.Column("http_status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="webhook_deliveries_pkey"),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="webhook_deliveries_webhook_id_fkey",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('dead', 'delivered', 'pending')", name=op.f("webhook_deliveries_status_check")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("webhook_deliveries_attempts_check")),
    )
    pending = sa.text("status = 'pending'")
    op.create_index(
        "webhook_deliveries_due_idx",
        "webhook_deliveries",
        ["webhook_id", "due_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_index(
        "webhook_deliveries_webhook_idx", "webhook_deliveries", ["webhook_id", "created_at", "id"]
    )
    op.create_index("webhook_deliveries_created_at_idx", "webhook_deliveries", ["created_at"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_outbox", "webhooks"):
        op.drop_table(table)
