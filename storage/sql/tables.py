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
    text,
)

from storage.accounts import Period
from storage.endpoints import DeliveryStatus
from storage.events import EventType
from storage.tasks import OPEN, Priority, TaskStatus

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


def one_of(name: str, values: Iterable[str]) -> str:
    """The condition that a column has one of the values."""
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
    Column(
        "lease_fence",
        Integer,
        nullable=False,
        doc="Grows with each claim and requeue; every write must name it.",
    ),
    Column("lease_expires_at", Double, doc="From then on, another process may claim the task."),
    Column("submitted_by", Text, doc="The key that asked for it."),
    Column("priority", Text, nullable=False, server_default="interactive", doc="The line it waits in."),
    Column("deadline", Double, doc="A task that has not begun by then ends; a requeue clears it."),
    Column("trace_parent", Text, doc="The caller's span: a `traceparent` of the W3C's Trace Context."),
    Column("searched", Text, doc="What a search finds of the question: its beginning, in folded letters."),
    Column("entropy", Double, doc="The entropy that the solution tells, in nats."),
    CheckConstraint(one_of("status", TaskStatus), name="status"),
    CheckConstraint("(status = 'running') = (lease_owner IS NOT NULL)", name="lease_owner"),
    CheckConstraint("(lease_owner IS NULL) = (lease_expires_at IS NULL)", name="lease_expires_at"),
    CheckConstraint(
        f"({one_of('status', OPEN)}) = (finished_at IS NULL)",
        name="finished_at",
    ),
    CheckConstraint("attempts >= 0 AND lease_fence >= attempts", name="attempts"),
    CheckConstraint("fork_at IS NULL OR parent_id IS NOT NULL", name="fork"),
    CheckConstraint(one_of("priority", Priority), name="priority"),
)

Index("tasks_tenant_created_at_idx", tasks.c.tenant, tasks.c.created_at, tasks.c.id)
Index("tasks_created_at_idx", tasks.c.created_at, tasks.c.id)
Index("tasks_planner_idx", tasks.c.planner, tasks.c.created_at, tasks.c.id)
for _name in ("finished_at", "entropy"):
    _there = tasks.c[_name].is_not(None)
    Index(f"tasks_{_name}_idx", tasks.c[_name], sqlite_where=_there, postgresql_where=_there)
Index(
    "tasks_idempotency_key",
    tasks.c.tenant,
    tasks.c.idempotency_key,
    unique=True,
    sqlite_where=tasks.c.idempotency_key.is_not(None),
    postgresql_where=tasks.c.idempotency_key.is_not(None),
)


def _partial(name: str, where: str, *columns: str) -> None:
    only = text(where)
    Index(name, *(tasks.c[key] for key in columns), sqlite_where=only, postgresql_where=only)


_partial("tasks_open_idx", "status IN ('queued', 'running')", "created_at", "id")
_partial(
    "tasks_waiting_idx",
    "status = 'queued' AND started_at IS NULL",
    *("priority", "tenant", "created_at", "id"),
    *("status", "started_at"),  # so that SQLite counts and orders tasks without reading their rows
)
_partial(
    "tasks_deadline_idx",
    "status = 'queued' AND started_at IS NULL AND deadline IS NOT NULL",
    "deadline",
)
_partial("tasks_handed_back_idx", "status = 'queued' AND started_at IS NOT NULL", "created_at", "id")
_partial("tasks_running_idx", "status = 'running'", "created_at", "id")
_partial("tasks_ran_idx", "started_at IS NOT NULL AND finished_at IS NOT NULL", "finished_at")
_partial("tasks_open_forks_idx", "status IN ('queued', 'running') AND parent_id IS NOT NULL", "parent_id")

lines = Table(
    "lines",
    metadata,
    Column("priority", Text, primary_key=True, doc="Which line."),
    Column("reached", Double, nullable=False, doc="What the tenant had used whose turn was the last."),
    Column("passed_over", Integer, nullable=False, doc="How many others began while it waited."),
    sqlite_with_rowid=False,
)

shares = Table(
    "shares",
    metadata,
    Column("priority", Text, primary_key=True, doc="In which line …"),
    Column("tenant", Text, primary_key=True, doc="… which tenant …"),
    Column("used", Double, nullable=False, doc="… has had how many turns, each divided by the weight."),
    sqlite_with_rowid=False,
)

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
    CheckConstraint(one_of("type", EventType), name="type"),
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

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True, doc="What people see; it says nothing about the secrets."),
    Column("name", Text, nullable=False, doc="What it is for, in the words of whoever made it."),
    Column("tenant", Text, doc="The tenant that it belongs to; null: all of them."),
    Column("scopes", Text, nullable=False, doc="What it allows: names, separated by spaces."),
    Column("names_tenants", Flag, nullable=False, doc="Whether it may speak for a tenant that it names."),
    Column("created_at", Double, nullable=False, doc="When it was made."),
    Column("expires_at", Double, doc="When it ends by itself."),
    Column("revoked_at", Double, doc="When it was ended."),
    Column("last_used_at", Double, doc="When it was last used, to the minute."),
)

key_secrets = Table(
    "key_secrets",
    metadata,
    Column("hash", Text, primary_key=True, doc="SHA-256 of the secret, which is kept nowhere."),
    Column("key_id", Text, ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, doc="Which key."),
    Column("hint", Text, nullable=False, doc="The beginning of the secret."),
    Column("created_at", Double, nullable=False, doc="When it was made."),
    Column("expires_at", Double, doc="When it ends because another one has taken its place."),
)

Index("key_secrets_key_id_idx", key_secrets.c.key_id)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True, doc="`key:` and the id of a key, or `tenant:` and a tenant."),
    Column("rate", Double, doc="Requests per second."),
    Column("burst", Integer, doc="Requests at once."),
    Column("concurrency", Integer, doc="Tasks that wait or run."),
    Column("tokens", BigInteger, doc="Tokens in each period."),
    Column("cost", BigInteger, doc="Millionths of a currency unit in each period."),
    Column("budget_period", Text, nullable=False, doc="How long a budget lasts."),
    Column("task_tokens", BigInteger, doc="Tokens of one task."),
    Column("arrival", BigInteger, nullable=False, doc="Theoretical arrival time of GCRA, in nanoseconds."),
    Column("held", Integer, nullable=False, doc="Tasks that have reserved something and not ended."),
    Column("reserved_tokens", BigInteger, nullable=False, doc="What they may still spend."),
    Column("reserved_cost", BigInteger, nullable=False, doc="What that may cost."),
    Column("spent_tokens", BigInteger, nullable=False, doc="What was spent in the period."),
    Column("spent_cost", BigInteger, nullable=False, doc="What that did cost."),
    Column("period", BigInteger, nullable=False, doc="The number of the period."),
    CheckConstraint(one_of("budget_period", Period), name="budget_period"),
    CheckConstraint("(rate IS NULL) = (burst IS NULL)", name="burst"),
    CheckConstraint("held >= 0 AND reserved_tokens >= 0 AND reserved_cost >= 0", name="reserved"),
    CheckConstraint("spent_tokens >= 0 AND spent_cost >= 0", name="spent"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Text, primary_key=True, doc="The id of the task, which may not be stored yet."),
    Column("accounts", Text, nullable=False, doc="JSON list: on which accounts."),
    Column("tokens", BigInteger, nullable=False, doc="What it may take."),
    Column("cost", BigInteger, nullable=False, doc="What that may cost."),
    Column("held", Flag, nullable=False, doc="Whether that is counted as reserved on the accounts."),
    Column("charged_tokens", BigInteger, nullable=False, doc="What it was charged when it ended."),
    Column("charged_cost", BigInteger, nullable=False, doc="What that did cost."),
    Column(
        "expires_at",
        Double,
        nullable=False,
        doc="From then on nothing is held unless there is such a task; the end of a row that holds nothing.",
    ),
)

Index("reservations_held_expires_at_idx", reservations.c.held, reservations.c.expires_at)
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True, doc="What people see."),
    Column("tenant", Text, nullable=False, doc="Of whose tasks it is told."),
    Column("url", Text, nullable=False, doc="Where messages go."),
    Column("events", Text, nullable=False, doc="JSON: the types of events that it wants."),
    Column("secrets", Text, nullable=False, doc="JSON: [secret, when it expires], the newest first."),
    Column("description", Text, nullable=False, doc="For people."),
    Column("named", Flag, nullable=False, doc="Whether it is told only of the tasks that name it."),
    Column("created_at", Double, nullable=False, doc="When it was first given."),
    Column("used_at", Double, nullable=False, doc="When a task last named it, or when it was given."),
    Column("disabled_at", Double, doc="From when on nothing is sent to it."),
    Column("disabled_why", Text, nullable=False, doc="For people; empty if it is not disabled."),
    Column("failures", Integer, nullable=False, doc="Failed attempts in a row."),
    Column("paused_until", Double, nullable=False, doc="Until then nothing is sent to it."),
    CheckConstraint("failures >= 0", name="failures"),
)

Index("webhooks_tenant_created_at_idx", webhooks.c.tenant, webhooks.c.created_at, webhooks.c.id)

# Without constraints: nothing that is noted here may keep a task, be it damaged, from ending.
webhook_outbox = Table(
    "webhook_outbox",
    metadata,
    Column("key", _KEY, Identity(), primary_key=True, doc="Grows."),
    Column("task_id", Text, doc="The task; it may be gone by now."),
    Column("tenant", Text, doc="As in `tasks`, like all that follows."),
    Column("status", Text, doc="With which the task ended."),
    Column("planner", Text, doc="Name of the reasoning method."),
    Column("outcome", Text, doc="How the run ended."),
    Column("error", Text, doc="JSON."),
    Column("options", Text, doc="JSON; only if the task names an endpoint."),
    Column("created_at", Double, doc="When the task was submitted."),
    Column("started_at", Double, doc="When it was first claimed."),
    Column("finished_at", Double, doc="When it ended."),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True, doc="The same in all attempts; sent as `webhook-id`."),
    Column(
        "webhook_id",
        Text,
        ForeignKey("webhooks.id", ondelete="CASCADE"),
        nullable=False,
        doc="Where it goes.",
    ),
    Column("type", Text, nullable=False, doc="What happened."),
    Column("task_id", Text, doc="The task to which it happened."),
    Column("body", Text, nullable=False, doc="What is sent, byte for byte."),
    Column("status", Text, nullable=False, doc="Where it stands."),
    Column("attempts", Integer, nullable=False, doc="So far, with one that is under way."),
    Column("created_at", Double, nullable=False, doc="When it was queued."),
    Column("due_at", Double, nullable=False, doc="When a process may try it."),
    Column("expires_at", Double, nullable=False, doc="When it is given up."),
    Column("attempted_at", Double, doc="When the last attempt ended."),
    Column("http_status", Integer, doc="What the last attempt was answered."),
    Column("error", Text, nullable=False, doc="Why the last attempt failed; empty if it did not."),
    CheckConstraint(one_of("status", DeliveryStatus), name="status"),
    CheckConstraint("attempts >= 0", name="attempts"),
)

_IS_PENDING = webhook_deliveries.c.status == "pending"
Index(
    "webhook_deliveries_due_idx",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.due_at,
    sqlite_where=_IS_PENDING,
    postgresql_where=_IS_PENDING,
)
Index(
    "webhook_deliveries_webhook_idx",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.created_at,
    webhook_deliveries.c.id,
)
Index("webhook_deliveries_created_at_idx", webhook_deliveries.c.created_at)
