"""What a server means by an HTTP status that is not success."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from workers.engines.openai.answers import QUOTE, garbage, server_message
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineUnavailable,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)
from workers.showing import SAID, cut

_RETRY_AFTER = 1.0  # seconds, where an overloaded server does not say


@dataclass(frozen=True, slots=True)
class Refusals:
    """Reads the refusals of one server.

    ``key_env`` is the variable that holds the key; ``has_key`` says whether one was sent.
    """

    server: str
    key_env: str
    has_key: bool

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> WorkerError:
        """The error that a response stands for."""
        try:
            message = server_message(json.loads(body.decode()))
        except (ValueError, RecursionError):
            message = None
        said = f"{self.server} answered HTTP {status}"
        reason = message if message is not None else repr(body.decode(errors="replace")[:QUOTE])
        if status in (401, 403):
            # What the server says is not passed on: it may quote the key.
            wrong = "was refused, or may not use this model" if self.has_key else "is missing"
            return AccessRefused(f"{said}: the key {wrong}; set {self.key_env}")
        reason = cut(reason, SAID)
        if status in (429, 503):
            return Overloaded(f"{said}: {reason}", retry_after=_retry_after(headers))
        if status >= 500 or status in (408, 425):
            return EngineUnavailable(f"{said}: {reason}")
        if status == 404 and message is not None:
            return ModelUnavailable(f"{said}: {reason}")
        if status >= 400 and message is not None:
            return CallRejected(f"{said}: {reason}")
        if 300 <= status < 400:
            where = headers.get("Location", "nowhere")
            return EngineProtocolError(f"{said} and leads to {where}: give the address of the server itself")
        return garbage(f"{said}, which is not the protocol", body)


def error_told(server: str, told: object) -> WorkerError:
    """The error that an object with ``error`` in it stands for, in a stream or with the status 200."""
    message = server_message(told) or str(told)[:QUOTE]
    match told:
        case {"error": {"code": int(code)}} if 400 <= code < 500:
            return CallRejected(f"{server} reported an error: {message}")
    return EngineInterrupted(f"{server} reported an error: {message}")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds from the header ``Retry-After``, which is a number or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return _RETRY_AFTER
    return max(0.0, seconds) if math.isfinite(seconds) else _RETRY_AFTER
