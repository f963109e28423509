"""Tasks as the three front doors use them: submit, solve, follow, cancel, resume, replay, fork."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Self, TypeVar

from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import HandedBack, Unavailable, translated
from orchestrator.planning.finding import Planners
from orchestrator.planning.planner import Planner
from orchestrator.runtime.change import Change
from orchestrator.settings import Settings
from orchestrator.tasks.acceptance import Acceptance
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.containment import sheltered
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate, estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.following import followed
from orchestrator.tasks.health import Health
from orchestrator.tasks.hindsight.asking import Hindsight
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.queue import Queue
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.solution import Solution, solution_of_task
from orchestrator.tasks.turns import Turns
from orchestrator.tracing.live import Tracing
from storage.errors import StorageError
from storage.events import Event
from storage.store import Store
from storage.tasks import Claim, NewTask, Task, TaskStatus
from storage.trace import Trace
from workers.engine import Engine
from workers.pool.observed import observed
from workers.tools.toolbox import Toolbox

RESTART_SECONDS = 5.0
"""When to ask again a process that has failed, and is probably being started again."""
T = TypeVar("T")


class Service:
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
        self.store = store
        self.engine = observed(engine)
        self._planners = Planners(planners or {})
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.settings = made = settings or Settings.model_construct()
        self._hindsight = Hindsight(store, self._planners.find, stuck_seconds=made.stuck_seconds)
        self._turns = Turns()
        known = calibrations or Calibrations()
        self._acceptance = Acceptance(
            store, self.owner, self._turns, self._planners.find, made, known, tracing
        )
        self._runner = Runner(
            store,
            self.engine,
            self._turns,
            self._planners.find,
            toolbox=toolbox or Toolbox(),
            settings=made,
            calibrations=known,
            tracing=tracing,
        )
        self.meters = self._runner.meters
        self._queue = Queue(store, self.engine, self.owner, self._runner, made)
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

    async def submit(self, request: TaskRequest, *, trace_parent: str | None = None) -> Task:
        """Accept a task; it is durable when this returns, and runs as soon as a service has room.

        ``trace_parent`` is the span of whoever asks, unless this process is within one itself.

        Raises:
            InvalidRequest: as for :meth:`check`.
            Unavailable: the database cannot store it, or this process can work on nothing more.
        """
        if (why := self.health.failed()) is not None:
            raise Unavailable(
                f"this process can take no more tasks: {why}",
                code=Unavailable.code,
                http_status=Unavailable.http_status,
                retryable=True,
                retry_after=RESTART_SECONDS,
            )
        with translated():
            task = await self.store.submit(self._acceptance.check(request, trace_parent))
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
        return _solution(task)

    async def run_new(self, new: NewTask, *, keep: bool = False) -> tuple[Task, bool]:
        """Run a new task here and now; returns the ended task, and whether it is the new one.

        With an idempotency key that was used before, it is the first task, which is waited for. If the caller
        is cancelled, so is the task; with ``keep`` it goes back to the queue instead.

        Raises:
            HandedBack: :meth:`hand_back` was called.
            Unavailable: the database cannot be used.
        """
        with translated():
            claim = await self._acceptance.claimed(new, keep=keep)
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

    async def start(self, request: TaskRequest) -> Claim:
        """Accept a task that this process will run; :meth:`follow` runs it.

        Raises:
            InvalidRequest: as for :meth:`check`.
            Unavailable: the database cannot store it.
        """
        with translated():
            return await self._acceptance.started(self.check(request))

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

    async def solution(self, task_id: str) -> Solution:
        """The solution of a task that has ended.

        Raises:
            TaskFailed: it ended without one.
            Conflict: it has not ended.
        """
        return _solution(await self.task(task_id))

    async def events(self, task_id: str, *, after: int = -1) -> AsyncGenerator[Event | Progress, None]:
        """The events of a task after number ``after``, as they happen, up to its last one.

        Raises:
            TaskNotFound: there is no task with that id.
        """
        with translated():
            stream = followed(self.store, self._runner, self._turns, task_id, after)
            async with aclosing(stream) as items:
                async for item in items:
                    yield item

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task. A queued one ends at once, a running one as soon as its process learns of the
        request.

        Raises:
            TaskNotFound: there is no task with that id.
        """
        with translated():
            task = await self.store.request_cancel(task_id)
        self._runner.cancel(task_id)
        self._turns.turn(task_id)
        return task

    async def requeue(self, task_id: str) -> Task:
        """Put a dead task back into the queue; it continues from its journal, with all its attempts restored.

        Raises:
            Unavailable: it is not dead (``illegal_transition``), or the database cannot be used.
            TaskNotFound: there is no task with that id.
        """
        with translated():
            task = await self.store.requeue(task_id)
        self._queue.wake()
        return task

    def cancel_all(self) -> None:
        """Cancel the tasks that run here: whoever asked for them is about to leave."""
        self._runner.cancel_all()

    def hand_back(self) -> None:
        """Put the tasks that run here, now or later, back into the queue: this process is about to end.

        Their calls are aborted; whoever waits for one of these tasks gets HandedBack.
        """
        self._runner.hand_back()

    async def replay(self, task_id: str) -> Replayed:
        """Repeat a run over its journal, with no engine, and compare every event.

        Raises:
            Divergence: the run did something other than what was recorded.
            Conflict: the task has no complete run.
            UnknownPlanner, UnsupportedTrace: the run cannot be repeated by this version of the program.
            PlannerStuck: its planner went on and on without waiting for anything.
            TraceTooLarge: the journal is too large.
            TaskNotFound: there is no task with that id.
        """
        return await self._hindsight.replay(task_id)

    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        """Run a task again with ``change`` at node ``at``; what does not depend on the change is reused.

        The fork is a task of its own, with its own trace.

        Raises:
            InvalidRequest: there is no such node, or it cannot be changed that way.
            TaskNotFound: there is no task with that id.
            TaskFailed, Unavailable: as for :meth:`solve`.
        """
        parent = await self.task(task_id)
        await self._hindsight.check_change(task_id, at, change)
        new = NewTask(
            question=parent.question,
            planner=parent.planner,
            options={"change": change.model_dump(mode="json", exclude_unset=True)},
            seed=parent.seed,
            tenant=parent.tenant,
            parent_id=parent.id,
            fork_at=at,
        )
        task, _ = await self.run_new(new)
        return _solution(task)

    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        """How the run would have gone with ``change`` at node ``at``, from its trace alone.

        Raises:
            Unknown: that would need tokens that were never generated.
            InvalidRequest: there is no such node, or it cannot be changed that way.
            Conflict: the task has no complete run.
            PlannerStuck, TraceTooLarge, TaskNotFound: as for :meth:`replay`.
        """
        return await self._hindsight.counterfactual(task_id, at, change)

    async def difference(self, before: str, after: str) -> TraceDifference:
        """How the runs of two tasks differ, such as those of a fork and its parent.

        Raises:
            TaskNotFound: one of the tasks does not exist.
            TraceTooLarge: one of the journals is too large.
        """
        return await self._hindsight.difference(before, after)

    async def estimate(
        self, basis: Basis, *, rule: str = DEFAULT_RULE, widths: Sequence[int] = WIDTHS
    ) -> Estimate:
        """See :func:`~orchestrator.tasks.estimating.estimate`."""
        return await estimate(self.store, self._planners.find, basis, rule=rule, widths=widths)

    async def trace(self, task_id: str) -> Trace:
        """The stored steps of a task, as a tree.

        Raises:
            TaskNotFound: there is no task with that id.
            TraceTooLarge: the journal is too large.
        """
        return await self.shown_trace(task_id, lambda trace: trace)

    async def shown_trace(self, task_id: str, show: Callable[[Trace], T]) -> T:
        """What ``show`` makes of the trace of a task, beside the event loop. Raises like :meth:`trace`."""
        return await self._hindsight.trace(task_id, show)

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
        async with self._runner.attentive(), self._queue.working():
            yield self


def _solution(task: Task) -> Solution:
    with translated():
        return solution_of_task(task)
