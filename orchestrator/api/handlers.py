"""What the API does for each route: a thin layer over the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from typing import Any

import structlog
from aiohttp import web
from structlog.contextvars import bind_contextvars

from orchestrator.access.caller import Scope
from orchestrator.api.callers import tenant_of
from orchestrator.api.exchange import (
    LONGEST_NAME,
    body_text,
    is_name,
    json_object,
    merge,
    query_of,
    respond,
)
from orchestrator.api.health import HealthHandlers
from orchestrator.api.metrics import CONTENT_TYPE, HttpMeters, metrics
from orchestrator.api.observing import caller_of_trace
from orchestrator.api.openapi import document, reference
from orchestrator.api.problems import Draining, Overloaded
from orchestrator.api.rendering import dumped, dumped_json
from orchestrator.api.routes import header, queries, route, routes_of
from orchestrator.api.schemas import (
    EventBody,
    ListQuery,
    ReplayBody,
    SubmitQuery,
    TaskBody,
    TaskPage,
    WorkersBody,
    listed,
    replay_body,
    task_body,
)
from orchestrator.api.streams import Streams, last_event_id
from orchestrator.api.traces import trace_bytes
from orchestrator.errors import InvalidRequest, TaskNotFound, Unavailable
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from storage.tasks import Task
from workers.errors import EngineUnavailable

log = structlog.get_logger()

ENGINE_RETRY_SECONDS = 5.0
"""When to retry a request that was refused because no engine works."""

SUBMISSIONS = 32
"""The most submissions that are worked on at the same time; the others wait for their turn."""

TURN_SECONDS = 10.0
"""How long a submission waits for its turn."""

PAGE_CHARACTERS = 4_000_000
"""A list that has so many characters goes on in its next page."""

TENANT = header("X-Tenant", "The tenant of the task. If it is given, tasks of other tenants are not found.")
ONE = ({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}, TENANT)
"""The parameters of a route that is about one task."""

ANYTHING = {"application/json": {"schema": {"type": "object"}}}


class Handlers(HealthHandlers):
    """The handlers of all routes, over one service. The docstring of each is its summary in the document."""

    def __init__(
        self, service: Service, streams: Streams, draining: asyncio.Event, meters: HttpMeters
    ) -> None:
        super().__init__(service, draining)
        self._streams = streams
        self._meters = meters
        self._submitting = asyncio.Semaphore(SUBMISSIONS)

    @route(
        "POST",
        "/v1/tasks",
        (202, "Accepted; the task is stored and will run.", TaskBody),
        (200, "The task has ended, before the request or within the waiting time.", TaskBody),
        parameters=(
            header("Idempotency-Key", "A second request with the same key returns the task of the first."),
            TENANT,
            *queries(SubmitQuery),
        ),
        takes=TaskRequest,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def submit(self, request: web.Request) -> web.Response:
        """Submit a question."""
        if self._draining.is_set():
            raise Draining("this process is shutting down; try again")
        with ExitStack() as held:
            text = await body_text(request, self._service.settings.client_seconds)
            async with self._turn():
                await self._check_engine()
                query = query_of(SubmitQuery, request)
                body = json_object(text)
                merge(body, "idempotency_key", request, "Idempotency-Key")
                merge(body, "tenant", request, "X-Tenant")
                asked = parse(body)
                if query.wait:
                    held.enter_context(self._streams.place(asked.tenant))
                task = await self._service.submit(asked, trace_parent=caller_of_trace(request))
                bind_contextvars(task=task.id, tenant=task.tenant)
                log.info("task accepted", planner=task.planner)
            if query.wait and not task.status.terminal:
                task = await self._streams.wait(task, query.wait)
        status = 200 if task.status.terminal else 202
        return respond(task_body(task), status, headers={"Location": f"/v1/tasks/{task.id}"})

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let only so many submissions be worked on, so that other requests wait for few of them."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._submitting.acquire()
        except TimeoutError:
            raise Overloaded(f"{SUBMISSIONS} tasks are being stored, and others wait; try again") from None
        try:
            yield
        finally:
            self._submitting.release()

    async def _check_engine(self) -> None:
        """Refuse tasks while no engine could solve them: they would only wait and then fail."""
        replicas = self._service.engine.snapshot().replicas
        suspect = any(replica.state in ("starting", "down") and replica.detail for replica in replicas)
        if not suspect or (health := await self._service.engine.health()).ok:
            return
        raise Unavailable(
            f"no engine works: {health.detail}",
            code=EngineUnavailable.code,
            http_status=EngineUnavailable.http_status,
            retryable=True,
            retry_after=ENGINE_RETRY_SECONDS,
        )

    @route(
        "GET",
        "/v1/tasks",
        (200, "A page of tasks.", TaskPage),
        name="list",
        parameters=(TENANT, *queries(ListQuery)),
        scope=Scope.READ,
    )
    async def tasks(self, request: web.Request) -> web.Response:
        """List tasks, newest first."""
        query = query_of(ListQuery, request)
        own = tenant_of(request)
        if own is not None and query.tenant not in (None, own):
            raise InvalidRequest(
                f"the query asks for tenant {query.tenant!r}, but the request is about {own!r}"
            )
        found = await self._service.store.list(
            tenant=query.tenant if own is None else own,
            status=query.status,
            limit=query.limit,
            before=query.before,
        )
        shown: list[str] = []
        for task in found:
            shown.append(dumped(listed(task)))
            if sum(map(len, shown)) > PAGE_CHARACTERS:
                break
            await asyncio.sleep(0)  # other requests have their turn
        more = found[len(shown) - 1].id if len(shown) < len(found) or len(found) == query.limit else None
        return web.json_response(text=f'{{"tasks":[{",".join(shown)}],"next":{dumped_json(more)}}}')

    @route(
        "GET", "/v1/tasks/{id}", (200, "The task.", TaskBody), name="get", parameters=ONE, scope=Scope.READ
    )
    async def task(self, request: web.Request) -> web.Response:
        """Get a task."""
        return respond(task_body(await self._find(request)))

    @route(
        "POST",
        "/v1/tasks/{id}/cancel",
        (200, "The task.", TaskBody),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a task; one that has ended stays as it is."""
        found = await self._find(request)
        return respond(task_body(await self._service.cancel(found.id)))

    @route(
        "POST",
        "/v1/tasks/{id}/requeue",
        (200, "The task.", TaskBody),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def requeue(self, request: web.Request) -> web.Response:
        """Put a dead task back into the queue; it continues where its journal ends."""
        found = await self._find(request)
        return respond(task_body(await self._service.requeue(found.id)))

    @route(
        "GET",
        "/v1/tasks/{id}/events",
        (
            200,
            "Events as they happen, until the task ends.",
            {"text/event-stream": {"schema": reference(EventBody)}},
        ),
        parameters=(*ONE, header("Last-Event-ID", "Skips this event and those before it.")),
        sends=(EventBody,),
        head=False,
        scope=Scope.READ,
    )
    async def events(self, request: web.Request) -> web.StreamResponse:
        """Follow a task: its journal as server-sent events, then `task_ended`."""
        found = await self._find(request)
        return await self._streams.send(request, found, last_event_id(request))

    @route("GET", "/v1/tasks/{id}/trace", (200, "The trace.", ANYTHING), parameters=ONE, scope=Scope.READ)
    async def trace(self, request: web.Request) -> web.Response:
        """Get the steps of a task as a tree."""
        found = await self._find(request)
        return web.json_response(body=await self._service.shown_trace(found.id, trace_bytes))

    @route(
        "POST",
        "/v1/tasks/{id}/replay",
        (200, "The run went as recorded.", ReplayBody),
        parameters=ONE,
        scope=Scope.READ,
    )
    async def replay(self, request: web.Request) -> web.Response:
        """Repeat a run over its journal, with no engine, and compare every event."""
        found = await self._find(request)
        return respond(replay_body(found.id, await self._service.replay(found.id)))

    @route("GET", "/v1/workers", (200, "The pool.", WorkersBody), scope=Scope.READ)
    async def workers(self, request: web.Request) -> web.Response:
        """Get the replicas of this process's engine, with their load and their caches."""
        await self._service.engine.health()  # a single engine knows its state only when asked
        return respond(WorkersBody.model_validate(self._service.engine.snapshot()))

    @route(
        "GET",
        "/metrics",
        (200, "Prometheus text.", {"text/plain": {"schema": {"type": "string"}}}),
        scope=Scope.ADMIN,
    )
    async def metrics(self, request: web.Request) -> web.Response:
        """Get the metrics of this process."""
        return web.Response(
            text=metrics(self._service, self._meters, request),
            headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"},
        )

    @route("GET", "/openapi.json", (200, "This document.", ANYTHING), scope=None)
    async def openapi(self, request: web.Request) -> web.Response:
        """Get this document."""
        return web.json_response(openapi_document())

    async def _find(self, request: web.Request) -> Task:
        """The task that the path names; if the request names a tenant, only a task of that tenant."""
        task_id, tenant = request.match_info["id"], tenant_of(request)
        if is_name(task_id):  # a database may refuse to look for anything else
            task = await self._service.task(task_id)
            if tenant in (None, task.tenant):
                bind_contextvars(task=task.id, tenant=task.tenant)
                return task
        raise TaskNotFound(f"there is no task {task_id[:LONGEST_NAME]!r}")


@cache
def openapi_document() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    return document(routes_of(Handlers).values())
