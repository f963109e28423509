"""Endpoints and deliveries in dictionaries, for the store in memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain, zip_longest

from typing_extensions import override

from storage.endpoints import (
    MOST_WEBHOOKS,
    Attempt,
    Delivery,
    DeliveryStatus,
    Due,
    Ended,
    NewDelivery,
    NewWebhook,
    Room,
    Shared,
    Webhook,
    paused_until,
    rotated,
    wanting,
)
from storage.tasks import Task
from storage.webhooks import (
    EXPIRED,
    Webhooks,
    Write,
    because_disabled,
    disabled,
    no_delivery,
    not_found,
    too_many,
)


class MemoryWebhooks(Webhooks):
    """Endpoints and deliveries of this process only, for these tasks by their ids."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._webhooks: dict[str, Webhook] = {}  # oldest first
        self._used_at: dict[str, float] = {}
        self._deliveries: dict[str, Delivery] = {}  # oldest first
        self._outbox: list[Ended] = []

    def note(self, task: Task) -> None:
        """Note that a task has ended, if its tenant has endpoints to tell."""
        if any(each.tenant == task.tenant for each in self._webhooks.values()):
            named = task.options.get("webhook")
            self._outbox.append(
                Ended(
                    task_id=task.id,
                    tenant=task.tenant,
                    status=task.status.value,
                    planner=task.planner,
                    outcome=task.outcome,
                    error=task.error,
                    webhook=named if isinstance(named, str) else None,
                    created_at=task.created_at,
                    started_at=task.started_at,
                    finished_at=task.finished_at or time.time(),
                )
            )

    def name(self, new: NewWebhook) -> None:
        """Store the endpoint that a new task names; one that is there already only counts as used."""
        if new.id not in self._webhooks:
            self._put(new)
        self._used_at[new.id] = time.time()

    @override
    async def add(self, new: NewWebhook) -> Webhook:
        if new.id not in self._webhooks:
            others = [
                each for each in self._webhooks.values() if each.tenant == new.tenant and not each.named
            ]
            if len(others) >= MOST_WEBHOOKS:
                raise too_many(new.tenant)
            self._put(new)
        return self._webhooks[new.id]

    @override
    async def registered(self, tenant: str | None) -> Sequence[Webhook]:
        return [each for each in self._webhooks.values() if not each.named and tenant in (None, each.tenant)]

    @override
    async def get(self, webhook_id: str, tenant: str | None) -> Webhook:
        return self._get(webhook_id, tenant)

    @override
    async def remove(self, webhook_id: str, tenant: str | None) -> Webhook:
        found = self._get(webhook_id, tenant)
        del self._webhooks[webhook_id], self._used_at[webhook_id]
        for each in self._of(webhook_id):
            del self._deliveries[each.id]
        return found

    @override
    async def rotate(self, webhook_id: str, tenant: str | None, secret: str, keep_seconds: float) -> Webhook:
        found, now = self._get(webhook_id, tenant), time.time()
        return self._change(found, secrets=rotated(found.secrets, secret, now + keep_seconds, now))

    @override
    async def enable(self, webhook_id: str, tenant: str | None) -> Webhook:
        found = self._get(webhook_id, tenant)
        return self._change(found, disabled_at=None, disabled_why="", failures=0, paused_until=0.0)

    @override
    async def post(self, webhook_id: str, tenant: str | None, new: NewDelivery, patience: float) -> Delivery:
        self._able(webhook_id, tenant)
        return self._queue(webhook_id, new, patience)

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
        self._get(webhook_id, tenant)
        found = self._of(webhook_id)
        found.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        if before is not None:
            last = self._delivery(webhook_id, before)
            found = [each for each in found if (each.created_at, each.id) < (last.created_at, last.id)]
        return [each for each in found if status in (None, each.status)][:limit]

    @override
    async def resend(
        self, webhook_id: str, tenant: str | None, delivery_id: str, patience: float
    ) -> Delivery:
        self._able(webhook_id, tenant)
        found, now = self._delivery(webhook_id, delivery_id), time.time()
        if found.status is DeliveryStatus.PENDING:
            return found
        return self._update(
            found, status=DeliveryStatus.PENDING, attempts=0, due_at=now, expires_at=now + patience
        )

    @override
    async def spread(self, write: Write, patience: float) -> int:
        notes, self._outbox = self._outbox, []
        for ended in notes:
            for webhook in wanting(ended, tuple(self._webhooks.values())):
                delivery = self._queue(webhook.id, write(ended), patience)
                if webhook.disabled_at is not None:
                    error = because_disabled(webhook.disabled_why)
                    self._update(delivery, status=DeliveryStatus.DEAD, error=error)
        return len(notes)

    @override
    async def claim(
        self, room: Room, *, busy: Collection[Webhook] = (), lease_seconds: float
    ) -> Sequence[Due]:
        now = time.time()
        due: dict[str, list[Delivery]] = {}
        for delivery in sorted(self._deliveries.values(), key=lambda one: one.due_at):
            if delivery.status is DeliveryStatus.PENDING and delivery.due_at <= now:
                due.setdefault(delivery.webhook_id, []).append(delivery)
        away = {each.id for each in busy}
        turns: dict[str, list[Webhook]] = {}
        for webhook_id in due:
            webhook = self._webhooks[webhook_id]
            if webhook_id not in away and webhook.disabled_at is None and webhook.paused_until <= now:
                turns.setdefault(webhook.tenant, []).append(webhook)
        shared = Shared(room, busy)
        taken: list[Due] = []
        for webhook in filter(None, chain.from_iterable(zip_longest(*turns.values()))):
            for delivery in due[webhook.id][: shared.take(webhook, len(due[webhook.id]))]:
                claimed = self._update(delivery, attempts=delivery.attempts + 1, due_at=now + lease_seconds)
                taken.append(Due(claimed, webhook))
        return taken

    @override
    async def settle(self, due: Due, attempt: Attempt) -> None:
        now = time.time()
        delivery, webhook = self._deliveries.get(due.delivery.id), self._webhooks.get(due.webhook.id)
        if delivery is None or webhook is None or delivery.status is not DeliveryStatus.PENDING:
            return
        if delivery.due_at != due.delivery.due_at:
            return
        again = attempt.error and attempt.retry_in is not None and not attempt.gone
        status = DeliveryStatus.PENDING if again else DeliveryStatus.DEAD
        self._update(
            delivery,
            status=status if attempt.error else DeliveryStatus.DELIVERED,
            due_at=now + (attempt.retry_in or 0.0),
            attempted_at=now,
            http_status=attempt.http_status,
            error=attempt.error,
        )
        failures = webhook.failures + 1 if attempt.error else 0
        until = paused_until(webhook.paused_until, attempt, failures, now)
        webhook = self._change(webhook, failures=failures, paused_until=until)
        if attempt.gone:
            self._change(webhook, disabled_at=now, disabled_why=attempt.error)
            for each in self._of(webhook.id):
                if each.status is DeliveryStatus.PENDING:
                    error = because_disabled(attempt.error)
                    self._update(each, status=DeliveryStatus.DEAD, error=error)

    @override
    async def tidy(self, keep_seconds: float) -> int:
        now = time.time()
        changed = 0
        for each in tuple(self._deliveries.values()):
            if each.status is DeliveryStatus.PENDING:
                if max(each.expires_at, each.due_at) < now:
                    self._update(each, status=DeliveryStatus.DEAD, error=each.error or EXPIRED)
                    changed += 1
            elif each.created_at < now - keep_seconds:
                del self._deliveries[each.id]
                changed += 1
        for webhook in tuple(self._webhooks.values()):
            used = self._used_at[webhook.id] >= now - keep_seconds or self._of(webhook.id)
            if webhook.named and not used and not self._outbox and not self._awaited(webhook.tenant):
                del self._webhooks[webhook.id], self._used_at[webhook.id]
        return changed

    def _awaited(self, tenant: str) -> bool:
        return any(task.tenant == tenant and not task.status.terminal for task in self._tasks.values())

    def _get(self, webhook_id: str, tenant: str | None) -> Webhook:
        found = self._webhooks.get(webhook_id)
        if found is None or tenant not in (None, found.tenant):
            raise not_found(webhook_id)
        return found

    def _able(self, webhook_id: str, tenant: str | None) -> None:
        found = self._get(webhook_id, tenant)
        if found.disabled_at is not None:
            raise disabled(found)

    def _put(self, new: NewWebhook) -> None:
        now = time.time()
        self._webhooks[new.id] = Webhook(
            **{each.name: getattr(new, each.name) for each in fields(NewWebhook)}, created_at=now
        )
        self._used_at[new.id] = now

    def _change(self, webhook: Webhook, **changes: object) -> Webhook:
        changed = self._webhooks[webhook.id] = replace(webhook, **changes)  # type: ignore[arg-type]
        return changed

    def _of(self, webhook_id: str) -> list[Delivery]:
        return [each for each in self._deliveries.values() if each.webhook_id == webhook_id]

    def _delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        found = self._deliveries.get(delivery_id)
        if found is None or found.webhook_id != webhook_id:
            raise no_delivery(webhook_id, delivery_id)
        return found

    def _queue(self, webhook_id: str, new: NewDelivery, patience: float) -> Delivery:
        now = time.time()
        delivery = Delivery(
            id=new.id,
            type=new.type,
            body=new.body,
            task_id=new.task_id,
            webhook_id=webhook_id,
            status=DeliveryStatus.PENDING,
            attempts=0,
            created_at=now,
            due_at=now,
            expires_at=now + patience,
        )
        return self._deliveries.setdefault(new.id, delivery)

    def _update(self, delivery: Delivery, **changes: object) -> Delivery:
        changed = self._deliveries[delivery.id] = replace(delivery, **changes)  # type: ignore[arg-type]
        return changed
