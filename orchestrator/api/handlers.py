"""What the API does for each route: a thin layer over the service."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from functools import cache
from typing import Any

import structlog
from aiohttp import web

from orchestrator.api.events import HEADERS, Sender, frame, last_event_id
from orchestrator.api.exchange import json_object, merge, respond
from orchestrator.api.health import HealthHandlers
from orchestrator.api.metrics import metrics
from orchestrator.api.openapi import document, reference
from orchestrator.api.problems import Draining, problem_of
from orchestrator.api.routes import header, queries, route, routes_of
from orchestrator.api.schemas import (
    EventBody,
    ListQuery,
    ReplayBody,
    SubmitQuery,
    TaskBody,
    TaskPage,
    WorkersBody,
    replay_body,
    task_body,
)
from orchestrator.api.traces import trace_bytes
from orchestrator.errors import AnabranchError, InvalidRequest, TaskNotFound, Unavailable
from orchestrator.structured import task_group
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from storage.tasks import Task
from workers.errors import EngineUnavailable
from workers.exposition import CONTENT_TYPE

log = structlog.get_logger()

ENGINE_RETRY_SECONDS = 5.0
"""When to retry a request that was refused because no engine works."""

TENANT = header("X-Tenant", "The tenant of the task. If it is given, tasks of other tenants are not found.")
ONE = ({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}, TENANT)
"""The parameters of a route that is about one task."""

ANYTHING = {"application/json": {"schema": {"type": "object"}}}


class Handlers(HealthHandlers):
    """The handlers of all routes, over one service. The docstring of each is its summary in the document."""

    def __init__(self, service: Service, draining: asyncio.Event, heartbeat_seconds: float) -> None:
        super().__init__(service, draining)
        self._heartbeat_seconds = heartbeat_seconds

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
    )
    async def submit(self, request: web.Request) -> web.Response:
        """Submit a question."""
        if self._draining.is_set():
            raise Draining("this process is shutting down; try again")
        await self._check_engine()
        query = SubmitQuery.model_validate(dict(request.query))
        body = await json_object(request)
        merge(body, "idempotency_key", request, "Idempotency-Key")
        merge(body, "tenant", request, "X-Tenant")
        task = await self._service.submit(parse(body))
        if query.wait and not task.status.terminal:
            task = await self._wait(task.id, query.wait)
        status = 200 if task.status.terminal else 202
        return respond(task_body(task), status, headers={"Location": f"/v1/tasks/{task.id}"})

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

    async def _wait(self, task_id: str, seconds: float) -> Task:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), aclosing(self._service.events(task_id)) as events:
                async for _ in events:
                    pass
        return await self._service.task(task_id)

    @route(
        "GET",
        "/v1/tasks",
        (200, "A page of tasks.", TaskPage),
        name="list",
        parameters=(TENANT, *queries(ListQuery)),
    )
    async def tasks(self, request: web.Request) -> web.Response:
        """List tasks, newest first."""
        query = ListQuery.model_validate(dict(request.query))
        own = request.headers.get("X-Tenant")
        if own is not None and query.tenant not in (None, own):
            raise InvalidRequest(f"the query asks for tenant {query.tenant!r}, but X-Tenant says {own!r}")
        found = await self._service.store.list(
            tenant=query.tenant if own is None else own,
            status=query.status,
            limit=query.limit,
            before=query.before,
        )
        more = found[-1].id if len(found) == query.limit else None
        return respond(TaskPage(tasks=tuple(task_body(task) for task in found), next=more))

    @route("GET", "/v1/tasks/{id}", (200, "The task.", TaskBody), name="get", parameters=ONE)
    async def task(self, request: web.Request) -> web.Response:
        """Get a task."""
        return respond(task_body(await self._find(request)))

    @route(
        "POST",
        "/v1/tasks/{id}/cancel",
        (200, "The task.", TaskBody),
        parameters=ONE,
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
    )
    async def events(self, request: web.Request) -> web.StreamResponse:
        """Follow a task: its journal as server-sent events, then `task_ended`."""
        found = await self._find(request)
        after = last_event_id(request)
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        sender = Sender(response, self._heartbeat_seconds)
        with suppress(ConnectionError):  # the client has gone
            async with task_group() as group:
                beating = group.create_task(sender.beat(), name=f"heartbeat of the events of {found.id}")
                await self._send_events(sender, found.id, after)
                beating.cancel()
        return response

    async def _send_events(self, sender: Sender, task_id: str, after: int) -> None:
        try:
            async with aclosing(self._service.events(task_id, after=after)) as events:
                async for item in events:
                    await sender.send(frame(item))
            ended = task_body(await self._service.task(task_id))
            await sender.send(f"event: task_ended\ndata: {ended.model_dump_json()}\n\n")
        except AnabranchError as error:  # the status has been sent; the stream ends and can be resumed
            log.warning("an event stream broke off", task=task_id, code=error.code, error=str(error))
            await sender.send(f"event: error\ndata: {problem_of(error).model_dump_json()}\n\n")

    @route(
        "GET",
        "/v1/tasks/{id}/trace",
        (200, "The trace.", ANYTHING),
        parameters=ONE,
    )
    async def trace(self, request: web.Request) -> web.Response:
        """Get the steps of a task as a tree."""
        found = await self._find(request)
        return web.json_response(body=await self._service.shown_trace(found.id, trace_bytes))

    @route(
        "POST",
        "/v1/tasks/{id}/replay",
        (200, "The run went as recorded.", ReplayBody),
        parameters=ONE,
    )
    async def replay(self, request: web.Request) -> web.Response:
        """Repeat a run over its journal, with no engine, and compare every event."""
        found = await self._find(request)
        return respond(replay_body(found.id, await self._service.replay(found.id)))

    @route(
        "GET",
        "/v1/workers",
        (200, "The pool.", WorkersBody),
    )
    async def workers(self, request: web.Request) -> web.Response:
        """Get the replicas of this process's engine, with their load and their caches."""
        await self._service.engine.health()  # a single engine knows its state only when asked
        return respond(WorkersBody.model_validate(self._service.engine.snapshot()))

    @route(
        "GET",
        "/metrics",
        (200, "Prometheus text.", {"text/plain": {"schema": {"type": "string"}}}),
    )
    async def metrics(self, request: web.Request) -> web.Response:
        """Get the metrics of this process."""
        return web.Response(
            text=metrics(self._service), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    @route("GET", "/openapi.json", (200, "This document.", ANYTHING))
    async def openapi(self, request: web.Request) -> web.Response:
        """Get this document."""
        return web.json_response(openapi_document())

    async def _find(self, request: web.Request) -> Task:
        """The task that the path names; if the request names a tenant, only a task of that tenant."""
        task_id = request.match_info["id"]
        task = await self._service.task(task_id)
        if request.headers.get("X-Tenant", task.tenant) != task.tenant:
            raise TaskNotFound(f"there is no task {task_id}")
        return task


@cache
def openapi_document() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    return document(routes_of(Handlers).values())
