"""The caller's span of a task, so that whichever process runs it continues the caller's trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("trace_parent", sa.Text))


def downgrade() -> None:
    op.drop_column("tasks", "trace_parent")
