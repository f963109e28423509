"""What a request may be: how large, how deep, and how slow."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from orchestrator.settings import Settings

MAX_BODY = 4 << 20
"""The largest body, in bytes; the service itself limits the characters of a query."""

MAX_VALUES = 10_000
"""The most values in a body: a million empty lists would take a third of a second to parse."""

MAX_DEPTH = 64
"""How deep values of a body may be nested."""

MAX_HEADER = 8_192
"""The most bytes of a header, with its name; the request line may have two less."""

IDLE_SECONDS = 75.0
"""How long a connection may have no request: longer than the proxies in front keep theirs."""

PATIENCE_SECONDS = 30.0
"""How long a client may take to send a request, or leave unread what it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of what a client sends, in bytes and seconds."""

    max_body: int = MAX_BODY
    max_values: int = MAX_VALUES
    max_depth: int = MAX_DEPTH
    max_header: int = MAX_HEADER
    idle_seconds: float = IDLE_SECONDS
    patience: float = PATIENCE_SECONDS

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the settings give."""
        return cls(
            max_body=settings.max_body_bytes,
            max_values=settings.max_body_values,
            max_depth=settings.max_body_depth,
            max_header=settings.max_header_bytes,
            idle_seconds=settings.idle_seconds,
            patience=settings.client_seconds,
        )


LIMITS: web.AppKey[Limits] = web.AppKey("limits", Limits)
"""Where an application keeps its limits."""


def limits_of(request: web.Request) -> Limits:
    """The limits of the application that a request has come to."""
    return request.app.get(LIMITS) or Limits()
