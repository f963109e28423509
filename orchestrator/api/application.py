"""The HTTP application over a service."""

from __future__ import annotations

import asyncio

from aiohttp import web

from orchestrator.api.events import HEARTBEAT_SECONDS
from orchestrator.api.handlers import Handlers
from orchestrator.api.problems import problems
from orchestrator.api.routes import bound
from orchestrator.tasks.service import Service

MAX_BODY = 4 << 20
"""The largest request body, in bytes; the service itself limits the characters of the query."""


def create_application(
    service: Service,
    *,
    draining: asyncio.Event | None = None,
    closing: asyncio.Event | None = None,
    max_body: int = MAX_BODY,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> web.Application:
    """The application. It runs no tasks itself: keep ``service.working()`` open beside it.

    Once ``draining`` is set, new tasks are refused; everything else still works. Once ``closing`` is set,
    event streams and waiting requests end, each with what its client needs in order to go on elsewhere. Serve
    the application with ``handler_cancellation=True``, so that a client that hangs up ends its request.
    """
    application = web.Application(middlewares=[problems], client_max_size=max_body)
    application.add_routes(bound(Handlers(service, draining or asyncio.Event(), heartbeat_seconds)))
    return application
