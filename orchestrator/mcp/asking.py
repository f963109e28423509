"""Who calls a tool, whom it asks, and how a task is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import anyio
import structlog
from mcp.server.context import ServerRequestContext

from orchestrator.access.audit import audit
from orchestrator.access.caller import Caller, Scope
from orchestrator.api.exchange import LONGEST_NAME, is_name
from orchestrator.errors import AnabranchError, TaskNotFound
from orchestrator.structured import task_group
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.events import Event
from storage.tasks import Task
from storage.trace import Trace

log = structlog.get_logger(__name__)

T = TypeVar("T")

Context = ServerRequestContext[Any, Any]
"""What the protocol knows of a call."""

Run = AsyncGenerator[Event | Progress | Solution, None]
"""The events of a task as they happen, and finally its solution. Leaving it early cancels the task."""


class Answering(Protocol):
    """What is asked: a service of this process, or one elsewhere. Every method raises AnabranchError."""

    def stream(self, request: TaskRequest) -> Run:
        """Run a task that is the caller's own."""
        ...

    async def task(self, task_id: str) -> Task:
        """The task as it stands."""
        ...

    async def trace(self, task_id: str) -> Trace:
        """The stored steps of a run."""
        ...

    async def replay(self, task_id: str) -> Replayed:
        """Repeat a run, and compare every event."""
        ...


class ClientLeft(AnabranchError):
    """Whoever called a tool has closed the connection on which the result would go."""

    code = "client_left"
    http_status = 499


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who is asked something, and who asks.

    Attributes:
        run: runs a task; by default as ``solver`` does.
        caller: None where whoever asks may do everything, as on the pipes of a process.
        tenant: whose tasks are made and seen; None: those of all tenants are seen.
        left: set once nobody can be given the result any more; None where the protocol tells that.
    """

    solver: Answering
    run: Callable[[TaskRequest], Run] | None = None
    caller: Caller | None = None
    tenant: str | None = None
    left: asyncio.Event | None = None

    def require(self, scope: Scope) -> None:
        """Raise unless whoever asks has this scope. Raises Forbidden."""
        if self.caller is not None:
            self.caller.require(scope)

    def running(self, request: TaskRequest) -> Run:
        """Run a task."""
        return self.solver.stream(request) if self.run is None else self.run(request)

    async def task(self, task_id: str) -> Task:
        """The task with that id.

        Raises:
            TaskNotFound: there is none that may be seen.
        """
        if is_name(task_id):  # a database may refuse to look for anything else
            task = await self.solver.task(task_id)
            if self.tenant in (None, task.tenant):
                return task
        raise TaskNotFound(f"there is no task {task_id[:LONGEST_NAME]!r}")


class Door(Protocol):
    """Where calls come in."""

    @property
    def preparing(self) -> str:
        """What is still to be done before a model can answer, for people; empty if nothing is."""
        ...

    async def enter(self, context: Context) -> Asked:
        """The service for a call, which may have to be opened first. Raises AnabranchError."""
        ...


async def run_in_turn(service: Service, request: TaskRequest, caller: Caller) -> Run:
    """Let a task wait in the queue for its turn, and follow it. Raises like :meth:`Service.submit`."""
    task = await _submitted(service, request, caller)
    ended = False
    try:
        async with aclosing(service.events(task.id)) as items:
            async for item in items:
                yield item
        ended = True
        yield await service.solution(task.id)
    finally:
        if not ended:
            await _cancel(service, task.id)


async def _submitted(service: Service, request: TaskRequest, caller: Caller) -> Task:
    """A new task; one whose caller leaves while it is stored is cancelled."""
    submitting = asyncio.create_task(service.submit(request, caller), name="a task that is stored")
    outcome, target = "internal", None
    try:
        task = await asyncio.shield(submitting)
        outcome, target = "done", task.id
    except AnabranchError as error:
        outcome = error.code
        raise
    except asyncio.CancelledError:
        outcome = "cancelled"
        with suppress(AnabranchError):
            target = (await submitting).id
            await _cancel(service, target)
        raise
    else:
        return task
    finally:
        if caller.key is not None:
            audit(caller, "mcp_solve", outcome=outcome, tenant=request.tenant, target=target)


async def _cancel(service: Service, task_id: str) -> None:
    try:
        await service.cancel(task_id)
    except AnabranchError as error:
        log.warning("a task could not be cancelled", task=task_id, error=str(error))


async def apart(work: Coroutine[Any, Any, T], left: asyncio.Event | None = None) -> T:
    """Do the work in a task of its own, which is cancelled once if its caller is cancelled or leaves.

    The protocol's library cancels again and again until its handler has ended, so that nothing could be
    cleaned up there.

    Raises:
        ClientLeft: ``left`` was set.
        Exception: what the work raised.
    """
    task = asyncio.create_task(work, name="a call of a tool")
    try:
        if left is None:
            await asyncio.wait({task})
        else:
            async with task_group() as group:
                leaving = group.create_task(left.wait(), name="a client that may leave")
                await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
                leaving.cancel()
    finally:
        if not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # of which nobody will hear
    if task.cancelled():
        raise ClientLeft("the client has left")
    return task.result()
