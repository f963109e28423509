"""The outbox: tasks whose end is still to be told, each noted in the transaction that ends it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    bindparam,
    case,
    delete,
    exists,
    false,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from storage.endpoints import DeliveryStatus, Ended, NewWebhook, wanting
from storage.sql import columns
from storage.sql.rows import AnyRow, among, array, now
from storage.sql.tables import tasks, webhook_deliveries, webhook_outbox, webhooks
from storage.sql.webhook_rows import delivery_values, webhook_of, webhook_values
from storage.webhooks import Write, because_disabled

PORTION = 100
"""How many notes one transaction spreads."""

MEMBER = "webhook"
"""The member of a task's options that names an endpoint."""

_COPIED = (
    "tenant",
    "status",
    "planner",
    "outcome",
    "error",
    "created_at",
    "started_at",
    "finished_at",
)


def note(connection: Connection, keys: Sequence[int]) -> None:
    """Note that these tasks, whose rows say so by now, have ended, if their tenants have endpoints."""
    connection.exec_driver_sql(_note(connection.dialect), (array(connection.dialect, keys),))


@lru_cache(maxsize=8)
def _note(dialect: Dialect) -> str:
    naming = case((tasks.c.options.like(literal_column(f"'%\"{MEMBER}\"%'")), tasks.c.options))
    found = select(tasks.c.id, *(tasks.c[name] for name in _COPIED), naming).where(
        among(dialect, tasks.c.key, bindparam("keys")), exists().where(webhooks.c.tenant == tasks.c.tenant)
    )
    statement = insert(webhook_outbox).from_select(
        ["task_id", *_COPIED, "options"], found.order_by(tasks.c.key)
    )
    return str(statement.compile(dialect=dialect))


def name(connection: Connection, wanted: Sequence[NewWebhook], time: float) -> None:
    """Store the endpoints that new tasks name; one that is there already only counts as used."""
    rows = {each.id: webhook_values(each, time) for each in wanted}
    table = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = table.insert(webhooks)
    # Sorted, so that two processes that store the same ones may wait for each other but never deadlock.
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[webhooks.c.id], set_={"used_at": statement.excluded.used_at}
        ),
        [rows[key] for key in sorted(rows)],
    )


def waits(connection: Connection) -> bool:
    """Whether there is a note."""
    return connection.execute(select(webhook_outbox.c.key).limit(1)).first() is not None


def spread(connection: Connection, write: Write, patience: float) -> int:
    """See :meth:`storage.webhooks.Webhooks.spread`. Notes that another process is spreading are skipped."""
    rows = connection.execute(
        select(webhook_outbox).order_by(webhook_outbox.c.key).limit(PORTION).with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0
    found = [_ended(row) for row in rows]
    time = now(connection)
    deliveries = []
    endpoints = [webhook_of(row) for row in _endpoints(connection, found)]
    for place, ended in enumerate(found):
        for webhook in wanting(ended, endpoints):
            values = delivery_values(write(ended), webhook.id, time, patience)
            values["created_at"] += 1e-6 * place  # so that they are in the order of the ends
            if webhook.disabled_at is not None:
                values |= {
                    "status": DeliveryStatus.DEAD.value,
                    "error": because_disabled(webhook.disabled_why),
                }
            deliveries.append(values)
    if deliveries:
        connection.execute(insert(webhook_deliveries), deliveries)
    connection.execute(delete(webhook_outbox).where(webhook_outbox.c.key.in_([row.key for row in rows])))
    return len(rows)


def _endpoints(connection: Connection, found: Sequence[Ended]) -> Sequence[AnyRow]:
    """The endpoints that may want to know; they are not removed before the commit."""
    tenants = sorted({ended.tenant for ended in found})
    named = sorted({ended.webhook for ended in found if ended.webhook is not None})
    return connection.execute(
        select(webhooks)
        .where(
            among(connection.dialect, webhooks.c.tenant, bindparam("tenants")),
            or_(
                webhooks.c.named == false(),
                among(connection.dialect, webhooks.c.id, bindparam("ids")),
            ),
        )
        .order_by(webhooks.c.id)
        .with_for_update(read=True, key_share=True),
        {"tenants": array(connection.dialect, tenants), "ids": array(connection.dialect, named)},
    ).all()


def _ended(row: AnyRow) -> Ended:
    """What a note says; whatever cannot be read of it is left out, since the task has ended all the same."""
    options = _object(row.options)
    webhook = options.get(MEMBER)
    return Ended(
        task_id=columns.printable(row.task_id),
        tenant=columns.printable(row.tenant),
        status=columns.printable(row.status),
        planner=columns.printable(row.planner),
        outcome=None if row.outcome is None else columns.printable(row.outcome),
        error=_object(row.error) or None,
        webhook=webhook if isinstance(webhook, str) else None,
        created_at=_time(row.created_at) or 0.0,
        started_at=_time(row.started_at),
        finished_at=_time(row.finished_at) or 0.0,
    )


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _time(value: Any) -> float | None:
    try:
        return columns.time(value)
    except (TypeError, ValueError):
        return None
