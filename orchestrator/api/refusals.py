"""The errors that a route may answer with: its own, and those that its place in the table makes possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.access.caller import Forbidden, Unauthorized
from orchestrator.access.refusals import RateLimited
from orchestrator.api.browsers import HostNotAllowed, OriginNotAllowed
from orchestrator.api.problems import (
    Overloaded,
    RequestTimeout,
    TooLarge,
    Unexpected,
    UnsupportedMediaType,
)
from orchestrator.api.routes import SAFE, Refusal, Route
from orchestrator.errors import InvalidRequest, TaskNotFound, Unavailable
from storage.errors import JournalDamaged, StorageDamaged, StorageFull, StorageUnavailable


class Refused(NamedTuple):
    """One way of being refused: a status, a code for programs, and what it means."""

    status: int
    code: str
    meaning: str


PARSER = (
    Refused(400, "malformed_request", "It cannot be parsed as HTTP/1.1."),
    Refused(414, "uri_too_long", "The request line is too long."),
    Refused(417, "expectation_failed", "Nothing is known of what it expects."),
    Refused(431, "headers_too_large", "A header is too long, or there are too many."),
)
"""What the HTTP server refuses by itself."""

RETRIED = (429, 503)
"""The statuses whose response says when to come back, unless that is of no use."""

ALWAYS: tuple[Refusal, ...] = (InvalidRequest, HostNotAllowed, OriginNotAllowed, Unexpected, Overloaded)
KEYED: tuple[Refusal, ...] = (Unauthorized, Forbidden, RateLimited)
STORED: tuple[Refusal, ...] = (StorageUnavailable, StorageFull, StorageDamaged, JournalDamaged, Unavailable)


def refusals_of(route: Route) -> dict[int, dict[str, str]]:
    """What each code means that a route may answer with, by status."""
    found: dict[int, dict[str, str]] = {}
    for each in sorted({*PARSER, *map(_refused, _errors(route))}):
        found.setdefault(each.status, {})[each.code] = each.meaning
    return found


def _errors(route: Route) -> Iterator[Refusal]:
    yield from ALWAYS
    yield from route.errors
    if route.scope is not None:
        yield from KEYED
        yield from STORED
    if route.path.startswith("/v1/tasks/{id}"):
        yield TaskNotFound
    if route.method not in SAFE:
        yield from (UnsupportedMediaType, RequestTimeout)
    if route.media:
        yield TooLarge


def _refused(error: Refusal) -> Refused:
    return Refused(error.http_status, error.code, (error.__doc__ or "").partition("\n")[0])
