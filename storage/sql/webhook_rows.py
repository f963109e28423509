"""Endpoints and deliveries as rows, and back."""

from __future__ import annotations

import json
from typing import Any

from storage.endpoints import Delivery, DeliveryStatus, NewDelivery, NewWebhook, Secret, Webhook
from storage.sql.rows import AnyRow


def webhook_values(new: NewWebhook, time: float) -> dict[str, Any]:
    """The row of a new endpoint."""
    return {
        "id": new.id,
        "tenant": new.tenant,
        "url": new.url,
        "events": json.dumps(new.events),
        "secrets": secrets_text(new.secrets),
        "description": new.description,
        "named": new.named,
        "created_at": time,
        "used_at": time,
        "disabled_why": "",
        "failures": 0,
        "paused_until": 0.0,
    }


def secrets_text(secrets: tuple[Secret, ...]) -> str:
    """The secrets as they are stored."""
    return json.dumps([[each.text, each.expires_at] for each in secrets])


def webhook_of(row: AnyRow) -> Webhook:
    """The endpoint in a row. One whose events or secrets cannot be read has none."""
    return Webhook(
        id=row.id,
        tenant=row.tenant,
        url=row.url,
        events=tuple(each for each in _list(row.events) if isinstance(each, str)),
        secrets=tuple(
            Secret(text, expires_at)
            for each in _list(row.secrets)
            if isinstance(each, list) and len(each) == 2
            for text, expires_at in [each]
            if isinstance(text, str) and isinstance(expires_at, int | float | None)
        ),
        description=row.description,
        named=bool(row.named),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        disabled_why=row.disabled_why,
        failures=row.failures,
        paused_until=row.paused_until,
    )


def delivery_values(new: NewDelivery, webhook_id: str, time: float, patience: float) -> dict[str, Any]:
    """The row of a new delivery, which is due at once."""
    return {
        "id": new.id,
        "webhook_id": webhook_id,
        "type": new.type,
        "task_id": new.task_id,
        "body": new.body,
        "status": DeliveryStatus.PENDING.value,
        "attempts": 0,
        "created_at": time,
        "due_at": time,
        "expires_at": time + patience,
        "error": "",
    }


def delivery_of(row: AnyRow) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        type=row.type,
        task_id=row.task_id,
        body=row.body,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        due_at=row.due_at,
        expires_at=row.expires_at,
        attempted_at=row.attempted_at,
        http_status=row.http_status,
        error=row.error,
    )


def _list(text: Any) -> list[Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return []
    return found if isinstance(found, list) else []
