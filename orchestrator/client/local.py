"""The service of this process as a solver, and a database as runs that are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Unpack

from typing_extensions import override

from orchestrator.bodies import task_body
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import AnabranchError, Unavailable, translated
from orchestrator.planning.finding import find_planner
from orchestrator.planning.planner import Planner
from orchestrator.runtime.change import Change
from orchestrator.solver import Begun, Runs, Solver, TaskFilter
from orchestrator.tasks.containment import sheltered
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.aside import Aside
from orchestrator.tasks.hindsight.counterfactual import Counterfactual, counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference, difference
from orchestrator.tasks.hindsight.replaying import Replayed, replay
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.archive import LIMITS, Limits, export, read_lines, restore
from storage.errors import ArchiveError, IllegalTransition, StorageError
from storage.events import Event
from storage.listing import Place
from storage.reading import read_journal
from storage.store import Store
from storage.tasks import Claim, Task
from storage.trace import Trace

PAGE = 500
"""How many tasks are held in memory at a time."""

LEAVING_SECONDS = 1.0
"""How long callers may take to learn what became of their calls when their solver is closed."""


class StoredRuns(Runs):
    """The runs in a database, which need no engine; of any size, unlike those that a service is asked for."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @override
    async def task(self, task_id: str) -> Task:
        with translated():
            return await self.store.get(task_id)

    @override
    async def tasks(
        self, *, limit: int | None = None, **wanted: Unpack[TaskFilter]
    ) -> AsyncGenerator[Task, None]:
        left, last = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            with translated():
                page = await self.store.list(limit=size, before=last, **wanted)
            for task in page:
                yield task
            if len(page) < size:
                return
            left, last = None if left is None else left - size, Place.of(page[-1])

    @override
    async def trace(self, task_id: str) -> Trace:
        with translated():
            return await Trace.read(self.store, task_id)

    @override
    async def replay(self, task_id: str) -> Replayed:
        with translated():  # in a thread, so that a planner that never ends is noticed
            return await Aside().run(
                lambda: read_journal(self.store, task_id),
                lambda events: replay(task_id, events, find_planner),
            )

    @override
    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        with translated():
            return await Aside().run(
                lambda: read_journal(self.store, task_id),
                lambda events: counterfactual(task_id, events, find_planner, at=at, change=change),
            )

    @override
    async def difference(self, before: str, after: str) -> TraceDifference:
        with translated():
            return difference(await read_journal(self.store, before), await read_journal(self.store, after))

    @override
    async def export(self, task_id: str) -> AsyncGenerator[str, None]:
        with translated():
            async for line in export(self.store, task_id):
                yield line

    @override
    async def import_(self, file: Path, *, tenant: str | None = None, limits: Limits = LIMITS) -> Task:
        with translated():
            try:
                lines = read_lines(file, limits)
                return await restore(self.store, lines, tenant=tenant, check=task_body, limits=limits)
            except ArchiveError as error:
                raise ArchiveError(f"{file}: {error}") from None

    @override
    async def requeue(self, task_id: str) -> Task:
        with translated():
            return await self.store.requeue(task_id)

    @override
    async def delete(self, task_id: str) -> None:
        with translated():
            await self.store.delete(task_id)


class LocalService(StoredRuns, Solver):
    """A service of this process; whoever opened it closes it.

    ``lent`` says that its engine is the caller's, who goes on using it: before the service is closed, what
    runs on it must be cancelled. An engine of our own ends its calls as it is closed.
    """

    def __init__(self, service: Service, *, lent: bool = False) -> None:
        super().__init__(service.store)
        self.service = service
        self._lent = lent
        self._submitted: set[asyncio.Task[None]] = set()

    @override
    async def solve(self, request: TaskRequest) -> Solution:
        return await self.service.solve(request)

    @override
    async def stream(self, request: TaskRequest) -> AsyncGenerator[Event | Progress | Solution, None]:
        async with aclosing(self.service.stream(request)) as items:
            async for item in items:
                yield item

    @override
    async def start(self, request: TaskRequest) -> Begun:
        claim = await self.service.start(request)
        return Begun(claim.task, self.service.follow(claim))

    @override
    async def submit(self, request: TaskRequest) -> Task:
        """The task runs here, until its end or that of this service."""
        try:
            claim = await self.service.start(request)
        except Unavailable as error:
            if error.code != IllegalTransition.code or request.idempotency_key is None:
                raise
            return await self.service.submit(request)  # the first one with this key: it has ended, or runs
        running = asyncio.create_task(sheltered(self._run(claim)), name=f"task {claim.task.id}")
        self._submitted.add(running)
        running.add_done_callback(self._submitted.discard)
        return claim.task

    @override
    async def result(self, task_id: str) -> Solution:
        async with aclosing(self.service.events(task_id)) as events:
            async for _ in events:
                pass
        return await self.service.solution(task_id)

    @override
    async def follow(
        self, task_id: str, *, after: int = -1
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        async with aclosing(self.service.events(task_id, after=after)) as events:
            async for event in events:
                yield event
        yield await self.service.solution(task_id)

    @override
    async def cancel(self, task_id: str) -> Task:
        return await self.service.cancel(task_id)

    @override
    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        return await self.service.fork(task_id, at=at, change=change)

    @override
    async def trace(self, task_id: str) -> Trace:
        return await self.service.trace(task_id)

    @override
    async def replay(self, task_id: str) -> Replayed:
        return await self.service.replay(task_id)

    @override
    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        return await self.service.counterfactual(task_id, at=at, change=change)

    @override
    async def difference(self, before: str, after: str) -> TraceDifference:
        return await self.service.difference(before, after)

    @override
    async def requeue(self, task_id: str) -> Task:
        return await self.service.requeue(task_id)

    @override
    async def delete(self, task_id: str) -> None:
        await self.service.delete(task_id)

    @override
    async def estimate(
        self, basis: Basis, *, rule: str = DEFAULT_RULE, widths: Sequence[int] = WIDTHS
    ) -> Estimate:
        return await self.service.estimate(basis, rule=rule, widths=widths)

    @override
    def add_planner(self, planner: Planner) -> None:
        self.service.add_planner(planner)

    @override
    async def leave(self, callers: Collection[asyncio.Task[object]]) -> None:
        if self._lent:
            self.service.cancel_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_SECONDS):
                    await self.service.idle()
            if callers:
                await asyncio.wait(callers, timeout=LEAVING_SECONDS)

    async def _run(self, claim: Claim) -> None:
        with suppress(AnabranchError, StorageError):  # whoever asks for the task learns of it
            await self.service.run(claim)
