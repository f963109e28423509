"""The HTTP application over a service."""

from __future__ import annotations

import asyncio

from aiohttp import web

from orchestrator.api.connection import room
from orchestrator.api.handlers import Handlers
from orchestrator.api.metrics import HttpMeters
from orchestrator.api.observing import answering, observed
from orchestrator.api.problems import problems
from orchestrator.api.routes import bound
from orchestrator.api.streams import HEARTBEAT_SECONDS, Streams
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
    the application with :func:`orchestrator.api.listening.listening`, or at least with
    ``handler_cancellation=True``, so that a client that hangs up ends its request.
    """
    streams = Streams(service, closing or asyncio.Event(), heartbeat_seconds)
    meters = HttpMeters(streams)
    handlers = Handlers(service, streams, draining or asyncio.Event(), meters)
    application = web.Application(middlewares=[observed(meters), problems, room], client_max_size=max_body)
    application.on_response_prepare.append(answering(meters))
    application.add_routes(bound(handlers))
    return application
