"""Which process runs a task: claimed under a lease that must be renewed, and taken over when it lapses.

Each claim raises the task's fence. Every write for the task names the fence of its process's claim, so a
process that was stopped, swapped out or cut off, and wakes up late, finds all its writes refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, true, update

from storage import codec
from storage.refusals import lost, not_claimable, not_dead, not_found
from storage.sql import outbox
from storage.sql.listening import announce, notify
from storage.sql.rows import among, array, get_task, is_open, now, sound, task_of
from storage.sql.tables import tasks
from storage.tasks import Claim, Task, TaskStatus


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
    return take(connection, row.key, owner, lease_seconds)


def renew(connection: Connection, claim: Claim) -> Claim:
    """See :meth:`storage.store.Store.heartbeat`."""
    valid_until = monotonic() + claim.lease_seconds
    task = _update(connection, claim, {"lease_expires_at": now(connection) + claim.lease_seconds})
    return replace(claim, task=task, valid_until=valid_until)


def release(connection: Connection, claim: Claim) -> Task:
    """See :meth:`storage.store.Store.release`."""
    announce(connection, [claim.task.id])
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


def requeue(connection: Connection, task_id: str, submitted_by: str | None) -> Task:
    """See :meth:`storage.store.Store.requeue`."""
    row = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.status == TaskStatus.DEAD.value)
        .values(
            status=TaskStatus.QUEUED.value,
            attempts=0,
            lease_fence=tasks.c.lease_fence + 1,
            cancel_requested=False,
            started_at=None,
            finished_at=None,
            error=None,
            deadline=None,
            submitted_by=func.coalesce(tasks.c.submitted_by, submitted_by),
        )
        .returning(*tasks.c)
    ).first()
    if row is not None:
        announce(connection, [task_id])
        return sound(task_of(row))
    task = sound(get_task(connection, task_id))
    if task.status is not TaskStatus.QUEUED:
        raise not_dead(task)
    return task


def cancelled(connection: Connection, task_ids: Sequence[str]) -> Sequence[str]:
    """Those of the tasks that somebody wants cancelled."""
    query = select(tasks.c.id).where(
        among(connection.dialect, tasks.c.id, bindparam("ids")), tasks.c.cancel_requested == true()
    )
    return connection.execute(query, {"ids": array(connection.dialect, task_ids)}).scalars().all()


def take(connection: Connection, key: int, owner: str, lease_seconds: float) -> Claim:
    """Claim a task whose row the caller has locked."""
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
    announce(connection, [row.id])
    return Claim(
        task=task_of(row),
        owner=owner,
        fence=row.lease_fence,
        lease_seconds=lease_seconds,
        valid_until=valid_until,
    )


def request_cancel(connection: Connection, task_id: str) -> Task:
    """See :meth:`storage.store.Store.request_cancel`."""
    queued = tasks.c.status == TaskStatus.QUEUED.value
    changed = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id, is_open())
        .values(
            cancel_requested=True,
            status=case((queued, TaskStatus.CANCELLED.value), else_=tasks.c.status),
            finished_at=case((queued, now(connection)), else_=tasks.c.finished_at),
        )
        .returning(tasks.c.key, tasks.c.status)
    ).first()
    if changed is not None:
        notify(connection, task_id)
        announce(connection, [task_id])
        if changed.status == TaskStatus.CANCELLED.value:
            outbox.note(connection, [changed.key])
    return get_task(connection, task_id)


def give_up(
    connection: Connection,
    key: int,
    task_id: str,
    error: Mapping[str, str],
    *,
    status: TaskStatus = TaskStatus.DEAD,
    **others: str,
) -> None:
    """End a task that nobody is to run, and whose row the caller has locked."""
    connection.execute(
        update(tasks)
        .where(tasks.c.key == key)
        .values(
            status=status.value,
            finished_at=now(connection),
            error=codec.dumps(error),
            lease_owner=None,
            lease_expires_at=None,
            **others,
        )
    )
    outbox.note(connection, [key])
    announce(connection, [task_id])


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
