"""How a request becomes a task, whichever protocol it speaks."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web
from structlog.contextvars import bind_contextvars

from orchestrator.api.callers import MADE, caller_of, claim
from orchestrator.api.exchange import merge
from orchestrator.api.finding import TaskHandlers
from orchestrator.api.observing import caller_of_trace
from orchestrator.api.places import turn
from orchestrator.api.streams import Streams
from orchestrator.errors import Unavailable
from orchestrator.tasks.requests import TaskRequest, parse
from storage.tasks import Task
from workers.errors import EngineUnavailable

log = structlog.get_logger()

ENGINE_RETRY_SECONDS = 5.0
"""When to retry a request that was refused because no engine works."""

REPEATED = {"Idempotency-Replayed": "true"}
"""Says that the task is an earlier one with the same idempotency key."""

SUBMISSIONS = 32
"""The most submissions that are worked on at the same time; the others wait for their turn."""


class SubmittingHandlers(TaskHandlers):
    """What the handlers that take tasks have in common."""

    _streams: Streams
    _submitting: asyncio.Semaphore

    def _turn(self) -> AbstractAsyncContextManager[None]:
        """Let only so many submissions be worked on, so that other requests wait for few of them."""
        return turn(self._submitting, f"{SUBMISSIONS} tasks are being stored, and others wait; try again")

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

    def _asked(self, request: web.Request, body: dict[str, Any]) -> TaskRequest:
        """The task that a body describes, with what the headers say of it.

        Raises:
            InvalidRequest, Contradiction, Forbidden: it is none that the caller may submit.
        """
        merge(body, "idempotency_key", request, "Idempotency-Key")
        claim(body, request)
        merge(body, "tenant", request, "X-Tenant")
        return parse(body)

    async def _stored(self, request: web.Request, asked: TaskRequest, task_id: str | None = None) -> Task:
        """Submit a task for the caller, with this id if it is new; raises like :meth:`Service.submit`."""
        new = replace(self._service.check(asked), id=task_id, trace_parent=caller_of_trace(request))
        task = await self._service.accept(new, caller_of(request))
        request[MADE] = task.id
        bind_contextvars(task=task.id, tenant=task.tenant)
        log.info("task accepted", planner=task.planner)
        return task
