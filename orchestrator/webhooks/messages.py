"""What a message says, how it is signed, and the secrets that sign: the scheme of Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from standardwebhooks.webhooks import Webhook as Signer

from storage.endpoints import PREFIX, Ended, NewDelivery, Secret
from workers.redaction import redacted
from workers.showing import cut

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64
"""Bytes, as the scheme demands."""

_LONGEST_MESSAGE: Final = 1_000
"""Characters of why a task failed; all of it is in the task."""


class EventKind(StrEnum):
    """The types of events that an endpoint may want."""

    SUCCEEDED = f"{PREFIX}succeeded"
    FAILED = f"{PREFIX}failed"
    CANCELLED = f"{PREFIX}cancelled"
    DEAD = f"{PREFIX}dead"


PING: Final = "webhook.ping"
"""The type of a message that only shows whether an endpoint takes messages."""


def new_webhook_id() -> str:
    """An id for an endpoint."""
    return f"wh_{secrets.token_hex(12)}"


def new_secret() -> str:
    """A secret, as its receiver needs it."""
    return f"{_PREFIX}{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def checked_secret(text: str) -> str:
    """The secret that a caller gives.

    Raises:
        ValueError: it is none of the scheme; the message does not repeat it.
    """
    wrong = (
        f"must be {_PREFIX} and then {_SHORTEST_SECRET} to {_LONGEST_SECRET} random bytes in base64; "
        f'`echo "{_PREFIX}$(openssl rand -base64 {_SECRET_BYTES})"` makes one'
    )
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(wrong) from None
    if not text.startswith(_PREFIX) or not _SHORTEST_SECRET <= len(key) <= _LONGEST_SECRET:
        raise ValueError(wrong)
    return text


def message_of(ended: Ended) -> NewDelivery:
    """The message about a task that has ended. Its answer is not in it, only where to get it."""
    error = None
    if ended.error is not None:
        why = redacted(str(ended.error.get("message", "")))
        error = {"code": str(ended.error.get("code", "")), "message": cut(why, _LONGEST_MESSAGE)}
    data = {
        "id": ended.task_id,
        "tenant": ended.tenant,
        "status": ended.status,
        "outcome": ended.outcome,
        "planner": ended.planner,
        "created_at": ended.created_at,
        "started_at": ended.started_at,
        "finished_at": ended.finished_at,
        "error": error,
        "url": f"/v1/tasks/{ended.task_id}",
    }
    return _message(ended.type, ended.finished_at, data, ended.task_id)


def ping(webhook_id: str, at: float) -> NewDelivery:
    """A message that tells of nothing."""
    return _message(PING, at, {"webhook_id": webhook_id}, None)


def signed_headers(
    delivery_id: str, body: str, secrets: Sequence[Secret], at: float, version: str
) -> dict[str, str]:
    """The headers of one attempt, with a signature by each secret that has not expired ``at`` that time."""
    moment = datetime.fromtimestamp(int(at), UTC)
    valid = [each.text for each in secrets if each.expires_at is None or each.expires_at > at]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"Anabranch/{version}",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": " ".join(Signer(text).sign(delivery_id, moment, body) for text in valid),
    }


def _message(kind: str, at: float, data: dict[str, Any], task_id: str | None) -> NewDelivery:
    body = {"type": kind, "timestamp": _iso(at), "data": data}
    return NewDelivery(id=f"msg_{secrets.token_hex(16)}", type=kind, body=_json(body), task_id=task_id)


def _iso(at: float) -> str:
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(body: dict[str, Any]) -> str:
    """JSON in ASCII, so that no receiver can read other characters than were signed."""
    return json.dumps(body, separators=(",", ":"))
