"""What the API does for each route: a thin layer over the service."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import cache
from typing import Any

import structlog
from aiohttp import web

from orchestrator.access.caller import Scope
from orchestrator.access.refusals import QuotaExhausted, TooManyTasks
from orchestrator.api.batches import BatchHandlers
from orchestrator.api.callers import caller_of, tenant_of
from orchestrator.api.events import CURSOR, LONGEST_CURSOR, EventsQuery, TaskEventBody, ids_of
from orchestrator.api.exchange import body_text, header_of, json_object, query_of, respond
from orchestrator.api.finding import ANYTHING
from orchestrator.api.keeping import Imports, KeepingHandlers
from orchestrator.api.limits import limits_of
from orchestrator.api.looking import CHANGE, ChangeRequest, LookingHandlers, change_request
from orchestrator.api.metrics import CONTENT_TYPE, HttpMeters, metrics
from orchestrator.api.observing import caller_of_trace
from orchestrator.api.openai.handlers import OpenAIHandlers
from orchestrator.api.openapi import document, event_stream
from orchestrator.api.parameters import IDEMPOTENCY_KEY, LAST_EVENT_ID, ONE, TENANT
from orchestrator.api.places import TooManyStreams
from orchestrator.api.problems import Contradiction, Draining
from orchestrator.api.rendering import dumped_json
from orchestrator.api.responses.handlers import ResponseHandlers
from orchestrator.api.routes import header, queries, route, routes_of
from orchestrator.api.streams import Streams, last_event_id
from orchestrator.api.submitting import REPEATED, SUBMISSIONS
from orchestrator.api.webhooks import WebhookHandlers
from orchestrator.batches.working import Batching
from orchestrator.bodies import (
    ErrorBody,
    EventBody,
    ProgressBody,
    SubmitQuery,
    TaskBody,
    WorkersBody,
    task_body,
)
from orchestrator.errors import (
    Conflict,
    TaskNotFound,
    TraceTooLarge,
    UnknownPlanner,
    UnsupportedTrace,
)
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.runs import Cursor
from orchestrator.tasks.service import Service
from storage.errors import (
    DeadlinePassed,
    DeadlineUnreachable,
    IdempotencyConflict,
    IllegalTransition,
    NotStorable,
    QueueFull,
    TenantQueueFull,
)
from storage.tasks import new_task_id
from storage.webhooks import TooManyWebhooks
from workers.errors import EngineUnavailable

log = structlog.get_logger()


class Handlers(
    LookingHandlers, KeepingHandlers, WebhookHandlers, OpenAIHandlers, ResponseHandlers, BatchHandlers
):
    """The handlers of all routes, over one service. The docstring of each is its summary in the document."""

    def __init__(
        self,
        service: Service,
        batching: Batching,
        streams: Streams,
        draining: asyncio.Event,
        meters: HttpMeters,
    ) -> None:
        super().__init__(service, draining)
        self._streams = streams
        self._places = streams.places
        self._meters = meters
        self._submitting = asyncio.Semaphore(SUBMISSIONS)
        self._imports = Imports()
        self._uploads = Imports()
        self._batching = batching

    @route(
        "POST",
        "/v1/tasks",
        (202, "Accepted; the task is stored and will run.", TaskBody),
        (200, "The task has ended, before the request or within the waiting time.", TaskBody),
        errors=(
            UnknownPlanner,
            Contradiction,
            IdempotencyConflict,
            NotStorable,
            EngineUnavailable,
            TooManyTasks,
            QuotaExhausted,
            TenantQueueFull,
            QueueFull,
            DeadlineUnreachable,
            DeadlinePassed,
            TooManyWebhooks,
            TooManyStreams,
            Draining,
        ),
        parameters=(IDEMPOTENCY_KEY, TENANT, *queries(SubmitQuery)),
        takes=TaskRequest,
        example={"query": "How many clips?", "planner": "vote", "options": {"n": 8}},
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def submit(self, request: web.Request) -> web.Response:
        """Submit a question."""
        self._check_open()
        with ExitStack() as held:
            text = await body_text(request)
            async with self._turn():
                await self._check_engine()
                query = query_of(SubmitQuery, request)
                body = json_object(text, limits_of(request))
                asked = self._asked(request, body)
                if query.wait:
                    held.enter_context(self._streams.place(asked.tenant))
                own_id = new_task_id()
                task = await self._stored(request, asked, own_id)
            if query.wait and not task.status.terminal:
                task = await self._streams.wait(task, query.wait)
        status = 200 if task.status.terminal else 202
        headers = {"Location": f"/v1/tasks/{task.id}", **({} if task.id == own_id else REPEATED)}
        return respond(task_body(task), status, headers=headers)

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
        errors=(IllegalTransition, TooManyTasks, QuotaExhausted),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def requeue(self, request: web.Request) -> web.Response:
        """Put a dead task back into the queue; it continues where its journal ends."""
        found = await self._find(request)
        return respond(task_body(await self._service.requeue(found.id, caller_of(request))))

    @route(
        "POST",
        "/v1/tasks/{id}/fork",
        (202, "Accepted; the fork is a task of its own, and will run.", TaskBody),
        (200, "The fork has ended before.", TaskBody),
        errors=(
            UnknownPlanner,
            Conflict,
            IdempotencyConflict,
            EngineUnavailable,
            TooManyTasks,
            QuotaExhausted,
            TenantQueueFull,
            QueueFull,
            TraceTooLarge,
            UnsupportedTrace,
            Draining,
        ),
        parameters=(*ONE, IDEMPOTENCY_KEY),
        takes=ChangeRequest,
        example=CHANGE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def fork(self, request: web.Request) -> web.Response:
        """Run a task again with one thing changed; what does not depend on that is not computed again."""
        self._check_open()
        found, key = await self._find(request), header_of(request, "Idempotency-Key")
        asked = await change_request(request)
        async with self._turn():
            await self._check_engine()
            task = await self._service.submit_fork(
                found.id,
                at=asked.at,
                change=asked.change,
                key=key,
                caller=caller_of(request),
                trace_parent=caller_of_trace(request),
            )
        status = 200 if task.status.terminal else 202
        return respond(task_body(task), status, headers={"Location": f"/v1/tasks/{task.id}"})

    @route(
        "GET",
        "/v1/tasks/{id}/events",
        (
            200,
            "Events as they happen, until the task ends.",
            event_stream(EventBody, ProgressBody, TaskBody, ErrorBody),
        ),
        errors=(TooManyStreams,),
        parameters=(*ONE, LAST_EVENT_ID),
        sends=(EventBody, ProgressBody, TaskBody, ErrorBody),
        head=False,
        scope=Scope.READ,
    )
    async def events(self, request: web.Request) -> web.StreamResponse:
        """Follow a task: its journal as server-sent events, then `task_ended`."""
        found = await self._find(request)
        return await self._streams.send(request, found, last_event_id(request))

    @route(
        "GET",
        "/v1/events",
        (
            200,
            "What happens to tasks, until the client leaves.",
            event_stream(TaskEventBody, TaskBody, ErrorBody, ids=CURSOR),
        ),
        errors=(TaskNotFound, TooManyStreams),
        parameters=(
            TENANT,
            *queries(EventsQuery),
            header(
                "Last-Event-ID",
                "Goes on after the event of this stream that had this id.",
                schema={"type": "string", "minLength": 1, "maxLength": LONGEST_CURSOR, "pattern": CURSOR},
            ),
        ),
        sends=(TaskEventBody, TaskBody, ErrorBody),
        head=False,
        scope=Scope.READ,
        name="all_events",
    )
    async def all_events(self, request: web.Request) -> web.StreamResponse:
        """Follow all tasks that the caller may see on one connection."""
        query = query_of(EventsQuery, request)
        given = header_of(request, "Last-Event-ID", longest=LONGEST_CURSOR)
        tenant, only = tenant_of(request), ids_of(query)
        since = None if given is None else Cursor.parse(given)
        if since is None:  # afterwards, a task that is gone is news
            for task_id in sorted(only or ()):
                await self._visible(task_id, tenant)
        runs = self._service.runs(
            tenant=tenant,
            only=only,
            since=since,
            events=query.events,
        )
        return await self._streams.send_all(request, tenant, runs)

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
        watched=True,
    )
    async def metrics(self, request: web.Request) -> web.Response:
        """Get the metrics of this process."""
        text = await metrics(self._service, self._meters, request)
        return web.Response(text=text, headers={"Content-Type": CONTENT_TYPE})

    @route("GET", "/openapi.json", (200, "This document.", ANYTHING), scope=None)
    async def openapi(self, request: web.Request) -> web.Response:
        """Get this document."""
        return web.json_response(text=_document_text())


@cache
def openapi_document() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    return document(routes_of(Handlers).values())


@cache
def _document_text() -> str:
    return dumped_json(openapi_document())
