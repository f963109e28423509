"""The HTTP application over a service."""

from __future__ import annotations

import asyncio

from aiohttp import web

from orchestrator.api.connection import room
from orchestrator.api.gate import Gate
from orchestrator.api.handlers import Handlers
from orchestrator.api.hosts import Hosts, Origins
from orchestrator.api.limits import LIMITS, Limits
from orchestrator.api.metrics import HttpMeters
from orchestrator.api.observing import answering, observed
from orchestrator.api.problems import problems
from orchestrator.api.routes import bound
from orchestrator.api.streams import HEARTBEAT_SECONDS, Streams
from orchestrator.tasks.service import Service


def create_application(
    service: Service,
    *,
    draining: asyncio.Event | None = None,
    closing: asyncio.Event | None = None,
    insecure: bool = False,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> web.Application:
    """The application. It runs no tasks itself: keep ``service.working()`` open beside it.

    Once ``draining`` is set, new tasks are refused; everything else still works. Once ``closing`` is set,
    event streams and waiting requests end, each with what its client needs in order to go on elsewhere. Serve
    the application with :func:`orchestrator.api.listening.listening`, or at least with
    ``handler_cancellation=True``, so that a client that hangs up ends its request.

    As long as there are no keys in the database of the service, only requests to loopback addresses and Unix
    sockets are served, unless ``insecure`` lets in everybody.

    Raises:
        InvalidRequest: an allowed host or origin of the settings is none.
    """
    settings = service.settings
    gate = Gate(
        service.access,
        Hosts(settings.allowed_hosts),
        Origins(settings.allowed_origins),
        insecure=insecure,
    )
    streams = Streams(service, closing or asyncio.Event(), heartbeat_seconds)
    meters = HttpMeters(streams)
    handlers = Handlers(service, streams, draining or asyncio.Event(), meters)
    limits = Limits.of(settings)
    application = web.Application(
        middlewares=[observed(meters), problems, room, gate.let_in], client_max_size=limits.max_body
    )
    application[LIMITS] = limits
    application.on_response_prepare.append(gate.on_response)
    application.on_response_prepare.append(answering(meters))
    application.add_routes(bound(handlers))
    return application
