"""Which process runs a task: claimed under a lease that must be renewed, and taken over when it lapses.

Each claim raises the task's fence. Every write for the task names the fence of its process's claim, so a
process that was stopped, swapped out or cut off, and wakes up late, finds all its writes refused.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, or_, select, update

from storage import codec
from storage.refusals import exhausted, lost, not_claimable, not_dead, not_found, set_aside
from storage.sql import outbox
from storage.sql.rows import get_task, is_open, now, sound, task_of
from storage.sql.tables import tasks
from storage.tasks import Claim, Task, TaskStatus

GIVEN_UP = 100
"""How many tasks one transaction gives up before it lets others write."""


class Found(NamedTuple):
    """A claim, if there was something to claim, and the damage of the tasks that were set aside meanwhile."""

    claim: Claim | None
    damaged: tuple[str, ...]
    more: bool  # what is behind the tasks that were given up has not been looked at


def claim_oldest(
    connection: Connection, owner: str, lease_seconds: float, max_attempts: int, below: int | None = None
) -> Found:
    """See :meth:`storage.store.Store.claim`. Rows that another process is claiming are skipped."""
    time = now(connection)
    # What is no number is larger than every number, so such a lease counts as lapsed.
    leased = func.coalesce(tasks.c.lease_expires_at, 0.0).between(time, sys.float_info.max)
    query = (
        select(tasks)
        .where(is_open(), or_(tasks.c.status == TaskStatus.QUEUED.value, ~leased))
        .order_by(tasks.c.created_at, tasks.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )
    if below is not None:
        query = query.where(or_(tasks.c.attempts < below, tasks.c.attempts >= max_attempts))
    damaged: list[str] = []
    for _ in range(GIVEN_UP):
        row = connection.execute(query).first()
        if row is None:
            return Found(None, tuple(damaged), more=False)
        task = task_of(row)
        if task.damage is not None:
            damaged.append(task.damage)
            _bury(connection, row.key, set_aside(task.damage))
        elif task.status is TaskStatus.QUEUED or task.attempts < max_attempts:
            return Found(_take(connection, row.key, owner, lease_seconds), tuple(damaged), more=False)
        else:
            _bury(connection, row.key, exhausted(task))
    return Found(None, tuple(damaged), more=True)


def claim_task(connection: Connection, task_id: str, owner: str, lease_seconds: float) -> Claim:
    """See :meth:`storage.store.Store.claim_task`."""
    row = connection.execute(
        select(tasks).where(tasks.c.id == task_id).with_for_update(key_share=True)
    ).first()
    if row is None:
        raise not_found(task_id)
    task = sound(task_of(row))
    lapsed = task.lease_expires_at is not None and task.lease_expires_at < now(connection)
    if not lapsed and task.status is not TaskStatus.QUEUED:
        raise not_claimable(task)
    return _take(connection, row.key, owner, lease_seconds)


def renew(connection: Connection, claim: Claim) -> Claim:
    """See :meth:`storage.store.Store.heartbeat`."""
    valid_until = monotonic() + claim.lease_seconds
    task = _update(connection, claim, {"lease_expires_at": now(connection) + claim.lease_seconds})
    return replace(claim, task=task, valid_until=valid_until)


def release(connection: Connection, claim: Claim) -> Task:
    """See :meth:`storage.store.Store.release`."""
    return _update(
        connection,
        claim,
        {
            "status": TaskStatus.QUEUED.value,
            "attempts": tasks.c.attempts - 1,
            "lease_owner": None,
            "lease_expires_at": None,
        },
    )


def requeue(connection: Connection, task_id: str) -> Task:
    """See :meth:`storage.store.Store.requeue`."""
    row = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.status == TaskStatus.DEAD.value)
        .values(
            status=TaskStatus.QUEUED.value,
            attempts=0,
            cancel_requested=False,
            started_at=None,
            finished_at=None,
            error=None,
        )
        .returning(*tasks.c)
    ).first()
    if row is not None:
        return sound(task_of(row))
    task = sound(get_task(connection, task_id))
    if task.status is not TaskStatus.QUEUED:
        raise not_dead(task)
    return task


def _take(connection: Connection, key: int, owner: str, lease_seconds: float) -> Claim:
    valid_until = monotonic() + lease_seconds
    time = now(connection)
    row = connection.execute(
        update(tasks)
        .where(tasks.c.key == key)
        .values(
            status=TaskStatus.RUNNING.value,
            started_at=func.coalesce(tasks.c.started_at, time),
            attempts=tasks.c.attempts + 1,
            lease_owner=owner,
            lease_fence=tasks.c.lease_fence + 1,
            lease_expires_at=time + lease_seconds,
        )
        .returning(*tasks.c)
    ).one()
    return Claim(
        task=task_of(row),
        owner=owner,
        fence=row.lease_fence,
        lease_seconds=lease_seconds,
        valid_until=valid_until,
    )


def _bury(connection: Connection, key: int, error: Mapping[str, str]) -> None:
    connection.execute(
        update(tasks)
        .where(tasks.c.key == key)
        .values(
            status=TaskStatus.DEAD.value,
            finished_at=now(connection),
            error=codec.dumps(error),
            lease_owner=None,
            lease_expires_at=None,
        )
    )
    outbox.note(connection, [key])


def _update(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> Task:
    """Change the task if the claim still holds it."""
    row = connection.execute(
        update(tasks)
        .where(
            tasks.c.id == claim.task.id,
            tasks.c.status == TaskStatus.RUNNING.value,
            tasks.c.lease_fence == claim.fence,
        )
        .values(**values)
        .returning(*tasks.c)
    ).first()
    if row is None:
        raise lost(get_task(connection, claim.task.id), claim.fence)
    return task_of(row)
