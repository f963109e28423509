"""Which process runs a task: claimed under a lease that must be renewed, and taken over when it lapses.

Each claim raises the task's fence. Every write for the task names the fence of its process's claim, so a
process that was stopped, swapped out or cut off, and wakes up late, finds all its writes refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

from sqlalchemy import Connection, func, or_, select, update

from storage import codec
from storage.refusals import exhausted, lost, not_claimable, not_dead, not_found
from storage.sql.rows import get_task, is_open, now, task_of
from storage.sql.tables import tasks
from storage.tasks import Claim, Task, TaskStatus


def claim_oldest(connection: Connection, owner: str, lease_seconds: float, max_attempts: int) -> Claim | None:
    """See :meth:`storage.store.Store.claim`. Rows that another process is claiming are skipped."""
    query = (
        select(tasks)
        .where(
            is_open(),
            or_(tasks.c.status == TaskStatus.QUEUED.value, tasks.c.lease_expires_at < now(connection)),
        )
        .order_by(tasks.c.created_at, tasks.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )
    while (row := connection.execute(query).first()) is not None:
        if row.status == TaskStatus.QUEUED or row.attempts < max_attempts:
            return _take(connection, row.id, owner, lease_seconds)
        _bury(connection, task_of(row))
    return None


def claim_task(connection: Connection, task_id: str, owner: str, lease_seconds: float) -> Claim:
    """See :meth:`storage.store.Store.claim_task`."""
    row = connection.execute(
        select(tasks).where(tasks.c.id == task_id).with_for_update(key_share=True)
    ).first()
    if row is None:
        raise not_found(task_id)
    task = task_of(row)
    lapsed = task.lease_expires_at is not None and task.lease_expires_at < now(connection)
    if not lapsed and task.status is not TaskStatus.QUEUED:
        raise not_claimable(task)
    return _take(connection, task_id, owner, lease_seconds)


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
        return task_of(row)
    task = get_task(connection, task_id)
    if task.status is not TaskStatus.QUEUED:
        raise not_dead(task)
    return task


def _take(connection: Connection, task_id: str, owner: str, lease_seconds: float) -> Claim:
    valid_until = monotonic() + lease_seconds
    time = now(connection)
    row = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id)
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


def _bury(connection: Connection, task: Task) -> None:
    connection.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(
            status=TaskStatus.DEAD.value,
            finished_at=now(connection),
            error=codec.dumps(exhausted(task)),
            lease_owner=None,
            lease_expires_at=None,
        )
    )


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
