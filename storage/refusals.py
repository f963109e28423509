"""The errors with which stores refuse; both use the same words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from storage.errors import (
    IdempotencyConflict,
    IllegalTransition,
    JournalDamaged,
    LeaseLost,
    TaskExists,
    TaskNotFound,
)
from storage.tasks import Task


class Held(Protocol):
    """What a refusal says about a task; a row of the table will do."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def lease_fence(self) -> int: ...  # noqa: D102
    @property
    def lease_owner(self) -> str | None: ...  # noqa: D102


def not_found(task_id: str) -> TaskNotFound:
    """No task has that id."""
    return TaskNotFound(f"there is no task {task_id!r}")


def lost(task: Held, fence: int) -> LeaseLost:
    """The task has moved on since the claim with that fence."""
    return LeaseLost(
        f"task {task.id} is {task.status} under fence {task.lease_fence} (owner: {task.lease_owner}); "
        f"a claim with fence {fence} may write nothing more for it"
    )


def not_claimable(task: Task) -> IllegalTransition:
    """The task has ended, or its lease has not lapsed."""
    if task.status.terminal:
        return IllegalTransition(
            f"task {task.id} has ended ({task.status}); it cannot be run again, only replayed or forked"
        )
    return IllegalTransition(f"task {task.id} is being run by {task.lease_owner}, whose lease has not lapsed")


def not_dead(task: Task) -> IllegalTransition:
    """The task was not given up, so there is no reason to put it back."""
    return IllegalTransition(
        f"task {task.id} is {task.status}; only a dead task can be put back into the queue"
    )


REQUEST = ("question", "planner", "options", "seed", "parent_id", "fork_at")
"""The members of a task that two requests with one idempotency key must have in common."""


def key_taken(key: str, task_id: str, differing: Iterable[str]) -> IdempotencyConflict:
    """The idempotency key was used for another request."""
    return IdempotencyConflict(
        f"idempotency key {key!r} belongs to task {task_id}, which asked for something else "
        f"({', '.join(differing)}); use another key for another request"
    )


def cannot_be_read(task_id: str, why: Iterable[str]) -> str:
    """The damage of a task, of which ``why`` names each column and what is wrong with it."""
    return f"task {task_id} cannot be read: {'; '.join(why)}"


def set_aside(damage: str) -> dict[str, str]:
    """The error of a task that cannot be read."""
    return {"code": JournalDamaged.code, "message": damage}


def not_ended(task: Task) -> IllegalTransition:
    """The task cannot be stored as it is: it would still have to be run."""
    return IllegalTransition(f"task {task.id} is {task.status}; only a task that has ended can be restored")


def not_deletable(task: Task) -> IllegalTransition:
    """The task is still to be run, or a fork of it is."""
    if task.status.terminal:
        return IllegalTransition(
            f"task {task.id} has a fork that has not ended and needs its journal; wait for it, or cancel it"
        )
    return IllegalTransition(f"task {task.id} is {task.status}; cancel it, and delete it when it has ended")


def exists(task: Task) -> TaskExists:
    """The task is there, or its idempotency key is taken."""
    key = "" if task.idempotency_key is None else f" or idempotency key {task.idempotency_key!r}"
    return TaskExists(f"there is already a task with id {task.id}{key}")


def exhausted(task: Task) -> dict[str, str]:
    """The error of a task that becomes dead."""
    return {
        "code": "attempts_exhausted",
        "message": f"given up after {task.attempts} attempts; the last, by {task.lease_owner}, "
        "let its lease lapse",
    }
