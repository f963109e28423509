"""Endpoints and deliveries in a database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, false, func, insert, select, tuple_, update
from typing_extensions import override

from storage.endpoints import (
    MOST_WEBHOOKS,
    Attempt,
    Delivery,
    DeliveryStatus,
    Due,
    NewDelivery,
    NewWebhook,
    Room,
    Webhook,
    rotated,
)
from storage.sql import deliveries, outbox
from storage.sql.rows import now
from storage.sql.tables import webhook_deliveries, webhooks
from storage.sql.transactions import Database
from storage.sql.webhook_rows import delivery_of, delivery_values, secrets_text, webhook_of, webhook_values
from storage.webhooks import Webhooks, Write, disabled, no_delivery, not_found, too_many


class SqlWebhooks(Webhooks):
    """Endpoints and deliveries in SQLite or PostgreSQL. The outbox is written by what ends tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, new: NewWebhook) -> Webhook:
        def body(connection: Connection) -> Webhook:
            found = connection.execute(select(webhooks).where(webhooks.c.id == new.id)).first()
            if found is None:
                others = connection.execute(
                    select(func.count())
                    .select_from(webhooks)
                    .where(webhooks.c.tenant == new.tenant, webhooks.c.named == false())
                ).scalar_one()
                if others >= MOST_WEBHOOKS:
                    raise too_many(new.tenant)
                connection.execute(insert(webhooks), [webhook_values(new, now(connection))])
            return _webhook(connection, new.id, new.tenant)

        return await self._database.write(body)

    @override
    async def registered(self, tenant: str | None) -> Sequence[Webhook]:
        query = select(webhooks).where(webhooks.c.named == false(), _belongs_to(tenant))
        ordered = query.order_by(webhooks.c.created_at, webhooks.c.id)
        return await self._database.read(
            lambda connection: [webhook_of(row) for row in connection.execute(ordered)]
        )

    @override
    async def get(self, webhook_id: str, tenant: str | None) -> Webhook:
        return await self._database.read(lambda connection: _webhook(connection, webhook_id, tenant))

    @override
    async def remove(self, webhook_id: str, tenant: str | None) -> Webhook:
        found: Webhook | None = None

        def body(connection: Connection) -> Webhook:
            nonlocal found
            if found is None:  # else it may have been removed before the connection broke
                found = _webhook(connection, webhook_id, tenant)
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
            return found

        return await self._database.write(body)

    @override
    async def rotate(self, webhook_id: str, tenant: str | None, secret: str, keep_seconds: float) -> Webhook:
        def body(connection: Connection) -> Webhook:
            found, time = _webhook(connection, webhook_id, tenant, lock=True), now(connection)
            secrets = rotated(found.secrets, secret, time + keep_seconds, time)
            return _changed(connection, webhook_id, secrets=secrets_text(secrets))

        return await self._database.write(body)

    @override
    async def enable(self, webhook_id: str, tenant: str | None) -> Webhook:
        def body(connection: Connection) -> Webhook:
            _webhook(connection, webhook_id, tenant)
            return _changed(
                connection, webhook_id, disabled_at=None, disabled_why="", failures=0, paused_until=0.0
            )

        return await self._database.write(body)

    @override
    async def post(self, webhook_id: str, tenant: str | None, new: NewDelivery, patience: float) -> Delivery:
        def body(connection: Connection) -> Delivery:
            _able(connection, webhook_id, tenant)
            time = now(connection)
            if connection.execute(_by_id(webhook_id, new.id)).first() is None:
                connection.execute(
                    insert(webhook_deliveries), [delivery_values(new, webhook_id, time, patience)]
                )
            return _delivery(connection, webhook_id, new.id)

        return await self._database.write(body)

    @override
    async def deliveries(
        self,
        webhook_id: str,
        tenant: str | None,
        *,
        status: DeliveryStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Sequence[Delivery]:
        each = webhook_deliveries.c
        query = (
            select(webhook_deliveries)
            .where(each.webhook_id == webhook_id)
            .order_by(each.created_at.desc(), each.id.desc())
            .limit(limit)
        )
        if status is not None:
            query = query.where(each.status == status.value)

        def body(connection: Connection) -> Sequence[Delivery]:
            _webhook(connection, webhook_id, tenant)
            older = query
            if before is not None:
                last = _delivery(connection, webhook_id, before)
                older = older.where(tuple_(each.created_at, each.id) < tuple_(last.created_at, last.id))
            return [delivery_of(row) for row in connection.execute(older)]

        return await self._database.read(body)

    @override
    async def resend(
        self, webhook_id: str, tenant: str | None, delivery_id: str, patience: float
    ) -> Delivery:
        def body(connection: Connection) -> Delivery:
            _able(connection, webhook_id, tenant)
            time = now(connection)
            each = webhook_deliveries.c
            connection.execute(
                update(webhook_deliveries)
                .where(
                    each.id == delivery_id,
                    each.webhook_id == webhook_id,
                    each.status != DeliveryStatus.PENDING.value,
                )
                .values(
                    status=DeliveryStatus.PENDING.value,
                    attempts=0,
                    due_at=time,
                    expires_at=time + patience,
                )
            )
            return _delivery(connection, webhook_id, delivery_id)

        return await self._database.write(body)

    @override
    async def spread(self, write: Write, patience: float) -> int:
        if not await self._database.read(outbox.waits):
            return 0
        return await self._database.write(lambda connection: outbox.spread(connection, write, patience))

    @override
    async def claim(
        self, room: Room, *, busy: Collection[Webhook] = (), lease_seconds: float
    ) -> Sequence[Due]:
        ids = await self._database.read(lambda connection: deliveries.candidates(connection, room, busy))
        if not ids:
            return ()
        return await self._database.write(
            lambda connection: deliveries.claim(connection, ids, room, busy, lease_seconds)
        )

    @override
    async def settle(self, due: Due, attempt: Attempt) -> None:
        await self._database.write(lambda connection: deliveries.settle(connection, due, attempt))

    @override
    async def tidy(self, keep_seconds: float) -> int:
        return await self._database.write(lambda connection: deliveries.tidy(connection, keep_seconds))


def _belongs_to(tenant: str | None) -> ColumnElement[bool]:
    return webhooks.c.tenant == tenant if tenant is not None else webhooks.c.id.is_not(None)


def _webhook(connection: Connection, webhook_id: str, tenant: str | None, *, lock: bool = False) -> Webhook:
    query = select(webhooks).where(webhooks.c.id == webhook_id, _belongs_to(tenant))
    row = connection.execute(query.with_for_update(key_share=True) if lock else query).first()
    if row is None:
        raise not_found(webhook_id)
    return webhook_of(row)


def _able(connection: Connection, webhook_id: str, tenant: str | None) -> None:
    """Raise if nothing can be sent to the endpoint, which stays so until the commit."""
    found = _webhook(connection, webhook_id, tenant, lock=True)
    if found.disabled_at is not None:
        raise disabled(found)


def _changed(connection: Connection, webhook_id: str, **values: Any) -> Webhook:
    statement = update(webhooks).where(webhooks.c.id == webhook_id).values(**values).returning(*webhooks.c)
    row = connection.execute(statement).first()
    if row is None:
        raise not_found(webhook_id)
    return webhook_of(row)


def _by_id(webhook_id: str, delivery_id: str) -> Any:
    each = webhook_deliveries.c
    return select(webhook_deliveries).where(each.id == delivery_id, each.webhook_id == webhook_id)


def _delivery(connection: Connection, webhook_id: str, delivery_id: str) -> Delivery:
    row = connection.execute(_by_id(webhook_id, delivery_id)).first()
    if row is None:
        raise no_delivery(webhook_id, delivery_id)
    return delivery_of(row)
