"""Who is told over HTTP that a task has ended, and what is still to be delivered: the contract of stores.

The end of a task and the note that it has to be told are one transaction (the outbox), in whichever process
it happens. Any process may then :meth:`~Webhooks.spread` such notes over the endpoints that want them, and
:meth:`~Webhooks.claim` the deliveries that are due. A claim lapses, so a delivery whose process dies is made
by another one: each is made at least once, and always under the same id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.errors import StorageError

MOST_WEBHOOKS = 50
"""How many endpoints one tenant may have registered."""

BREAKER_FAILURES = 5
"""Failures in a row, of any deliveries, after which an endpoint is left alone for a while."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 15.0, 900.0
"""For how long; each further failure doubles it."""

PREFIX = "task."
"""What stands before the status of a task in the type of the event that tells of its end."""


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


class DeliveryStatus(StrEnum):
    """Where a delivery stands; the comment on each value says what brings it there."""

    PENDING = "pending"  # the end of a task, a ping, or a request to send it again
    DELIVERED = "delivered"  # the endpoint took it
    DEAD = "dead"  # no attempt is left, it is too old, or the endpoint is disabled


@dataclass(frozen=True, slots=True)
class Secret:
    """What signs messages to an endpoint. After ``expires_at`` it does not; None: until it is rotated."""

    text: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """An endpoint to be stored. ``events`` are the types that it wants.

    A ``named`` endpoint is told only of the tasks that name it; others of all tasks of their tenant.
    ``secrets`` begin with the newest one.
    """

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]
    description: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(NewWebhook):
    """An endpoint as stored. Times are in seconds since the epoch.

    ``failures`` have happened in a row. Until ``paused_until``, nothing is sent to it.
    """

    created_at: float
    disabled_at: float | None = None
    disabled_why: str = ""
    failures: int = 0
    paused_until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the outbox keeps of a task that has ended; ``webhook`` is the endpoint that the task names."""

    task_id: str
    tenant: str
    status: str
    planner: str
    outcome: str | None
    error: Mapping[str, Any] | None
    webhook: str | None
    created_at: float
    started_at: float | None
    finished_at: float

    @property
    def type(self) -> str:
        """The type of the event, such as ``task.succeeded``."""
        return f"{PREFIX}{self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A message to be stored for an endpoint; ``body`` is sent as it is."""

    id: str
    type: str
    body: str
    task_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(NewDelivery):
    """A message on its way to one endpoint. Times are in seconds since the epoch.

    ``id`` is the same in all attempts. A pending delivery is due at ``due_at``; while it is claimed, this is
    when the claim lapses. After ``expires_at``, it is not tried again. ``http_status`` and ``error`` are
    those of the last attempt; there is no status if nothing was answered.
    """

    webhook_id: str
    status: DeliveryStatus
    attempts: int
    created_at: float
    due_at: float
    expires_at: float
    attempted_at: float | None = None
    http_status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed delivery, and where it goes."""

    delivery: Delivery
    webhook: Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt went.

    A failed one (``error`` is not empty) is repeated after ``retry_in`` seconds; None: never. ``pause`` is
    for how many seconds the endpoint asked to be left alone, ``gone`` whether it asked for ever.
    """

    http_status: int | None = None
    error: str = ""
    retry_in: float | None = None
    pause: float = 0.0
    gone: bool = False


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
        self, *, limit: int, each: int, busy: Collection[str], lease_seconds: float
    ) -> Sequence[Due]:
        """Take at most ``limit`` deliveries that are due, of each endpoint at most ``each``.

        Left out are endpoints that are ``busy``, disabled or paused; of one whose last attempt failed, only
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


def pause_seconds(failures: int) -> float:
    """For how long an endpoint is left alone after so many failures in a row."""
    if failures < BREAKER_FAILURES:
        return 0.0
    doublings = min(failures - BREAKER_FAILURES, 30)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings)


def rotated(secrets: Sequence[Secret], new: str, keep_until: float, now: float) -> tuple[Secret, ...]:
    """The secrets after a rotation: the new one, and the former ones until they expire."""
    if secrets and secrets[0].text == new:  # it was stored before the connection broke
        return tuple(secrets)
    former = [
        Secret(each.text, keep_until if each.expires_at is None else min(each.expires_at, keep_until))
        for each in secrets
    ]
    kept = [each for each in former if each.expires_at is not None and each.expires_at > now]
    return (Secret(new), *kept)


def wanting(ended: Ended, webhooks: Sequence[Webhook]) -> list[Webhook]:
    """Those of the endpoints that are to be told of the end of a task."""
    return [
        each
        for each in webhooks
        if each.tenant == ended.tenant
        and ended.type in each.events
        and (each.id == ended.webhook if each.named else each.disabled_at is None)
    ]


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
