"""Files of questions, the batches that answer them, and the results of their lines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("batch_id", sa.Text),
        sa.Column("failed", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="files_pkey"),
        sa.CheckConstraint("purpose IN ('batch', 'batch_output')", name=op.f("files_purpose_check")),
        sa.CheckConstraint("(batch_id IS NULL) = (failed IS NULL)", name=op.f("files_results_check")),
    )
    op.create_index("files_tenant_idx", "files", ["tenant", "id"])
    op.create_table(
        "file_parts",
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("file_id", "seq", name="file_parts_pkey"),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name="file_parts_file_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("input_file_id", sa.Text, nullable=False),
        sa.Column("completion_window", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("submitted_by", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("times", sa.Text, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_fence", sa.Integer, nullable=False),
        sa.Column("lease_expires_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="batches_pkey"),
        sa.CheckConstraint(
            "status IN ('cancelled', 'cancelling', 'completed', 'expired', 'failed', 'finalizing', "
            "'in_progress', 'validating')",
            name=op.f("batches_status_check"),
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_expires_at IS NULL)", name=op.f("batches_lease_expires_at_check")
        ),
        sa.CheckConstraint(
            "total >= 0 AND completed >= 0 AND failed >= 0", name=op.f("batches_counts_check")
        ),
    )
    op.create_index("batches_tenant_idx", "batches", ["tenant", "id"])
    op.create_index("batches_status_idx", "batches", ["status", "id"])
    op.create_index("batches_input_file_id_idx", "batches", ["input_file_id"])
    op.create_table(
        "batch_results",
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("line", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "line", name="batch_results_pkey"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="batch_results_batch_id_fkey", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    for table in ("batch_results", "batches", "file_parts", "files"):
        op.drop_table(table)
