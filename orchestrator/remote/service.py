"""A service elsewhere as a solver: the same calls, the same results and the same errors as of one here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, Unpack

import structlog
from pydantic import TypeAdapter
from typing_extensions import override

from orchestrator.access.caller import Forbidden, Unauthorized
from orchestrator.bodies import VERSION, HealthBody, ReplayBody, WhatIfBody, WorkersBody
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import AnabranchError, InvalidRequest, ServiceError, translated
from orchestrator.planning.planner import Planner
from orchestrator.remote.address import Address
from orchestrator.remote.carrying import received, sent
from orchestrator.remote.following import asked_task, ended, followed, path_of, speaking_for
from orchestrator.remote.reading import Strange, page_of, read, task_of, trace_of
from orchestrator.remote.transport import Request, Transport
from orchestrator.remote.trying import Patience
from orchestrator.runtime.change import Change
from orchestrator.solver import Begun, Solver, TaskFilter
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.solution import Solution, solution_of_task
from storage.archive import LIMITS, Limits
from storage.events import Event
from storage.tasks import Task
from storage.trace import Trace

log = structlog.get_logger()

PAGE = 200
"""How many tasks are asked for at a time, the most that a service gives."""

LEAVING_SECONDS = 10.0
"""How long it may take to cancel the task of a caller who has left."""

_DIFFERENCE = TypeAdapter(TraceDifference)

T = TypeVar("T")


class RemoteService(Solver):
    """Asks a service elsewhere. The caller closes it.

    A task that is waited for, or followed, is found again after the service was restarted or a load balancer
    has moved its client to another process. A question is submitted under an idempotency key, so that it is
    not asked twice if an answer is lost on its way.
    """

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        self._transport = Transport(address, patience)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    # -- asking -----------------------------------------------------------------------------------

    @override
    async def solve(self, request: TaskRequest) -> Solution:
        task, own = await self._submitted(request)
        return await self._awaited(task, own=own)

    @override
    async def stream(self, request: TaskRequest) -> AsyncGenerator[Event | Progress | Solution, None]:
        begun = await self.start(request)
        async with aclosing(begun.items) as items:
            async for item in items:
                yield item

    @override
    async def start(self, request: TaskRequest) -> Begun:
        task, own = await self._submitted(request)
        return Begun(task, self._items(task.id, own=own, tenant=task.tenant))

    @override
    async def submit(self, request: TaskRequest) -> Task:
        task, _ = await self._sent(_submission(request))
        return task

    @override
    async def result(self, task_id: str) -> Solution:
        return await self._awaited(await self.task(task_id), own=False)

    @override
    async def follow(
        self, task_id: str, *, after: int = -1
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        async with aclosing(self._items(task_id, own=False, after=after)) as items:
            async for item in items:
                yield item

    @override
    async def cancel(self, task_id: str) -> Task:
        return await self._asked(task_of, Request("POST", path_of(task_id, "cancel"), again=True))

    @override
    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        asking = Request(
            "POST",
            path_of(task_id, "fork"),
            again=True,
            works=True,
            json=_changing(at, change),
            headers={"Idempotency-Key": _new_key()},
        )
        task, own = await self._entrusted(asking, own=True)
        return await self._awaited(task, own=own)

    # -- stored runs ------------------------------------------------------------------------------

    @override
    async def task(self, task_id: str) -> Task:
        async with self._understood():
            return await asked_task(self._transport, task_id)

    @override
    async def tasks(
        self, *, limit: int | None = None, **wanted: Unpack[TaskFilter]
    ) -> AsyncGenerator[Task, None]:
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        left, cursor = limit, None
        while left is None or left > 0:
            query["limit"] = str(PAGE if left is None else min(PAGE, left))
            if cursor is not None:
                query["cursor"] = cursor
            page, cursor = await self._asked(page_of, Request("GET", "/v1/tasks", again=True, query=query))
            for task in page:
                yield task
            if cursor is None:
                return
            left = None if left is None else left - len(page)

    @override
    async def trace(self, task_id: str) -> Trace:
        return await self._asked(trace_of, Request("GET", path_of(task_id, "trace"), again=True, works=True))

    @override
    async def replay(self, task_id: str) -> Replayed:
        body = await self._asked(
            ReplayBody.model_validate, Request("POST", path_of(task_id, "replay"), again=True, works=True)
        )
        return Replayed(body.result, body.events, body.seconds)

    @override
    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        asking = Request(
            "POST",
            path_of(task_id, "what-if"),
            again=True,
            works=True,
            query={"events": "true"},
            json=_changing(at, change),
        )
        body = await self._asked(WhatIfBody.model_validate, asking)
        events = tuple(Event(**dict(each)) for each in body.events or ())
        return Counterfactual(body.result, events, body.tokens, body.recorded_tokens)

    @override
    async def difference(self, before: str, after: str) -> TraceDifference:
        asking = Request("GET", path_of(before, "diff"), again=True, works=True, query={"other": after})
        return await self._asked(_DIFFERENCE.validate_python, asking)

    @override
    async def export(self, task_id: str) -> AsyncGenerator[str, None]:
        async with aclosing(received(self._transport, path_of(task_id, "export"))) as lines:
            async for line in lines:
                yield line

    @override
    async def import_(self, file: Path, *, tenant: str | None = None, limits: Limits = LIMITS) -> Task:
        with translated():
            reply = await sent(self._transport, file, tenant, limits)
        async with self._understood():
            return read(task_of, reply.body)

    @override
    async def requeue(self, task_id: str) -> Task:
        return await self._asked(task_of, Request("POST", path_of(task_id, "requeue"), again=False))

    @override
    async def delete(self, task_id: str) -> None:
        await self._transport.ask(Request("DELETE", path_of(task_id), again=False))

    @override
    async def estimate(
        self, basis: Basis, *, rule: str = DEFAULT_RULE, widths: Sequence[int] = WIDTHS
    ) -> Estimate:
        raise InvalidRequest(
            "an estimate rests on runs in a database of this process; a service elsewhere gives none: run "
            "`anabranch estimate --database …` where its database is"
        )

    async def workers(self) -> WorkersBody:
        """The engine of the process that answers."""
        return await self._asked(WorkersBody.model_validate, Request("GET", "/v1/workers", again=True))

    # -- of this process --------------------------------------------------------------------------

    @override
    def add_planner(self, planner: Planner) -> None:
        raise InvalidRequest(
            f"planner {planner.name!r} is an object of this program, and the service at "
            f"{self._transport.address} cannot run it; install it there, and give its name"
        )

    @override
    async def leave(self, callers: Collection[asyncio.Task[object]]) -> None:
        for caller in callers:
            caller.cancel()
        if callers:
            await asyncio.wait(callers, timeout=LEAVING_SECONDS)

    # -- tasks of callers -------------------------------------------------------------------------

    async def _submitted(self, request: TaskRequest) -> tuple[Task, bool]:
        """The task that the request has made, or found; and whether it is the caller's own."""
        return await self._entrusted(_submission(request), own=request.idempotency_key is None)

    async def _entrusted(self, asking: Request, *, own: bool) -> tuple[Task, bool]:
        """A task that was made; if the caller is cancelled meanwhile, the task is too."""
        sending = asyncio.create_task(self._sent(asking))
        try:
            task, new = await asyncio.shield(sending)
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(LEAVING_SECONDS):
                    task, new = await sending
            except (AnabranchError, TimeoutError) as error:
                log.warning("a question may have been asked in vain", error=str(error))
            else:
                await self._abandon(task.id, own=own or new, tenant=task.tenant)
            raise
        return task, own or new

    async def _sent(self, asking: Request) -> tuple[Task, bool]:
        """The task that a request has made, and whether it is a new one."""
        async with self._understood():
            reply = await self._transport.ask(asking)
            return read(task_of, reply.body), reply.headers.get("Idempotency-Replayed") != "true"

    async def _awaited(self, task: Task, *, own: bool) -> Solution:
        async with self._understood(), self._kept(task.id, own=own, tenant=task.tenant):
            return self._solution(await ended(self._transport, task))

    async def _items(
        self, task_id: str, *, own: bool, after: int = -1, tenant: str | None = None
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        async with (
            self._understood(),
            self._kept(task_id, own=own, tenant=tenant),
            aclosing(followed(self._transport, task_id, after=after, tenant=tenant)) as items,
        ):
            async for item in items:
                yield self._solution(item) if isinstance(item, Task) else item

    @asynccontextmanager
    async def _kept(self, task_id: str, *, own: bool, tenant: str | None) -> AsyncIterator[None]:
        """Cancel a task whose caller leaves; say which one it is if it can be followed no more."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            await self._abandon(task_id, own=own, tenant=tenant)
            raise
        except AnabranchError as error:
            if error.retryable or isinstance(error, Unauthorized | Forbidden | ServiceError):
                error.args = (f"{error} (task {task_id} goes on there)",)
            raise

    async def _abandon(self, task_id: str, *, own: bool, tenant: str | None) -> None:
        if not own:
            return
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                path, headers = path_of(task_id, "cancel"), speaking_for(tenant)
                await self._transport.ask(Request("POST", path, again=True, headers=headers))
        except (AnabranchError, TimeoutError) as error:
            log.warning(
                "a task could not be cancelled", task=task_id, error=str(error) or "no answer in time"
            )

    @staticmethod
    def _solution(task: Task) -> Solution:
        with translated():
            return solution_of_task(task)

    # -- what a service says ----------------------------------------------------------------------

    async def _asked(self, make: Callable[[Any], T], asking: Request) -> T:
        async with self._understood():
            return read(make, (await self._transport.ask(asking)).body)

    @asynccontextmanager
    async def _understood(self) -> AsyncIterator[None]:
        """Say of what cannot be understood which versions there are here and there.

        Raises:
            ServiceError: the block met something else than what services of this version say.
        """
        try:
            yield
        except Strange as error:
            raise ServiceError(
                f"the service at {self._transport.address} ({await self._version()}) answers what this one, "
                f"version {VERSION}, does not understand: {str(error)[:500]}"
            ) from error

    async def _version(self) -> str:
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                reply = await self._transport.ask(Request("GET", "/healthz", again=False))
            return f"version {read(HealthBody.model_validate, reply.body).version}"
        except (AnabranchError, TimeoutError, Strange):
            return "which does not tell its version"


def _submission(request: TaskRequest) -> Request:
    try:
        body = request.model_dump(mode="json", exclude_unset=True)
    except ValueError as error:
        raise InvalidRequest(f"the request cannot be sent as JSON: {error}") from None
    body["idempotency_key"] = request.idempotency_key or _new_key()
    if request.webhook is not None:
        body["webhook"]["secret"] = request.webhook.secret.get_secret_value()
    return Request("POST", "/v1/tasks", again=True, json=body)


def _changing(at: str, change: Change) -> dict[str, Any]:
    return {"at": at, "change": change.model_dump(mode="json", exclude_unset=True)}


def _new_key() -> str:
    return f"client-{secrets.token_hex(16)}"
