"""Endpoints and the messages to them, as values, and the rules that every store keeps about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MOST_WEBHOOKS = 50
"""How many endpoints one tenant may have registered."""

BREAKER_FAILURES = 5
"""Failures in a row, of any deliveries, after which an endpoint is left alone for a while."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 15.0, 900.0
"""For how long; each further failure doubles it."""

PREFIX = "task."
"""What stands before the status of a task in the type of the event that tells of its end."""


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


@dataclass(frozen=True, slots=True)
class Room:
    """How many deliveries one process makes at a time: in all, of one tenant, and to one endpoint."""

    total: int
    tenant: int
    each: int


class Shared:
    """The room that is left of a process, while endpoints are given parts of it one after the other."""

    def __init__(self, room: Room, busy: Collection[Webhook]) -> None:
        self._room = room
        self._tenants = Counter(each.tenant for each in busy)

    def left(self, webhook: Webhook) -> int:
        """How many deliveries to the endpoint there is room for."""
        free = self._room.total - self._tenants.total()
        most = 1 if webhook.failures else self._room.each
        return max(0, min(free, self._room.tenant - self._tenants[webhook.tenant], most))

    def take(self, webhook: Webhook, wanted: int) -> int:
        """Take room for some deliveries to the endpoint; returns for how many there was room."""
        taken = min(wanted, self.left(webhook))
        self._tenants[webhook.tenant] += taken
        return taken


def pause_seconds(failures: int) -> float:
    """For how long an endpoint is left alone after so many failures in a row."""
    if failures < BREAKER_FAILURES:
        return 0.0
    doublings = min(failures - BREAKER_FAILURES, 30)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings)


def paused_until(before: float, attempt: Attempt, failures: int, now: float) -> float:
    """Until when an endpoint is left alone after an attempt that ended now; 0 if it is not.

    No attempt shortens a pause: another one, which ended just before, may have been asked for it.
    """
    until = max(before, now + max(attempt.pause, pause_seconds(failures)))
    return until if until > now else 0.0


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
