"""The tables. Invariants are constraints here, so that no bug in the code above can break them.

JSON is stored as text, because text comes back exactly as it was written on both databases. Times are
seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    column,
)

from storage.events import EventType
from storage.tasks import OPEN, TaskStatus

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)


class Flag(Boolean):
    """A truth value that is not converted when it is read, since that fails if it is none."""

    cache_ok = True

    def result_processor(self, dialect: Any, coltype: Any) -> None:
        """Leave it as it is."""


_KEY = BigInteger().with_variant(Integer, "sqlite")


def _one_of(name: str, values: Iterable[str]) -> str:
    return f"{name} IN ({', '.join(repr(str(value)) for value in sorted(values))})"


tasks = Table(
    "tasks",
    metadata,
    Column(
        "key", _KEY, Identity(), primary_key=True, doc="Short, since other tables repeat it in every row."
    ),
    Column("id", Text, nullable=False, unique=True, doc="What people see; sorts by the time of submission."),
    Column("tenant", Text, nullable=False, doc="Who asked."),
    Column("status", Text, nullable=False, doc="Where the task stands in its lifecycle."),
    Column("question", Text, nullable=False, doc="JSON."),
    Column("planner", Text, nullable=False, doc="Name of the reasoning method."),
    Column("options", Text, nullable=False, doc="JSON object."),
    Column("seed", BigInteger, nullable=False, doc="Root of every random choice of the run."),
    Column("idempotency_key", Text, doc="Unique within the tenant."),
    Column("parent_id", Text, doc="The task that this one is a fork of; it may have been pruned."),
    Column("fork_at", Text, doc="Path of the node at which the fork differs from its parent."),
    Column("created_at", Double, nullable=False, doc="When it was submitted."),
    Column("started_at", Double, doc="When it was first claimed; a requeue clears it."),
    Column("finished_at", Double, doc="When it reached a terminal status."),
    Column("outcome", Text, doc="How the run ended, in the orchestrator's words."),
    Column("solution", Text, doc="JSON."),
    Column("error", Text, doc='JSON: {"code", "message"}.'),
    Column("cancel_requested", Flag, nullable=False, doc="Whether a user wants it to stop."),
    Column("attempts", Integer, nullable=False, doc="Claims so far, not counting those handed back."),
    Column("lease_owner", Text, doc="The process that runs it."),
    Column("lease_fence", Integer, nullable=False, doc="Grows with each claim; every write must name it."),
    Column("lease_expires_at", Double, doc="From then on, another process may claim the task."),
    Column("trace_parent", Text, doc="The caller's span: a `traceparent` of the W3C's Trace Context."),
    CheckConstraint(_one_of("status", TaskStatus), name="status"),
    CheckConstraint("(status = 'running') = (lease_owner IS NOT NULL)", name="lease_owner"),
    CheckConstraint("(lease_owner IS NULL) = (lease_expires_at IS NULL)", name="lease_expires_at"),
    CheckConstraint(
        f"({_one_of('status', OPEN)}) = (finished_at IS NULL)",
        name="finished_at",
    ),
    CheckConstraint("attempts >= 0 AND lease_fence >= attempts", name="attempts"),
    CheckConstraint("fork_at IS NULL OR parent_id IS NOT NULL", name="fork"),
)

Index("tasks_tenant_created_at_idx", tasks.c.tenant, tasks.c.created_at, tasks.c.id)
Index("tasks_created_at_idx", tasks.c.created_at, tasks.c.id)
Index(
    "tasks_idempotency_key",
    tasks.c.tenant,
    tasks.c.idempotency_key,
    unique=True,
    sqlite_where=tasks.c.idempotency_key.is_not(None),
    postgresql_where=tasks.c.idempotency_key.is_not(None),
)
_IS_OPEN = column("status").in_(["queued", "running"])
Index("tasks_open_idx", tasks.c.created_at, tasks.c.id, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN)

events = Table(
    "events",
    metadata,
    Column(
        "task_key", _KEY, ForeignKey("tasks.key", ondelete="CASCADE"), primary_key=True, doc="Which task."
    ),
    Column("seq", Integer, primary_key=True, autoincrement=False, doc="Counts from 0 without gaps."),
    Column("type", Text, nullable=False, doc="What happened."),
    Column("path", Text, nullable=False, doc="The node that it happened to; empty for the run itself."),
    Column("at", Double, nullable=False, doc="When, by the clock of the process that ran the task."),
    Column("data", Text, nullable=False, doc='JSON object; {"$text": hash} stands for a row of `texts`.'),
    CheckConstraint(_one_of("type", EventType), name="type"),
    CheckConstraint("seq >= 0", name="seq"),
)


def _at_most_one(name: str, event_type: EventType, *columns: str) -> Index:
    where = events.c.type == event_type.value
    return Index(
        name, *(events.c[key] for key in columns), unique=True, sqlite_where=where, postgresql_where=where
    )


_at_most_one("events_node_added_once", EventType.NODE_ADDED, "task_key", "path")
_at_most_one("events_node_settled_once", EventType.NODE_SETTLED, "task_key", "path")
_at_most_one("events_run_finished_once", EventType.RUN_FINISHED, "task_key")

texts = Table(
    "texts",
    metadata,
    Column("hash", Text, primary_key=True, doc="The text's address: 144 bits of BLAKE2b."),
    Column("text", Text, nullable=False, doc="A long string from events, stored once."),
    sqlite_with_rowid=False,
)

text_uses = Table(
    "text_uses",
    metadata,
    Column(
        "task_key",
        _KEY,
        ForeignKey("tasks.key", ondelete="CASCADE"),
        primary_key=True,
        doc="A task that has …",
    ),
    Column("hash", Text, ForeignKey("texts.hash"), primary_key=True, doc="… events with this text."),
    sqlite_with_rowid=False,
)

Index("text_uses_hash_idx", text_uses.c.hash)
