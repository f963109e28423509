"""One batch of the journal as one transaction.

Its statements are compiled once for each dialect and handed to the driver with tuples, because composing
them each time would cost more than running them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect, bindparam, insert, null, select, update

from storage.errors import JournalDamaged, StorageError, StorageUnavailable
from storage.refusals import REQUEST, key_taken, lost, not_found
from storage.sql import outbox
from storage.sql.admission import admitted, deadline_of
from storage.sql.events import last_seq
from storage.sql.journal import Arrival, Portion, Row
from storage.sql.listening import announce
from storage.sql.rows import JSON_COLUMNS, STORED_COLUMNS, among, array, insert_new, now, sound, task_of
from storage.sql.tables import events, tasks, text_uses, texts
from storage.tasks import Task, TaskStatus


def commit(connection: Connection, portions: Sequence[Portion], *, again: bool) -> None:
    """Store each portion whose fence holds, and set the ``error`` of the others.

    ``again``: an earlier try may have been committed before its connection broke. The fence guarantees that
    whatever is stored under a portion's numbers is its own.
    """
    sql = _statements(connection.dialect)
    for portion in portions:
        portion.error = None
    arrivals = [portion for portion in portions if portion.arrival is not None]
    endings = [portion for portion in portions if portion.ending is not None]
    time = now(connection) if arrivals or endings else 0.0
    accepted = _held(connection, sql, portions, again)
    shared = {hashed: text for _, portion in accepted for hashed, text in portion.texts.items()}
    if shared:
        # Sorted, so that two processes that store the same texts may wait for each other but never deadlock.
        connection.exec_driver_sql(sql.texts, sorted(shared.items()))
        connection.exec_driver_sql(
            sql.text_uses, [(key, hashed) for key, portion in accepted for hashed in portion.texts]
        )
    stored = _last_seqs(connection, accepted) if again else {}
    accepted = [(key, portion) for key, portion in accepted if portion.error is None]
    rows = [
        (key, *row)
        for key, portion in accepted
        for row in portion.rows
        if row[0] > stored.get(portion.task_id, -1)
    ]
    if rows:
        connection.exec_driver_sql(sql.events, rows)
    ended = [
        (ending.status.value, time, ending.outcome, ending.solution, ending.error, ending.entropy, key)
        for key, portion in accepted
        if (ending := portion.ending) is not None
    ]
    if ended:
        connection.exec_driver_sql(sql.finish, ended)
        outbox.note(connection, [row[-1] for row in ended])
    if arrivals:  # last, since other processes that have some wait until this is committed
        _add_tasks(connection, sql, arrivals, time, again)
    announce(connection, [portion.task_id for portion in (*arrivals, *(each for _, each in accepted))])


def restore(
    connection: Connection, task: Mapping[str, Any], rows: Sequence[Row], shared: Mapping[str, str]
) -> bool:
    """Store a task that has ended and its journal; False if its id or idempotency key is taken."""
    sql = _statements(connection.dialect)
    if not connection.exec_driver_sql(sql.tasks, tuple(task[name] for name in STORED_COLUMNS)).rowcount:
        return False
    key = connection.execute(select(tasks.c.key).where(tasks.c.id == task["id"])).scalar_one()
    if shared:
        connection.exec_driver_sql(sql.texts, sorted(shared.items()))
        connection.exec_driver_sql(sql.text_uses, [(key, hashed) for hashed in shared])
    if rows:
        connection.exec_driver_sql(sql.events, [(key, *row) for row in rows])
    announce(connection, [task["id"]])
    return True


def _add_tasks(
    connection: Connection, sql: _Statements, arrivals: Sequence[Portion], time: float, again: bool
) -> None:
    """Insert the tasks that arrived, and find the earlier ones that their idempotency keys stand for."""
    entering = admitted(connection, arrivals, time, again=again)
    named = [each.arrival.values.get("webhook") for each in entering if each.arrival]
    if wanted := [webhook for webhook in named if webhook is not None]:
        outbox.name(connection, wanted, time)
    if entering:
        connection.exec_driver_sql(
            sql.tasks,
            [_task_row(portion.task_id, portion.arrival, time) for portion in entering if portion.arrival],
        )
    ids = array(connection.dialect, [portion.task_id for portion in arrivals])
    found = {row.id: task_of(row) for row in connection.exec_driver_sql(sql.tasks_by_id, (ids,))}
    for portion in arrivals:
        portion.task = found.get(portion.task_id)
        if portion.task is None and portion.error is None and portion.arrival is not None:
            try:
                portion.task = _first_task(connection, portion.arrival)
            except StorageError as error:
                portion.error = error


def _first_task(connection: Connection, arrival: Arrival) -> Task:
    asked = arrival.values
    row = connection.execute(
        select(tasks).where(
            tasks.c.tenant == asked["tenant"], tasks.c.idempotency_key == asked["idempotency_key"]
        )
    ).first()
    if row is None:
        raise StorageUnavailable("the first task with this idempotency key was pruned just now; try again")
    first = sound(task_of(row))
    # Parsed, since the members of an object have no order.
    wanted = {name: json.loads(asked[name]) if name in JSON_COLUMNS else asked[name] for name in REQUEST}
    if differing := [name for name in REQUEST if getattr(first, name) != wanted[name]]:
        raise key_taken(asked["idempotency_key"], first.id, differing)
    return first


def _held(
    connection: Connection, sql: _Statements, portions: Sequence[Portion], again: bool
) -> list[tuple[int, Portion]]:
    """The portions that may be stored, with the keys of their tasks.

    The tasks are locked until the commit, so no process can claim them meanwhile.
    """
    claimed = [portion for portion in portions if portion.rows or portion.ending is not None]
    if not claimed:
        return []
    ids = array(connection.dialect, [portion.task_id for portion in claimed])
    held = {row.id: row for row in connection.exec_driver_sql(sql.fences, (ids,))}
    accepted = []
    for portion in claimed:
        row = held.get(portion.task_id)
        if row is None:
            portion.error = not_found(portion.task_id)
        elif row.lease_fence == portion.fence and row.status == TaskStatus.RUNNING:
            accepted.append((row.key, portion))
        elif not (again and portion.ending is not None and row.lease_fence == portion.fence):
            portion.error = lost(row, portion.fence)
    return accepted


def _last_seqs(connection: Connection, accepted: Sequence[tuple[int, Portion]]) -> Mapping[str, int]:
    found = {}
    for key, portion in accepted:
        try:
            found[portion.task_id] = last_seq(connection, key, portion.task_id)
        except JournalDamaged as error:
            portion.error = error
    return found


def _task_row(task_id: str, arrival: Arrival, time: float) -> tuple[Any, ...]:
    values = {**arrival.values, "id": task_id, "created_at": time, "cancel_requested": False}
    values["deadline"] = deadline_of(arrival, time)
    if arrival.owner is None:
        values |= {"status": TaskStatus.QUEUED.value, "attempts": 0, "lease_fence": 0}
    else:
        values |= {
            "status": TaskStatus.RUNNING.value,
            "started_at": time,
            "attempts": 1,
            "lease_owner": arrival.owner,
            "lease_fence": 1,
            "lease_expires_at": time + arrival.lease_seconds,
        }
    return tuple(values.get(name) for name in STORED_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Statements:
    tasks: str
    tasks_by_id: str
    fences: str
    texts: str
    text_uses: str
    events: str
    finish: str


@lru_cache(maxsize=8)
def _statements(dialect: Dialect) -> _Statements:
    by_id = among(dialect, tasks.c.id, bindparam("ids"))
    fences = (
        select(tasks.c.key, tasks.c.id, tasks.c.status, tasks.c.lease_fence, tasks.c.lease_owner)
        .where(by_id)
        .order_by(tasks.c.id)  # always in the same order, so that two processes cannot deadlock
        .with_for_update(key_share=True)
    )
    finish = (
        update(tasks)
        .values(  # in the order of the table's columns, like the tuples above
            status=bindparam("status"),
            finished_at=bindparam("finished_at"),
            outcome=bindparam("outcome"),
            solution=bindparam("solution"),
            error=bindparam("error"),
            lease_owner=null(),
            lease_expires_at=null(),
            entropy=bindparam("entropy"),
        )
        .where(tasks.c.key == bindparam("task_key"))
    )

    def compiled(statement: ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    return _Statements(
        tasks=str(insert_new(dialect, tasks).inline().compile(dialect=dialect, column_keys=STORED_COLUMNS)),
        tasks_by_id=compiled(select(tasks).where(by_id)),
        fences=compiled(fences),
        texts=compiled(insert_new(dialect, texts)),
        text_uses=compiled(insert_new(dialect, text_uses)),
        events=compiled(insert(events)),
        finish=compiled(finish),
    )
