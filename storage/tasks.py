"""A task and its lifecycle, as values."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from storage.endpoints import NewWebhook

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class TaskStatus(StrEnum):
    """Where a task stands; the comment on each value says what brings a task there."""

    QUEUED = "queued"  # submit; release of a running task; or requeue of a dead one
    RUNNING = "running"  # claim, from queued or from running with a lapsed lease
    SUCCEEDED = "succeeded"  # finish, from running
    FAILED = "failed"  # finish, from running; or expire or claim, when its deadline passed in the queue
    CANCELLED = "cancelled"  # finish, from running; or request_cancel, from queued
    DEAD = "dead"  # claim, when a lease lapsed and no attempt is left, or when its row cannot be read

    @property
    def terminal(self) -> bool:
        """Whether the task has ended."""
        return self not in OPEN


OPEN = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING})


class Priority(StrEnum):
    """The line in which a task waits to begin."""

    INTERACTIVE = "interactive"  # somebody waits for the answer
    BATCH = "batch"  # begins when no interactive task waits, or when it is its line's turn all the same


EXPIRED = "expired"
"""The outcome of a task whose deadline passed before it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What a caller asks for. ``question`` and ``options`` are JSON.

    A second submission with the same ``idempotency_key`` (unique within the tenant) returns the first
    task. ``parent_id`` and ``fork_at`` (a node's path) say which task this one is a fork of, and where.
    ``submitted_by`` is the id of the key that asks. ``id`` is a new id, if the caller has made one already.
    A task that has not begun by its ``deadline`` (seconds since the epoch), or ``within`` so many seconds of
    its submission, need not begin any more; only one of them is given.
    ``webhook`` is told of its end; ``options["webhook"]`` must be its id.
    ``trace_parent`` is the span of the caller that asked, as a ``traceparent`` of the W3C's Trace Context: it
    is no part of what is asked.
    """

    question: Any
    planner: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    tenant: str = "default"
    idempotency_key: str | None = None
    parent_id: str | None = None
    fork_at: str | None = None
    submitted_by: str | None = None
    id: str | None = None
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    within: float | None = None
    webhook: NewWebhook | None = None
    trace_parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as stored. Times are in seconds since the epoch.

    If its row cannot be read, ``damage`` says why, ``error`` says so too, and the members that cannot be read
    are empty.
    """

    id: str
    tenant: str
    status: TaskStatus
    question: Any
    planner: str
    options: Mapping[str, Any]
    seed: int
    idempotency_key: str | None
    parent_id: str | None
    fork_at: str | None
    created_at: float
    started_at: float | None = None  # of the first attempt; after a requeue, of the first since then
    finished_at: float | None = None
    outcome: str | None = None  # in the planner's words: answered, budget, deadline, …
    solution: Any = None
    error: Mapping[str, Any] | None = None  # {"code", "message"}
    cancel_requested: bool = False
    attempts: int = 0  # claims so far, not counting those that were released
    lease_owner: str | None = None  # the process that runs it; None unless running
    lease_fence: int = 0  # grows with each claim and requeue, and never shrinks
    lease_expires_at: float | None = None
    submitted_by: str | None = None  # the id of the key that asked for it
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None  # a task that has not begun by then ends; a requeue clears it
    trace_parent: str | None = None  # as of a NewTask: the spans of its runs belong there
    damage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to write for a task until another process claims it.

    The lease must be renewed (``heartbeat``) within ``lease_seconds``; a third of that is a good interval.
    Until ``valid_until``, on this process's clock ``time.monotonic``, no other process can have it: the time
    counts from before the database was asked, and continues while the process is stopped.
    """

    task: Task
    owner: str
    fence: int
    lease_seconds: float
    valid_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed: tasks with their journals, and texts that nothing uses any more."""

    tasks: int
    texts: int


def new_task_id() -> str:
    """Sixteen characters: 45 bits of milliseconds, so that ids sort by time, then 35 random bits."""
    number = (int(time.time() * 1000) << 35) | secrets.randbits(35)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -5, -5))
