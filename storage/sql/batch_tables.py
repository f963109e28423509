"""The tables of files and batches, and the ``metadata`` of all tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from storage.batches import BatchStatus, Purpose
from storage.sql.tables import Flag, metadata, one_of

__all__ = ["batch_results", "batches", "file_parts", "files", "metadata"]

files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True, doc="What people see; sorts by the time of arrival."),
    Column("tenant", Text, nullable=False, doc="Whose file it is."),
    Column("name", Text, nullable=False, doc="As the client calls it."),
    Column("purpose", Text, nullable=False, doc="Whether it has questions or results."),
    Column("size", BigInteger, doc="Bytes; null while it arrives."),
    Column("created_at", Double, nullable=False, doc="When it began to arrive."),
    Column("expires_at", Double, doc="From then on it may be removed."),
    Column("batch_id", Text, doc="Of results: of which batch …"),
    Column("failed", Flag, doc="… and whether those of the lines that failed, or the others."),
    CheckConstraint(one_of("purpose", Purpose), name="purpose"),
    CheckConstraint("(batch_id IS NULL) = (failed IS NULL)", name="results"),
)

Index("files_tenant_idx", files.c.tenant, files.c.id)

file_parts = Table(
    "file_parts",
    metadata,
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, doc="Which file."),
    Column("seq", Integer, primary_key=True, autoincrement=False, doc="Counts from 0."),
    Column("data", LargeBinary, nullable=False, doc="A part of what the client sent."),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True, doc="What people see; sorts by the time of submission."),
    Column("tenant", Text, nullable=False, doc="Who asked."),
    Column("endpoint", Text, nullable=False, doc="Where its lines are asked."),
    Column("input_file_id", Text, nullable=False, doc="The file of questions; it may be gone."),
    Column("completion_window", Text, nullable=False, doc="How long it may take, as the client said it."),
    Column("metadata", Text, nullable=False, doc="JSON: for the client."),
    Column("submitted_by", Text, doc="The key that asked for it."),
    Column("status", Text, nullable=False, doc="Where it stands in its lifecycle."),
    Column("created_at", Double, nullable=False, doc="When it was submitted."),
    Column("expires_at", Double, nullable=False, doc="When lines that have no result get none any more."),
    Column("times", Text, nullable=False, doc="JSON: when it came to each status."),
    Column("errors", Text, nullable=False, doc="JSON: why it cannot be asked."),
    Column("total", Integer, nullable=False, doc="Lines."),
    Column("completed", Integer, nullable=False, doc="Lines that have an answer."),
    Column("failed", Integer, nullable=False, doc="Lines that have an error."),
    Column("prompt_tokens", BigInteger, nullable=False, doc="Of the answers so far."),
    Column("completion_tokens", BigInteger, nullable=False, doc="Of the answers so far."),
    Column("lease_owner", Text, doc="The process that drives it."),
    Column("lease_fence", Integer, nullable=False, doc="Grows with each claim; every note must name it."),
    Column("lease_expires_at", Double, doc="From then on, another process may claim it."),
    CheckConstraint(one_of("status", BatchStatus), name="status"),
    CheckConstraint("(lease_owner IS NULL) = (lease_expires_at IS NULL)", name="lease_expires_at"),
    CheckConstraint("total >= 0 AND completed >= 0 AND failed >= 0", name="counts"),
)

Index("batches_tenant_idx", batches.c.tenant, batches.c.id)
Index("batches_status_idx", batches.c.status, batches.c.id)
Index("batches_input_file_id_idx", batches.c.input_file_id)

batch_results = Table(
    "batch_results",
    metadata,
    Column(
        "batch_id", Text, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True, doc="Which batch."
    ),
    Column("line", Integer, primary_key=True, autoincrement=False, doc="Its number in the file, from 1."),
    Column("failed", Flag, nullable=False, doc="Whether it has an error."),
    Column("body", Text, nullable=False, doc="JSON: its line in the file of results."),
)
