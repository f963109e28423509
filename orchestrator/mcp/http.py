"""MCP over streamable HTTP: behind the door that the API has, for the same keys, hosts and pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from aiohttp import web
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from orchestrator.access.caller import Caller, Scope
from orchestrator.api.callers import caller_of, tenant_of
from orchestrator.api.connection import room
from orchestrator.api.gate import Gate
from orchestrator.api.health import HealthHandlers
from orchestrator.api.hosts import Hosts, Origins
from orchestrator.api.limits import LIMITS, Limits
from orchestrator.api.metrics import CONTENT_TYPE, HttpMeters, metrics
from orchestrator.api.observing import answering, observed
from orchestrator.api.places import TooManyStreams
from orchestrator.api.problems import Draining, problems
from orchestrator.api.routes import EVENTS, JSON, bound, route
from orchestrator.api.streams import HEARTBEAT_SECONDS, Streams
from orchestrator.mcp.asking import Asked, Context, Run, run_in_turn
from orchestrator.mcp.bridge import pass_on
from orchestrator.mcp.server import server_of
from orchestrator.mcp.tools import Tools
from orchestrator.structured import Ending
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service

PATH = "/mcp"

SESSION = "Mcp-Session-Id"

ASKED = "anabranch.asked"
"""Where the scope of a request says who asks."""

EVERYBODY = ""
"""Under which name the streams are counted of those who see the tasks of all tenants."""


class Handlers(HealthHandlers):
    """The handlers of the few routes of an MCP server; also a door for the calls that they pass on."""

    preparing = ""

    def __init__(self, service: Service, streams: Streams, draining: asyncio.Event, closing: Ending) -> None:
        super().__init__(service, draining)
        self._places = streams.places
        self.meters = HttpMeters(streams)
        self._closing = closing
        self._passing: set[asyncio.Task[Any]] = set()
        self._manager = StreamableHTTPSessionManager(
            server_of(lambda: Tools(self)),
            # The gate has looked at Host and Origin, and knows the names by which it may be reached.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=service.settings.max_body_bytes,
            max_sessions=service.settings.streams,
        )
        self._most_of_tenant = service.settings.tenant_streams
        self._session_tenants: dict[str, str] = {}

    @route("POST", PATH, (200, "What was asked for.", {EVENTS: {}}), scope=None, keyed=True, takes={JSON: {}})
    async def post(self, request: web.Request) -> web.StreamResponse:
        """Take a message of a client."""
        return await self._pass_on(request)

    @route("GET", PATH, (200, "Messages.", {EVENTS: {}}), scope=None, keyed=True, head=False)
    async def get(self, request: web.Request) -> web.StreamResponse:
        """Send what a session has to say unasked."""
        return await self._pass_on(request)

    @route("DELETE", PATH, (200, "It has ended.", {JSON: {}}), scope=None, keyed=True)
    async def delete(self, request: web.Request) -> web.StreamResponse:
        """End a session."""
        return await self._pass_on(request)

    @route("GET", "/metrics", (200, "Prometheus text.", {"text/plain": {}}), scope=Scope.ADMIN, watched=True)
    async def metrics(self, request: web.Request) -> web.Response:
        """Get the metrics of this process."""
        text = await metrics(self._service, self.meters, request)
        return web.Response(text=text, headers={"Content-Type": CONTENT_TYPE})

    async def enter(self, context: Context) -> Asked:
        """Who calls a tool, as the gate has found out."""
        assert context.request is not None
        asked = context.request.scope[ASKED]
        assert isinstance(asked, Asked)
        return asked

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Keep sessions while the application is served; end their requests when it closes."""
        started = asyncio.Event()
        keeping = asyncio.create_task(self._keep(started), name="the sessions of an MCP server")
        try:
            await started.wait()
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self, started: asyncio.Event) -> None:
        async with self._manager.run():
            started.set()
            await self._closing.wait()
            for task in self._passing:
                task.cancel()
            await asyncio.Event().wait()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        caller, tenant = caller_of(request), tenant_of(request)
        left = asyncio.Event()
        asked = Asked(
            solver=self._service, run=partial(self._run, caller), caller=caller, tenant=tenant, left=left
        )
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        name = EVERYBODY if tenant is None else tenant
        try:
            with self._places.taken(name):
                self._check_sessions(request, name)
                response = await pass_on(
                    self._manager.handle_request, request, left, **{ASKED: asked}, **_user(caller)
                )
        finally:
            self._passing.discard(task)
        if SESSION not in request.headers and (session := response.headers.get(SESSION)) is not None:
            self._session_tenants[session] = name
        return response

    def _check_sessions(self, request: web.Request, tenant: str) -> None:
        """Leave room for the sessions of other tenants: one that nobody ends stays for half an hour.

        Raises:
            TooManyStreams: the tenant has as many as it may have.
        """
        if SESSION in request.headers:
            return
        is_open = self._manager._server_instances  # which says it nowhere else
        self._session_tenants = {each: of for each, of in self._session_tenants.items() if each in is_open}
        if Counter(self._session_tenants.values())[tenant] >= self._most_of_tenant:
            raise TooManyStreams(f"{self._most_of_tenant} sessions of tenant {tenant!r} are open; end one")

    def _run(self, caller: Caller, request: TaskRequest) -> Run:
        if self._draining.is_set():
            raise Draining("this process is shutting down; try again")
        return run_in_turn(self._service, request, caller)


def _user(caller: Caller) -> dict[str, Any]:
    """Whose session it is: nobody can go on with the session of somebody else's key."""
    if caller.key is None:
        return {}
    return {"user": AuthenticatedUser(AccessToken(token="", client_id=caller.key, scopes=[]))}


def create_application(
    service: Service, *, draining: asyncio.Event, closing: Ending, insecure: bool = False
) -> web.Application:
    """An application that speaks MCP at ``/mcp``, and tells of its health as the API does.

    Like that of the API, it runs no tasks itself; ``draining``, ``closing`` and ``insecure`` are as there.

    Raises:
        InvalidRequest: an allowed host or origin of the settings is none.
    """
    settings = service.settings
    gate = Gate(
        service.access, Hosts(settings.allowed_hosts), Origins(settings.allowed_origins), insecure=insecure
    )
    handlers = Handlers(service, Streams(service, closing, HEARTBEAT_SECONDS), draining, closing)
    limits = Limits.of(settings)
    application = web.Application(
        middlewares=[observed(handlers.meters), problems, room, gate.let_in], client_max_size=limits.max_body
    )
    application[LIMITS] = limits
    application.on_response_prepare.append(gate.on_response)
    application.on_response_prepare.append(answering(handlers.meters))
    application.cleanup_ctx.append(handlers.running)
    application.add_routes(bound(handlers))
    return application
