"""What is noted of every request: an id that its log lines have in common, and how long it took."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from structlog.contextvars import bind_contextvars, clear_contextvars

from orchestrator.api.metrics import LEFT, HttpMeters, route_of
from orchestrator.api.problems import REFUSAL
from storage.conventions import trace_parent

log = structlog.get_logger()

HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True)
class _Noted:
    """What is known of a request until it is counted."""

    request_id: str
    started: float
    counted: bool = False

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time() - self.started


_NOTED = web.RequestKey("noted", _Noted)


def observed(meters: HttpMeters) -> Middleware:
    """The outermost middleware: gives each request its id, in the log as ``request``.

    A client may choose it, by a header of letters, digits and ``._:/+=-``; any other is replaced.
    """

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.getall(HEADER, [])
        sane = len(given) == 1 and _ID.fullmatch(given[0])
        request_id = given[0] if sane else secrets.token_hex(16)
        noted = request[_NOTED] = _Noted(request_id, asyncio.get_running_loop().time())
        clear_contextvars()  # those of the connection's request before
        bind_contextvars(request=request_id)
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except BaseException:  # the client has gone
            if not noted.counted:
                meters.answered(request, LEFT, noted.seconds)
            raise

    return observe


def answering(meters: HttpMeters) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What happens as a response begins: the request counts, and its client learns its id."""

    async def answer(request: web.Request, response: web.StreamResponse) -> None:
        if (noted := request.get(_NOTED)) is None:
            return
        noted.counted, seconds = True, noted.seconds
        response.headers[HEADER] = noted.request_id
        meters.answered(request, response.status, seconds)
        if (code := response.get(REFUSAL)) is not None:
            meters.refused(code)
        log.info(
            "answered",
            request=noted.request_id,
            method=request.method,
            route=route_of(request),
            status=response.status,
            seconds=round(seconds, 6),
        )

    return answer


def caller_of_trace(request: web.Request) -> str | None:
    """The span of the client, if the request names one: a malformed one is none, as the W3C asks."""
    given = request.headers.getall("traceparent", [])
    return given[0] if len(given) == 1 and trace_parent(given[0]) else None
