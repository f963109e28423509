"""Keys with their secrets, accounts with limits, what tasks have reserved, and which key asked for a task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("submitted_by", sa.Text))
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("names_tenants", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="keys_pkey"),
    )
    op.create_table(
        "key_secrets",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.PrimaryKeyConstraint("hash", name="key_secrets_pkey"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="key_secrets_key_id_fkey", ondelete="CASCADE"),
    )
    op.create_index("key_secrets_key_id_idx", "key_secrets", ["key_id"])
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("burst", sa.Integer),
        sa.Column("concurrency", sa.Integer),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("cost", sa.BigInteger),
        sa.Column("budget_period", sa.Text, nullable=False),
        sa.Column("task_tokens", sa.BigInteger),
        sa.Column("arrival", sa.BigInteger, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger, nullable=False),
        sa.Column("reserved_cost", sa.BigInteger, nullable=False),
        sa.Column("spent_tokens", sa.BigInteger, nullable=False),
        sa.Column("spent_cost", sa.BigInteger, nullable=False),
        sa.Column("period", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="accounts_pkey"),
        sa.CheckConstraint(
            "budget_period IN ('day', 'month', 'total')", name=op.f("accounts_budget_period_check")
        ),
        sa.CheckConstraint("(rate IS NULL) = (burst IS NULL)", name=op.f("accounts_burst_check")),
        sa.CheckConstraint(
            "held >= 0 AND reserved_tokens >= 0 AND reserved_cost >= 0", name=op.f("accounts_reserved_check")
        ),
        sa.CheckConstraint("spent_tokens >= 0 AND spent_cost >= 0", name=op.f("accounts_spent_check")),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("accounts", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("charged_tokens", sa.BigInteger, nullable=False),
        sa.Column("charged_cost", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="reservations_pkey"),
    )
    op.create_index("reservations_held_expires_at_idx", "reservations", ["held", "expires_at"])


def downgrade() -> None:
    for table in ("reservations", "accounts", "key_secrets", "keys"):
        op.drop_table(table)
    op.drop_column("tasks", "submitted_by")
