"""Tasks as the three front doors use them: submit, solve, follow, cancel, resume, replay, fork."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Self

from orchestrator.access.caller import Caller
from orchestrator.access.gate import Access
from orchestrator.errors import HandedBack, translated
from orchestrator.planning.finding import Planners
from orchestrator.planning.planner import Planner
from orchestrator.settings import Settings
from orchestrator.tasks.acceptance import Acceptance
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.containment import sheltered
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.following import followed
from orchestrator.tasks.health import Health
from orchestrator.tasks.hearing import Hearing
from orchestrator.tasks.lookback import Lookback, solution_of
from orchestrator.tasks.lookup import Lookup
from orchestrator.tasks.queue import Queue
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.runs import Cursor, Runs
from orchestrator.tasks.solution import Solution
from orchestrator.tasks.speech import Speech
from orchestrator.tasks.turns import Turns
from orchestrator.tracing.live import Tracing
from orchestrator.webhooks.registry import Registry
from storage.errors import StorageError
from storage.events import Event
from storage.store import Store
from storage.tasks import Claim, NewTask, Pruned, Task, TaskStatus
from workers.engine import Engine
from workers.pool.observed import observed
from workers.tools.toolbox import Toolbox


class Service(Lookback):
    """Runs tasks on an engine and keeps them in a store; the caller closes both.

    Any number of services, in one process or several, may share a store: a task is run by whoever holds its
    lease. ``planners`` are available by name in addition to those that packages install.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        toolbox: Toolbox | None = None,
        planners: Mapping[str, Planner] | None = None,
        settings: Settings | None = None,
        calibrations: Calibrations | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        made = settings or Settings.model_construct()
        self._planners = Planners(planners or {})
        super().__init__(store, self._planners.find, stuck_seconds=made.stuck_seconds)
        self.engine = observed(engine)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.settings = made
        self._turns = Turns()
        self.access = Access(store, made)
        known = calibrations or Calibrations()
        self.turned_away: Counter[str] = Counter()  # tasks that were refused or expired, by code
        self.webhooks = Registry(store, made)
        self._acceptance = Acceptance(
            store,
            self.access,
            self.owner,
            self._turns,
            self._planners.find,
            made,
            known,
            self.turned_away,
            self.webhooks,
            tracing,
        )
        self._runner = Runner(
            store,
            self.access,
            self.engine,
            self._turns,
            self._planners.find,
            toolbox=toolbox or Toolbox(),
            settings=made,
            calibrations=known,
            tracing=tracing,
        )
        self.meters = self._runner.meters
        self._hearing = Hearing(store, self._runner, self._turns)
        self._lookup = Lookup(store)
        self._queue = Queue(
            store,
            self.access,
            self.engine,
            self.owner,
            self._runner,
            self._turns,
            made,
            self.turned_away,
        )
        self.health = Health(store, self.engine, self._runner, self._queue, made)

    # -- requests ---------------------------------------------------------------------------------

    def find_planner(self, name: str) -> Planner:
        """The planner with that name.

        Raises:
            UnknownPlanner: there is none.
        """
        return self._planners.find(name)

    def add_planner(self, planner: Planner) -> None:
        """Know a planner by its name from now on."""
        self._planners.given[planner.name] = planner

    def offer(self, toolbox: Toolbox) -> None:
        """Give these tools to the runs that begin from now on."""
        self._runner.toolbox = toolbox

    def check(self, request: TaskRequest) -> NewTask:
        """The request as a task that can be stored.

        Raises:
            InvalidRequest: the query is too long, or the planner or one of its options is unknown or wrong.
        """
        return self._acceptance.check(request)

    async def submit(
        self, request: TaskRequest, caller: Caller | None = None, *, trace_parent: str | None = None
    ) -> Task:
        """Accept a task; it is durable when this returns, and runs as soon as a service has room.

        ``trace_parent`` is the span of whoever asks, unless this process is within one itself.

        Raises:
            InvalidRequest: as for :meth:`check`.
            TooManyTasks, QuotaExhausted: the key of the caller, or the tenant, has no room for it.
            Unavailable: the database cannot store it, there is no room for it in the queue or no time until
                its deadline, or this process can work on nothing more.
        """
        return await self.accept(self._acceptance.check(request, trace_parent), caller)

    async def accept(self, new: NewTask, caller: Caller | None = None) -> Task:
        """Accept a task that was checked. Raises like :meth:`submit`."""
        self.health.require()
        with translated():
            task = await self._acceptance.submitted(new, caller)
        self._turns.turn(task.id)
        self._queue.wake()
        return task

    async def solve(self, request: TaskRequest) -> Solution:
        """Accept a task and run it here and now.

        With an idempotency key that was used before, gives the solution of the first task once it has ended.

        Raises:
            InvalidRequest: as for :meth:`check`.
            TaskFailed: the task ended without an answer.
            Unavailable: the database cannot store it.
        """
        task, _ = await self.run_new(self.check(request))
        return solution_of(task)

    async def run_new(
        self, new: NewTask, *, keep: bool = False, caller: Caller | None = None
    ) -> tuple[Task, bool]:
        """Run a new task here and now; returns the ended task, and whether it is the new one.

        With an idempotency key that was used before, it is the first task, which is waited for. If the caller
        is cancelled, so is the task; with ``keep`` it goes back to the queue instead.

        Raises:
            HandedBack: :meth:`hand_back` was called.
            Unavailable: the database cannot be used.
        """
        with translated():
            claim = await self._acceptance.claimed(new, keep=keep, caller=caller)
            if isinstance(claim, Task):
                return claim, False
            try:
                await self.run(claim)
            except asyncio.CancelledError:
                await self._acceptance.leave(claim, keep=keep)
                raise
            return await self.store.get(claim.task.id), True

    async def stream(self, request: TaskRequest) -> AsyncGenerator[Event | Progress | Solution, None]:
        """Accept a task and run it here; yields its events as they happen, and finally its solution.

        Leaving early cancels the task. With an idempotency key that was used before, these are the events and
        the solution of the first task. Raises the same errors as :meth:`solve`.
        """
        with translated():
            claim = await self._acceptance.claimed(self.check(request))
        told = self.follow(claim) if isinstance(claim, Claim) else self._told(claim.id)
        async with aclosing(told) as items:
            async for item in items:
                yield item

    async def _told(self, task_id: str) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a task that another call runs or has run, and finally its solution."""
        async for event in self.events(task_id):
            yield event
        yield await self.solution(task_id)

    async def start(self, request: TaskRequest, caller: Caller | None = None) -> Claim:
        """Accept a task that this process will run; :meth:`follow` runs it.

        Raises:
            InvalidRequest: as for :meth:`check`.
            Unavailable: the database cannot store it.
        """
        with translated():
            return await self._acceptance.started(self.check(request), caller=caller)

    async def follow(self, claim: Claim) -> AsyncGenerator[Event | Progress | Solution, None]:
        """Run a claimed task; yields its events and finally its solution, like :meth:`stream`."""
        with translated():
            feed = self._runner.take(claim)
            running = asyncio.create_task(sheltered(self._runner.run(feed)), name=f"task {claim.task.id}")
            try:
                async with aclosing(feed.listen(self.store, claim.task.id, -1)) as events:
                    async for item in events:
                        yield item
                await running
                yield await self.solution(claim.task.id)
            finally:
                feed.hold.cancel()
                with suppress(HandedBack, StorageError):  # a caller who is still here has seen it above
                    await running

    async def task(self, task_id: str) -> Task:
        """The task as it stands.

        Raises:
            TaskNotFound: there is no task with that id.
        """
        with translated():
            return await self.store.get(task_id)

    def runs(
        self,
        *,
        tenant: str | None,
        only: frozenset[str] | None = None,
        since: Cursor | None = None,
        events: bool = True,
    ) -> Runs:
        """What happens to all tasks of a tenant, or of all; see :class:`~orchestrator.tasks.runs.Runs`."""
        return Runs(
            self.store,
            self._runner,
            self._turns,
            self._hearing,
            self._lookup,
            tenant=tenant,
            only=only,
            since=since,
            events=events,
        )

    def told(self, task_id: str) -> None:
        """Tell who follows tasks here that something else than this service has changed one."""
        self._turns.turn(task_id)

    async def solution(self, task_id: str) -> Solution:
        """The solution of a task that has ended.

        Raises:
            TaskFailed: it ended without one.
            Conflict: it has not ended.
        """
        return solution_of(await self.task(task_id))

    async def events(
        self, task_id: str, *, after: int = -1, stored: bool = False
    ) -> AsyncGenerator[Event | Progress, None]:
        """The events of a task after number ``after``, as they happen; with ``stored`` as the store has them.

        Raises:
            TaskNotFound: there is no task with that id.
        """
        with translated():
            stream = followed(
                self.store, self._runner, self._turns, self._hearing, self._lookup, task_id, after, stored
            )
            async with aclosing(stream) as items:
                async for item in items:
                    yield item

    def speech_of(self, task_id: str) -> Speech | None:
        """What the answer of a task says while it is said, if the task runs here."""
        feed = self._runner.feed_of(task_id)
        return None if feed is None else feed.speech

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task. A queued one ends at once, a running one as soon as its process learns of the
        request.

        Raises:
            TaskNotFound: there is no task with that id.
        """
        with translated():
            task = await self.store.request_cancel(task_id)
            if task.status is TaskStatus.CANCELLED:
                await self.access.ended(task)
        self._runner.cancel(task_id)
        self._turns.turn(task_id)
        return task

    async def requeue(self, task_id: str, caller: Caller | None = None) -> Task:
        """Put a dead task back into the queue; it continues from its journal, with all its attempts restored.

        Raises:
            TooManyTasks, QuotaExhausted: its key, or its tenant, has no room for it.
            Unavailable: it is not dead (``illegal_transition``), or the database cannot be used.
            TaskNotFound: there is no task with that id.
        """
        with translated():
            task = await self.store.get(task_id)
            key = await self.access.put_back(task, caller) if task.status is TaskStatus.DEAD else None
            task = await self.store.requeue(task_id, submitted_by=key)
        self._turns.turn(task_id)
        self._queue.wake()
        return task

    async def delete(self, task_id: str) -> Pruned:
        """Remove a task that has ended, with its journal and the texts that no other task uses.

        Raises:
            Unavailable: it has not ended, or an open task is a fork of it (``illegal_transition``), or the
                database cannot be used.
            TaskNotFound: there is no task with that id.
        """
        with translated():
            if (task := await self.store.get(task_id)).status.terminal:
                await self.access.removed(task)
            gone = await self.store.delete(task_id)
        self._turns.turn(task_id)
        return gone

    def cancel_all(self) -> None:
        """Cancel the tasks that run here: whoever asked for them is about to leave."""
        self._runner.cancel_all()

    def hand_back(self) -> None:
        """Put the tasks that run here, now or later, back into the queue: this process is about to end.

        Their calls are aborted; whoever waits for one of these tasks gets HandedBack.
        """
        self._runner.hand_back()

    # -- running ----------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """How many tasks this process is running."""
        return self._runner.running

    @property
    def ended(self) -> Mapping[TaskStatus, int]:
        """How many tasks this process has run to their end, by final status."""
        return self._runner.ended

    async def idle(self) -> None:
        """Return when this process runs no task."""
        await self._runner.idle()

    async def run(self, claim: Claim) -> None:
        """Run a claimed task to its end, starting where its journal stops.

        Raises:
            LeaseLost: another process has taken the task over.
            HandedBack: :meth:`hand_back` was called.
            StorageError: the journal cannot be written.
        """
        await self._runner.run(self._runner.take(claim))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Self]:
        """Take tasks from the queue while the context is open; then drain.

        A drain takes no more tasks, lets running ones go on for the grace period or until :meth:`hand_back`
        is called, and hands the rest back.
        """
        async with self.webhooks.working(), self._runner.attentive(), self._queue.working():
            yield self
