"""The HTTP application over a service."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing, suppress
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel

from orchestrator.api.metrics import metrics
from orchestrator.api.openapi import document
from orchestrator.api.problems import Draining, TooLarge, UnsupportedMediaType, problem_of, problems
from orchestrator.api.schemas import (
    VERSION,
    Check,
    HealthBody,
    ListQuery,
    SubmitQuery,
    TaskPage,
    WorkersBody,
    event_body,
    replay_body,
    task_body,
    trace_body,
)
from orchestrator.errors import AnabranchError, InvalidRequest, TaskNotFound, Unavailable
from orchestrator.runtime.plain import plain
from orchestrator.structured import task_group
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.errors import StorageError
from storage.events import Event
from storage.tasks import Task
from workers.errors import EngineUnavailable
from workers.exposition import CONTENT_TYPE

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment keeps an event stream, and the proxies on its way, awake."""

DATABASE_SECONDS = 5.0
"""How long the health check waits for the database."""

ENGINE_RETRY_SECONDS = 5.0
"""When to try again what was refused because no engine works."""

MAX_BODY = 4 << 20
"""Bytes of a request; the service itself bounds the characters of the query."""


def create_application(
    service: Service,
    *,
    draining: asyncio.Event | None = None,
    max_body: int = MAX_BODY,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> web.Application:
    """The application. It runs no tasks itself: keep ``service.working()`` open beside it.

    Once ``draining`` is set, new tasks are refused; everything else goes on. Serve the application with
    ``handler_cancellation=True``, so that a client that hangs up ends its request.
    """
    api = _Api(service, draining or asyncio.Event(), heartbeat_seconds)
    application = web.Application(middlewares=[problems], client_max_size=max_body)
    application.add_routes(
        [
            web.post("/v1/tasks", api.submit),
            web.get("/v1/tasks", api.tasks),
            web.get("/v1/tasks/{id}", api.task),
            web.post("/v1/tasks/{id}/cancel", api.cancel),
            web.post("/v1/tasks/{id}/requeue", api.requeue),
            web.get("/v1/tasks/{id}/events", api.events, allow_head=False),
            web.get("/v1/tasks/{id}/trace", api.trace),
            web.post("/v1/tasks/{id}/replay", api.replay),
            web.get("/v1/workers", api.workers),
            web.get("/healthz", api.health),
            web.get("/metrics", api.metrics),
            web.get("/openapi.json", api.openapi),
        ]
    )
    return application


class _Api:
    def __init__(self, service: Service, draining: asyncio.Event, heartbeat_seconds: float) -> None:
        self._service = service
        self._draining = draining
        self._heartbeat_seconds = heartbeat_seconds

    async def submit(self, request: web.Request) -> web.Response:
        if self._draining.is_set():
            raise Draining("this process is shutting down; try again")
        await self._check_engine()
        query = SubmitQuery.model_validate(dict(request.query))
        body = await _json(request)
        _merge(body, "idempotency_key", request, "Idempotency-Key")
        _merge(body, "tenant", request, "X-Tenant")
        task = await self._service.submit(parse(body))
        if query.wait and not task.status.terminal:
            task = await self._wait(task.id, query.wait)
        status = 200 if task.status.terminal else 202
        return _respond(task_body(task), status, headers={"Location": f"/v1/tasks/{task.id}"})

    async def _check_engine(self) -> None:
        """Refuse tasks while nothing could solve them: they would wait for it, and then fail."""
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

    async def tasks(self, request: web.Request) -> web.Response:
        query = ListQuery.model_validate(dict(request.query))
        own = request.headers.get("X-Tenant")
        if own is not None and query.tenant not in (None, own):
            raise InvalidRequest(f"tenant {query.tenant!r} is asked for, but X-Tenant says {own!r}")
        found = await self._service.store.list(
            tenant=query.tenant if own is None else own,
            status=query.status,
            limit=query.limit,
            before=query.before,
        )
        more = found[-1].id if len(found) == query.limit else None
        return _respond(TaskPage(tasks=tuple(task_body(task) for task in found), next=more))

    async def task(self, request: web.Request) -> web.Response:
        return _respond(task_body(await self._find(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        found = await self._find(request)
        return _respond(task_body(await self._service.cancel(found.id)))

    async def requeue(self, request: web.Request) -> web.Response:
        found = await self._find(request)
        return _respond(task_body(await self._service.requeue(found.id)))

    async def trace(self, request: web.Request) -> web.Response:
        found = await self._find(request)
        return web.json_response(trace_body(await self._service.trace(found.id)))

    async def replay(self, request: web.Request) -> web.Response:
        found = await self._find(request)
        return _respond(replay_body(found.id, await self._service.replay(found.id)))

    async def events(self, request: web.Request) -> web.StreamResponse:
        found = await self._find(request)
        after = _last_event_id(request)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        sender = _Sender(response, self._heartbeat_seconds)
        with suppress(ConnectionError):  # the client has gone
            async with task_group() as group:
                beating = group.create_task(sender.beat(), name=f"heartbeat of the events of {found.id}")
                await self._send_events(sender, found.id, after)
                beating.cancel()
        return response

    async def _send_events(self, sender: _Sender, task_id: str, after: int) -> None:
        try:
            async with aclosing(self._service.events(task_id, after=after)) as events:
                async for item in events:
                    await sender.send(_frame(item))
            ended = task_body(await self._service.task(task_id))
            await sender.send(f"event: task_ended\ndata: {ended.model_dump_json()}\n\n")
        except AnabranchError as error:  # the status is sent already; the stream ends, to be resumed
            log.warning("an event stream broke off", task=task_id, code=error.code, error=str(error))
            await sender.send(f"event: error\ndata: {problem_of(error).model_dump_json()}\n\n")

    async def workers(self, request: web.Request) -> web.Response:
        await self._service.engine.health()  # one that stands alone only knows its state when it is asked
        return _respond(WorkersBody.model_validate(self._service.engine.snapshot()))

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            text=metrics(self._service), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    async def health(self, request: web.Request) -> web.Response:
        engine = await self._service.engine.health()
        body = HealthBody(
            status="ok",
            version=VERSION,
            engine=Check(ok=engine.ok, detail=engine.detail),
            database=await self._database(),
        )
        if self._draining.is_set():
            body.status = "draining"
        elif not (body.engine.ok and body.database.ok):
            body.status = "unavailable"
        return _respond(body, 200 if body.status == "ok" else 503)

    async def _database(self) -> Check:
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                await self._service.store.list(limit=1)
        except StorageError as error:
            return Check(ok=False, detail=error.code)
        except TimeoutError:
            return Check(ok=False, detail=f"no answer within {DATABASE_SECONDS:g} s")
        return Check(ok=True)

    async def openapi(self, request: web.Request) -> web.Response:
        return web.json_response(document())

    async def _find(self, request: web.Request) -> Task:
        """The task that the path names; for a request of a tenant only if it is that tenant's."""
        task_id = request.match_info["id"]
        task = await self._service.task(task_id)
        if request.headers.get("X-Tenant", task.tenant) != task.tenant:
            raise TaskNotFound(f"there is no task {task_id}")
        return task


class _Sender:
    """Sends frames, and comments while there are none."""

    def __init__(self, response: web.StreamResponse, heartbeat_seconds: float) -> None:
        self._response = response
        self._heartbeat_seconds = heartbeat_seconds
        self._last = time.monotonic()

    async def send(self, frame: str) -> None:
        self._last = time.monotonic()
        await self._response.write(frame.encode())

    async def beat(self) -> None:
        while True:
            silence = time.monotonic() - self._last
            if silence >= self._heartbeat_seconds:
                await self.send(": heartbeat\n\n")
            else:
                await asyncio.sleep(self._heartbeat_seconds - silence)


def _frame(item: Event | Progress) -> str:
    if isinstance(item, Progress):
        return f"event: progress\ndata: {json.dumps(plain(item))}\n\n"
    return f"id: {item.seq}\nevent: {item.type}\ndata: {event_body(item).model_dump_json()}\n\n"


def _last_event_id(request: web.Request) -> int:
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return -1
    if not (given.isascii() and given.isdigit()) or len(given) > 9:
        raise InvalidRequest(f"Last-Event-ID is {given[:40]!r}; it must be the id of an event, as 17")
    return int(given)


async def _json(request: web.Request) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType(
            f"the content type is {request.content_type!r}; send JSON as application/json"
        )
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(f"the body is too large: {error.text}") from None
    except web.RequestPayloadError:
        raise InvalidRequest("the body is cut short, or not in the encoding that its headers name") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is a JSON {type(body).__name__}; it must be an object")
    return body


def _merge(body: dict[str, Any], name: str, request: web.Request, header: str) -> None:
    """Let a header give a field, unless the body says something else."""
    given = request.headers.get(header)
    if given is None:
        return
    if body.setdefault(name, given) != given:
        raise InvalidRequest(f"{name} is {body[name]!r} in the body, but {header} says {given!r}")


def _respond(body: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(text=body.model_dump_json(), status=status, headers=headers)
