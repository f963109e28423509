"""The endpoints of tenants, as requests change and see them."""

from __future__ import annotations

import hashlib
import json
import time
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from orchestrator.errors import InvalidRequest, translated
from orchestrator.settings import Settings
from orchestrator.validation import Text, explain, worded
from orchestrator.webhooks.dispatcher import Dispatcher
from orchestrator.webhooks.messages import EventKind, checked_secret, new_secret, new_webhook_id, ping
from orchestrator.webhooks.meters import WebhookMeters
from orchestrator.webhooks.schedule import patience
from orchestrator.webhooks.sending import Sender
from orchestrator.webhooks.targets import LONGEST_URL, reach_of, target_of
from storage.endpoints import Delivery, DeliveryStatus, NewWebhook, Secret, Webhook
from storage.store import Store

ALL: Final = tuple(EventKind)


def _checked(given: SecretStr) -> SecretStr:
    checked_secret(given.get_secret_value())
    return given


def _plain(text: str) -> str:
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise ValueError("must have no control characters and no halves of surrogate pairs")
    return text


Url = Annotated[Text, Field(max_length=LONGEST_URL, description="`https://…`, on the public internet.")]
Events = Annotated[
    tuple[EventKind, ...],
    Field(min_length=1, max_length=len(ALL), description="What it is told of; by default all."),
    worded(
        "must be a list of one or more of task.succeeded, task.failed, task.cancelled and task.dead; "
        "leave it out for all"
    ),
]


class WebhookRequest(BaseModel):
    """An endpoint that is told of the end of one task. Its secret is the caller's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Url
    secret: Annotated[SecretStr, AfterValidator(_checked)] = Field(
        description="`whsec_…`: 24 to 64 random bytes in base64, with which messages are signed. Never shown."
    )
    events: Events = ALL


class RegisterRequest(BaseModel):
    """An endpoint that is told of the ends of all tasks of a tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Url
    events: Events = ALL
    description: Annotated[str, AfterValidator(_plain)] = Field("", max_length=200, description="For people.")


def registration(data: object) -> RegisterRequest:
    """The request to register an endpoint in ``data``.

    Raises:
        InvalidRequest: names each field that is wrong, and what would be right.
    """
    try:
        return RegisterRequest.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


class Registry:
    """Endpoints and their deliveries, in a store; the deliveries are made while :meth:`working` is open."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._webhooks = store.webhooks
        self._reach = reach_of(settings.webhook_private_hosts)
        retries = settings.webhook_retry_seconds
        self._patience = patience(retries)
        self.meters = WebhookMeters()
        self._dispatcher = Dispatcher(store.webhooks, Sender(self._reach, retries), retries, self.meters)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Deliver while the context is open."""
        async with self._dispatcher.working():
            yield

    def named(self, request: WebhookRequest, tenant: str) -> NewWebhook:
        """The endpoint that a task names. The same one always has the same id.

        Raises:
            InvalidRequest: messages may not go to its URL.
        """
        target_of(request.url, self._reach)
        secret = request.secret.get_secret_value()
        events = tuple(sorted(set(request.events)))
        told = json.dumps([tenant, request.url, secret, events])
        return NewWebhook(
            id=f"wh_{hashlib.sha256(told.encode()).hexdigest()[:32]}",
            tenant=tenant,
            url=request.url,
            events=events,
            secrets=(Secret(secret),),
            named=True,
        )

    async def register(self, request: RegisterRequest, tenant: str) -> Webhook:
        """Add an endpoint, with a new secret.

        Raises:
            InvalidRequest: messages may not go to its URL.
            Unavailable: the tenant has too many (``too_many_webhooks``), or the database cannot be used.
        """
        target_of(request.url, self._reach)
        new = NewWebhook(
            id=new_webhook_id(),
            tenant=tenant,
            url=request.url,
            events=tuple(sorted(set(request.events))),
            secrets=(Secret(new_secret()),),
            description=request.description,
        )
        with translated():
            return await self._webhooks.add(new)

    async def registered(self, tenant: str | None) -> Sequence[Webhook]:
        """The endpoints of a tenant, None: of all; without those that only tasks name."""
        with translated():
            return await self._webhooks.registered(tenant)

    async def get(self, webhook_id: str, tenant: str | None) -> Webhook:
        """The endpoint.

        Raises:
            Unavailable: there is none of that id and tenant (``webhook_not_found``); so in what follows.
        """
        with translated():
            return await self._webhooks.get(webhook_id, tenant)

    async def remove(self, webhook_id: str, tenant: str | None) -> Webhook:
        """Remove the endpoint with its deliveries."""
        with translated():
            return await self._webhooks.remove(webhook_id, tenant)

    async def rotate(self, webhook_id: str, tenant: str | None, keep_seconds: float) -> Webhook:
        """Sign with a new secret, and for some seconds more with the former ones too."""
        with translated():
            return await self._webhooks.rotate(webhook_id, tenant, new_secret(), keep_seconds)

    async def enable(self, webhook_id: str, tenant: str | None) -> Webhook:
        """Send to the endpoint again."""
        with translated():
            return await self._webhooks.enable(webhook_id, tenant)

    async def ping(self, webhook_id: str, tenant: str | None) -> Delivery:
        """Queue a message that tells of nothing.

        Raises:
            Unavailable: the endpoint is disabled (``webhook_disabled``), too.
        """
        with translated():
            queued = await self._webhooks.post(
                webhook_id, tenant, ping(webhook_id, time.time()), self._patience
            )
        self._dispatcher.wake()
        return queued

    async def deliveries(
        self,
        webhook_id: str,
        tenant: str | None,
        *,
        status: DeliveryStatus | None,
        limit: int,
        before: str | None,
    ) -> Sequence[Delivery]:
        """Deliveries to the endpoint, from the newest to the oldest."""
        with translated():
            return await self._webhooks.deliveries(
                webhook_id, tenant, status=status, limit=limit, before=before
            )

    async def resend(self, webhook_id: str, tenant: str | None, delivery_id: str) -> Delivery:
        """Queue a delivery once more, under the same id. Raises like :meth:`ping`."""
        with translated():
            queued = await self._webhooks.resend(webhook_id, tenant, delivery_id, self._patience)
        self._dispatcher.wake()
        return queued
