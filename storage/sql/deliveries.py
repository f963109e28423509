"""What working processes do with deliveries: take those that are due, say how it went, and tidy up.

Where both are locked, an endpoint is locked before its deliveries, so that no two processes deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    ScalarSelect,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    true,
    update,
)

from storage.endpoints import Attempt, DeliveryStatus, Due, Room, Shared, Webhook, paused_until
from storage.sql.rows import is_open, now
from storage.sql.tables import tasks, webhook_deliveries, webhook_outbox, webhooks
from storage.sql.webhook_rows import delivery_of, webhook_of
from storage.webhooks import EXPIRED, because_disabled

PORTION = 1_000
"""How many deliveries or endpoints one transaction removes."""

_of = webhook_deliveries.c
_PENDING = _of.status == literal(DeliveryStatus.PENDING.value, literal_execute=True)
"""As a literal, so that the partial index of pending deliveries applies."""


def _awaiting() -> CTE:
    """The ids of the endpoints for which something is pending.

    Goes from one to the next in the index, so it takes as long as there are such endpoints, whatever else is
    stored: one that a task has named stays for weeks.
    """

    def next_id(*after: ColumnElement[str]) -> ScalarSelect[str]:
        delivery = webhook_deliveries.alias()
        pending = delivery.c.status == literal(DeliveryStatus.PENDING.value, literal_execute=True)
        query = select(func.min(delivery.c.webhook_id)).where(pending)
        return query.where(*(delivery.c.webhook_id > each for each in after)).scalar_subquery()

    ids = select(next_id().label("id")).cte("awaiting", recursive=True)
    return ids.union_all(select(next_id(ids.c.id)).where(ids.c.id.is_not(None)))


def candidates(connection: Connection, room: Room, busy: Collection[Webhook]) -> Sequence[str]:
    """The ids of endpoints that may be sent something: of each tenant what was due first, by turns."""
    time = now(connection)
    awaiting = _awaiting()
    first = (
        select(func.min(_of.due_at))
        .where(_of.webhook_id == webhooks.c.id, _PENDING)
        .correlate(webhooks)
        .scalar_subquery()
    )
    place = func.row_number().over(partition_by=webhooks.c.tenant, order_by=first)
    able = (
        select(webhooks.c.id, first.label("first"), place.label("place"))
        .join_from(awaiting, webhooks, webhooks.c.id == awaiting.c.id)
        .where(
            webhooks.c.disabled_at.is_(None),
            webhooks.c.paused_until <= time,
            webhooks.c.id.not_in({each.id for each in busy}),
            first <= time,
        )
        .subquery()
    )
    query = (
        select(able.c.id)
        .where(able.c.place <= room.tenant)
        .order_by(able.c.place, able.c.first)
        .limit(room.total)
    )
    return connection.execute(query).scalars().all()


def claim(
    connection: Connection,
    webhook_ids: Sequence[str],
    room: Room,
    busy: Collection[Webhook],
    lease_seconds: float,
) -> tuple[Due, ...]:
    """Take deliveries to these endpoints. Those that another process is taking are skipped."""
    time = now(connection)
    rows = connection.execute(
        select(webhooks).where(
            webhooks.c.id.in_(webhook_ids),
            webhooks.c.disabled_at.is_(None),
            webhooks.c.paused_until <= time,
        )
    )
    found = {row.id: webhook_of(row) for row in rows}
    shared = Shared(room, busy)
    taken: list[Due] = []
    for webhook in (found[each] for each in webhook_ids if each in found):
        if not (left := shared.left(webhook)):
            continue
        due = (
            select(_of.id)
            .where(_of.webhook_id == webhook.id, _PENDING, _of.due_at <= time)
            .order_by(_of.due_at, _of.created_at)
            .limit(left)
            .with_for_update(skip_locked=True)
        )
        ids = connection.execute(due).scalars().all()
        claimed = connection.execute(
            update(webhook_deliveries)
            .where(_of.id.in_(ids))
            .values(attempts=_of.attempts + 1, due_at=time + lease_seconds)
            .returning(*_of)
        )
        taken += [Due(delivery_of(row), webhook) for row in claimed]
        shared.take(webhook, len(ids))
    return tuple(taken)


def settle(connection: Connection, due: Due, attempt: Attempt) -> None:
    """See :meth:`storage.webhooks.Webhooks.settle`."""
    time = now(connection)
    webhook = connection.execute(
        select(webhooks).where(webhooks.c.id == due.webhook.id).with_for_update(key_share=True)
    ).first()
    if webhook is None:
        return
    again = attempt.error and attempt.retry_in is not None and not attempt.gone
    status = DeliveryStatus.PENDING if again else DeliveryStatus.DEAD
    due_at = time + (attempt.retry_in or 0.0)
    changed = connection.execute(
        update(webhook_deliveries)
        .where(_of.id == due.delivery.id, _PENDING, _of.due_at == due.delivery.due_at)
        .values(
            status=status.value if attempt.error else DeliveryStatus.DELIVERED.value,
            due_at=due_at,
            attempted_at=time,
            http_status=attempt.http_status,
            error=attempt.error,
        )
    )
    if not changed.rowcount:
        return
    failures = webhook.failures + 1 if attempt.error else 0
    until = paused_until(webhook.paused_until, attempt, failures, time)
    connection.execute(
        update(webhooks).where(webhooks.c.id == due.webhook.id).values(failures=failures, paused_until=until)
    )
    if attempt.gone:
        disable(connection, due.webhook.id, attempt.error, time)


def disable(connection: Connection, webhook_id: str, why: str, time: float) -> None:
    """Send nothing more to an endpoint; what waits for it is dead."""
    connection.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook_id, webhooks.c.disabled_at.is_(None))
        .values(disabled_at=time, disabled_why=why)
    )
    connection.execute(
        update(webhook_deliveries)
        .where(_of.webhook_id == webhook_id, _PENDING)
        .values(status=DeliveryStatus.DEAD.value, error=because_disabled(why))
    )


def tidy(connection: Connection, keep_seconds: float) -> int:
    """See :meth:`storage.webhooks.Webhooks.tidy`."""
    time = now(connection)
    horizon = time - keep_seconds
    given_up = connection.execute(
        update(webhook_deliveries)
        .where(_PENDING, _of.expires_at < time, _of.due_at < time)
        .values(
            status=DeliveryStatus.DEAD.value,
            error=case((_of.error == "", EXPIRED), else_=_of.error),
        )
    ).rowcount
    old = select(_of.id).where(_of.created_at < horizon, ~_PENDING).limit(PORTION)
    removed = connection.execute(delete(webhook_deliveries).where(_of.id.in_(old))).rowcount
    unused = select(webhooks.c.id).where(_is_unused(horizon)).limit(PORTION)
    # The second condition is looked at again if a task has named one of them in the meantime.
    connection.execute(delete(webhooks).where(webhooks.c.id.in_(unused), _is_unused(horizon)))
    return given_up + removed


def _is_unused(horizon: float) -> ColumnElement[bool]:
    return and_(
        webhooks.c.named == true(),
        webhooks.c.used_at < horizon,
        ~exists().where(_of.webhook_id == webhooks.c.id),
        ~exists().where(webhook_outbox.c.tenant == webhooks.c.tenant),
        ~exists().where(tasks.c.tenant == webhooks.c.tenant, is_open()),
    )
