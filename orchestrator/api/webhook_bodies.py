"""What the API sends about webhooks, and the query parameters that it takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.bodies import MAX_PAGE, Told
from orchestrator.webhooks.messages import EventKind
from storage.endpoints import Delivery, DeliveryStatus, Webhook

LONGEST_KEEP = 7 * 86_400.0
"""For how many seconds a former secret may go on signing."""


class WebhookBody(BaseModel):
    """An endpoint that is told of the ends of tasks. Times are in seconds since the epoch."""

    id: str
    tenant: str
    url: str
    events: tuple[EventKind, ...]
    description: str
    named: bool = Field(description="Whether it is told only of the tasks that name it in `webhook`.")
    created_at: float
    secrets: int = Field(description="How many secrets sign: more than one for a while after a rotation.")
    disabled_at: float | None = Field(description="From when on nothing is sent to it; see `disabled_why`.")
    disabled_why: Told
    failures: int = Field(description="Failed attempts in a row.")
    paused_until: float | None = Field(
        description="Until then nothing is sent to it: too many attempts failed, or it asked for that."
    )


class SecretBody(WebhookBody):
    """An endpoint with its new secret, which is not shown again."""

    secret: str = Field(description="`whsec_…`; what its receiver verifies signatures with.")


class WebhooksBody(BaseModel):
    """The endpoints of a tenant, from the oldest to the newest."""

    webhooks: tuple[WebhookBody, ...]


class DeliveryBody(BaseModel):
    """A message to an endpoint. Times are in seconds since the epoch."""

    id: str = Field(description="Sent as `webhook-id`; the same in all attempts.")
    type: str
    task_id: str | None
    status: DeliveryStatus
    attempts: int = Field(description="So far, with one that is under way.")
    created_at: float
    attempted_at: float | None = Field(description="When the last attempt ended.")
    due_at: float | None = Field(description="When it is tried next; null if it is not.")
    http_status: int | None = Field(description="What the last attempt was answered.")
    error: Told = Field(description="Why the last attempt failed; empty if it did not.")
    body: str = Field(description="What is sent, byte for byte.")


class DeliveriesPage(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: tuple[DeliveryBody, ...]
    next: str | None = Field(description="Pass it as `before` to get the next page; null on the last one.")


class RotateQuery(BaseModel):
    """Query parameters of a rotation."""

    model_config = ConfigDict(extra="forbid")

    keep_seconds: Annotated[float, Field(ge=0, le=LONGEST_KEEP)] = Field(
        86_400.0, description="For how long messages are signed with the former secrets as well."
    )


class DeliveriesQuery(BaseModel):
    """Query parameters of a listing of deliveries."""

    model_config = ConfigDict(extra="forbid")

    status: DeliveryStatus | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    before: str | None = Field(None, description="`next` of the previous page.")


def webhook_body(webhook: Webhook) -> WebhookBody:
    """The endpoint as the API shows it, without its secrets."""
    return WebhookBody.model_validate(_members(webhook))


def secret_body(webhook: Webhook) -> SecretBody:
    """The endpoint with its newest secret."""
    return SecretBody.model_validate({**_members(webhook), "secret": webhook.secrets[0].text})


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """The delivery as the API shows it."""
    shown = {name: getattr(delivery, name) for name in DeliveryBody.model_fields}
    if delivery.status is not DeliveryStatus.PENDING:
        shown["due_at"] = None
    return DeliveryBody.model_validate(shown)


def _members(webhook: Webhook) -> dict[str, object]:
    shown = {name: getattr(webhook, name) for name in WebhookBody.model_fields}
    return {**shown, "secrets": len(webhook.secrets), "paused_until": webhook.paused_until or None}
