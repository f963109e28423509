"""Who is told over HTTP that a task has ended, and what is still to be delivered: the contract of stores.

The end of a task and the note that it has to be told are one transaction (the outbox), in whichever process
it happens. Any process may then :meth:`~Webhooks.spread` such notes over the endpoints that want them, and
:meth:`~Webhooks.claim` the deliveries that are due. A claim lapses, so a delivery whose process dies is made
by another one: each is made at least once, and always under the same id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

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
    Webhook,
)
from storage.errors import StorageError


class WebhookNotFound(StorageError):
    """There is no endpoint, or no delivery, with that id."""

    code = "webhook_not_found"
    http_status = 404


class TooManyWebhooks(StorageError):
    """The tenant has as many endpoints as it may have."""

    code = "too_many_webhooks"
    http_status = 409


class WebhookDisabled(StorageError):
    """The endpoint is disabled, so nothing is delivered to it."""

    code = "webhook_disabled"
    http_status = 409


Write = Callable[[Ended], NewDelivery]
"""Makes the message about a task that has ended, with a new id each time."""


class Webhooks(ABC):
    """Endpoints and deliveries. Every method may raise StorageUnavailable.

    Those that name an endpoint raise WebhookNotFound if there is none, or, with a ``tenant``, if it belongs
    to another one.
    """

    @abstractmethod
    async def add(self, new: NewWebhook) -> Webhook:
        """Store an endpoint; adding it again changes nothing.

        Raises:
            TooManyWebhooks: its tenant has :data:`MOST_WEBHOOKS`.
        """

    @abstractmethod
    async def registered(self, tenant: str | None) -> Sequence[Webhook]:
        """The endpoints of a tenant, or of all, from the oldest to the newest, without ``named`` ones."""

    @abstractmethod
    async def get(self, webhook_id: str, tenant: str | None) -> Webhook:
        """The endpoint."""

    @abstractmethod
    async def remove(self, webhook_id: str, tenant: str | None) -> Webhook:
        """Remove the endpoint with its deliveries; returns what it was."""

    @abstractmethod
    async def rotate(self, webhook_id: str, tenant: str | None, secret: str, keep_seconds: float) -> Webhook:
        """Sign with a new secret from now on, and with the former ones for some seconds more."""

    @abstractmethod
    async def enable(self, webhook_id: str, tenant: str | None) -> Webhook:
        """Send to the endpoint again, from now on and with its failures forgotten."""

    @abstractmethod
    async def post(self, webhook_id: str, tenant: str | None, new: NewDelivery, patience: float) -> Delivery:
        """Queue a message for an endpoint; it expires after ``patience`` seconds.

        Raises:
            WebhookDisabled: the endpoint is disabled.
        """

    @abstractmethod
    async def deliveries(
        self,
        webhook_id: str,
        tenant: str | None,
        *,
        status: DeliveryStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Sequence[Delivery]:
        """Deliveries from the newest to the oldest; ``before`` is the last id of the previous page.

        Raises:
            WebhookNotFound: the endpoint has no delivery ``before``.
        """

    @abstractmethod
    async def resend(
        self, webhook_id: str, tenant: str | None, delivery_id: str, patience: float
    ) -> Delivery:
        """Queue a delivery once more, with all attempts restored. One that is pending stays as it is.

        Raises:
            WebhookNotFound: the endpoint has no such delivery.
            WebhookDisabled: the endpoint is disabled.
        """

    # What working processes do

    @abstractmethod
    async def spread(self, write: Write, patience: float) -> int:
        """Turn some notes of the outbox into deliveries, in one transaction; returns how many notes.

        A delivery to a disabled endpoint that its task names is dead from the start.
        """

    @abstractmethod
    async def claim(
        self, room: Room, *, busy: Collection[Webhook] = (), lease_seconds: float
    ) -> Sequence[Due]:
        """Take deliveries that are due, as many as there is room for; tenants have their turns.

        ``busy`` are the endpoints of the deliveries that this process makes already, one for each delivery.
        They are left out, as are those that are disabled or paused; of one whose last attempt failed, only
        one delivery is taken. The deliveries count as attempted, and are due again when the lease lapses.
        """

    @abstractmethod
    async def settle(self, due: Due, attempt: Attempt) -> None:
        """Store how the attempt went, unless the claim has lapsed and was followed by another."""

    @abstractmethod
    async def tidy(self, keep_seconds: float) -> int:
        """Give up what has expired, and remove what is of no use any more; returns how many deliveries.

        That is: deliveries that ended ``keep_seconds`` ago, and ``named`` endpoints of that age without
        deliveries, which no task that is still to end names.
        """


def not_found(webhook_id: str) -> WebhookNotFound:
    """No endpoint has that id."""
    return WebhookNotFound(f"there is no webhook {webhook_id!r}")


def no_delivery(webhook_id: str, delivery_id: str) -> WebhookNotFound:
    """No delivery of the endpoint has that id."""
    return WebhookNotFound(f"webhook {webhook_id} has no delivery {delivery_id!r}")


def disabled(webhook: Webhook) -> WebhookDisabled:
    """The endpoint is disabled."""
    return WebhookDisabled(f"webhook {webhook.id} is disabled ({webhook.disabled_why}); enable it first")


def too_many(tenant: str) -> TooManyWebhooks:
    """The tenant has as many endpoints as it may have."""
    return TooManyWebhooks(
        f"tenant {tenant!r} has {MOST_WEBHOOKS} webhooks; remove one before adding another"
    )


EXPIRED = "it was not taken within the time for which deliveries are tried"
"""The error of a delivery that has become too old."""


def because_disabled(why: str) -> str:
    """The error of a delivery to a disabled endpoint."""
    return f"the endpoint is disabled: {why}"
