"""The HTTP application over a service."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

import jsonschema  # noqa: F401  # a request may bring a schema, and importing it then would hold up the loop
from aiohttp import web

from orchestrator.api.batching import endpoints_of
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
from orchestrator.batches.working import Batching
from orchestrator.structured import Ending
from orchestrator.tasks.service import Service

BATCHING: web.AppKey[Batching] = web.AppKey("batching", Batching)
"""Where an application keeps the batches of its service."""


def create_application(
    service: Service,
    *,
    draining: asyncio.Event | None = None,
    closing: Ending | None = None,
    insecure: bool = False,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> web.Application:
    """The application. It runs nothing itself: keep ``service.working()`` and :func:`batches` open beside it.

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
    streams = Streams(service, closing or Ending(), heartbeat_seconds)
    meters = HttpMeters(streams)
    batching = Batching(service, endpoints_of(service))
    handlers = Handlers(service, batching, streams, draining or asyncio.Event(), meters)
    limits = Limits.of(settings)
    application = web.Application(
        middlewares=[observed(meters), problems, room, gate.let_in], client_max_size=limits.max_body
    )
    application[LIMITS] = limits
    application[BATCHING] = batching
    application.on_response_prepare.append(gate.on_response)
    application.on_response_prepare.append(answering(meters))
    application.add_routes(bound(handlers))
    return application


def batches(application: web.Application) -> AbstractAsyncContextManager[None]:
    """Drive the batches of an application during the block; one of another kind has none."""
    batching = application.get(BATCHING)
    return nullcontext() if batching is None else batching.working()
