"""The lifecycle of tasks: submit, run, follow, cancel, resume, replay."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Self
from weakref import WeakValueDictionary

import structlog

from orchestrator.errors import (
    AnabranchError,
    Conflict,
    Failure,
    HandedBack,
    InvalidRequest,
    TaskFailed,
    translated,
)
from orchestrator.planning.planner import Planner, find_planner
from orchestrator.runtime.change import Change, parse_change
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Spent
from orchestrator.settings import Settings
from orchestrator.tasks.evidence import Calibrations
from orchestrator.tasks.feed import Feed, Progress
from orchestrator.tasks.hindsight import (
    Counterfactual,
    Replayed,
    TraceDifference,
    check_change,
    counterfactual,
    difference,
    replay,
)
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.runner import Setup, execute, first_setup, prepare, recorded_setup
from orchestrator.tasks.solution import Calibrated, Solution, Timings, solution_of
from storage.errors import IllegalTransition, JournalDamaged, StorageError
from storage.events import Event
from storage.reading import read_journal
from storage.store import Store
from storage.tasks import Claim, NewTask, Task, TaskStatus
from workers.engine import Engine
from workers.errors import WorkerError
from workers.pool.observed import observed
from workers.tools.registry import Toolbox

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""How often the journal of a task that runs in another process is read again."""

IDLE_SECONDS = 1.0
"""How often the queue is looked at for tasks that other processes have submitted or left behind."""

LONGEST_START_DELAY = 30.0
"""Seconds at most between two attempts to start an engine."""

STATUS = {
    RunOutcome.ANSWERED: TaskStatus.SUCCEEDED,
    RunOutcome.LIMITED: TaskStatus.SUCCEEDED,
    RunOutcome.FAILED: TaskStatus.FAILED,
    RunOutcome.CANCELLED: TaskStatus.CANCELLED,
}


class Service:
    """Runs tasks on an engine and keeps them in a store; both stay the caller's to close.

    Many services, in one process or many, may share a store: a task is run by whoever holds its lease.
    ``planners`` are known by name in addition to those that packages install.
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
    ) -> None:
        self.store = store
        self.engine = observed(engine)
        self.toolbox = toolbox or Toolbox()
        self.planners = dict(planners or {})
        self.settings = settings or Settings.model_construct()
        self.calibrations = calibrations or Calibrations()
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._feeds: dict[str, Feed] = {}
        self._leaving = False
        self._ended: Counter[TaskStatus] = Counter()
        self._awake = asyncio.Event()
        self._turns: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    # -- requests ---------------------------------------------------------------------------------

    def find_planner(self, name: str) -> Planner:
        """The planner of that name.

        Raises:
            UnknownPlanner: there is none.
        """
        return self.planners.get(name) or find_planner(name)

    def check(self, request: TaskRequest) -> NewTask:
        """The request as a task to be stored.

        Raises:
            InvalidRequest: the query is too long, or the planner or one of its options is unknown or wrong.
        """
        longest = self.settings.max_query_chars
        length = len(request.query) + len(request.context)
        if length > longest:
            raise InvalidRequest(
                f"query and context have {length} characters; at most {longest} are accepted"
            )
        options = self.find_planner(request.planner).validate(request.options)
        stored = request.model_dump(
            mode="json", exclude={"query", "context", "choices", "planner", "seed", "tenant"}
        )
        return NewTask(
            question={"query": request.query, "context": request.context, "choices": list(request.choices)},
            planner=request.planner,
            options={**stored, "options": options},
            seed=request.seed,
            tenant=request.tenant,
            idempotency_key=request.idempotency_key,
        )

    async def submit(self, request: TaskRequest) -> Task:
        """Accept a task; it is durable when this returns, and runs as soon as a service has room.

        Raises:
            InvalidRequest: as :meth:`check`.
            Unavailable: the database does not take it.
        """
        with translated():
            task = await self.store.submit(self.check(request))
        self._awake.set()
        return task

    async def solve(self, request: TaskRequest) -> Solution:
        """Accept a task and run it here and now.

        With an idempotency key that was used before, this is the first task: its solution, when it has ended.

        Raises:
            InvalidRequest: as :meth:`check`.
            TaskFailed: it ended without an answer.
            Unavailable: the database does not take it.
        """
        return await self._run_here(self.check(request))

    async def _run_here(self, new: NewTask) -> Solution:
        with translated():
            claim = await self._claimed(new)
            if isinstance(claim, Task):
                return await self.solution(claim.id)
            try:
                await self.run(claim)
            except asyncio.CancelledError:
                await self._give_up(claim)
                raise
        return await self.solution(claim.task.id)

    async def _claimed(self, new: NewTask) -> Claim | Task:
        """The task as this process may run it; or the first with its idempotency key, once that has ended."""
        while True:
            try:
                return await self._started(new)
            except IllegalTransition:  # there was one before, which has ended or is being run
                if (first := await self.store.submit(new)).status.terminal:
                    return first
            await asyncio.sleep(POLL_SECONDS)

    async def _started(self, new: NewTask) -> Claim:
        """The task, stored and claimed; a caller who leaves meanwhile leaves none behind to be run."""
        starting = asyncio.create_task(self.store.start(new, self.owner, self.settings.lease_seconds))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(StorageError):
                await self._give_up(await starting)
            raise

    async def _give_up(self, claim: Claim) -> None:
        """End a task whose caller has left, unless it has ended by itself or was taken over."""
        with suppress(StorageError):
            await self.store.finish(claim, TaskStatus.CANCELLED, outcome=RunOutcome.CANCELLED.value)
        self._turn(claim.task.id)

    async def stream(self, request: TaskRequest) -> AsyncGenerator[Event | Progress | Solution, None]:
        """Accept a task, run it here, and give its events as they happen and last its solution.

        Leaving early cancels the task. With an idempotency key that was used before, this is the first task,
        told once it has ended. Raises as :meth:`solve`.
        """
        with translated():
            claim = await self._claimed(self.check(request))
        told = self.follow(claim) if isinstance(claim, Claim) else self._told(claim.id)
        async with aclosing(told) as items:
            async for item in items:
                yield item

    async def _told(self, task_id: str) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a task that another call runs or has run, and last its solution."""
        async for event in self.events(task_id):
            yield event
        yield await self.solution(task_id)

    async def start(self, request: TaskRequest) -> Claim:
        """Accept a task that this process will run; :meth:`follow` runs it.

        Raises:
            InvalidRequest: as :meth:`check`.
            Unavailable: the database does not take it.
        """
        with translated():
            return await self._started(self.check(request))

    async def follow(self, claim: Claim) -> AsyncGenerator[Event | Progress | Solution, None]:
        """Run a claimed task, and give its events as they happen and last its solution, as :meth:`stream`."""
        with translated():
            feed = self._take(claim)
            running = asyncio.create_task(self._run(feed), name=f"task {claim.task.id}")
            try:
                async with aclosing(feed.listen(self.store, claim.task.id, -1)) as events:
                    async for item in events:
                        yield item
                await running
                yield await self.solution(claim.task.id)
            finally:
                feed.hold.cancel()
                with suppress(HandedBack, StorageError):  # who has not left has met it above
                    await running

    async def task(self, task_id: str) -> Task:
        """The task as it stands.

        Raises:
            TaskNotFound: there is none with that id.
        """
        with translated():
            return await self.store.get(task_id)

    async def solution(self, task_id: str) -> Solution:
        """The solution of a task that has ended.

        Raises:
            TaskFailed: it has none.
            Conflict: it has not ended.
        """
        task = await self.task(task_id)
        if not task.status.terminal:
            raise Conflict(f"task {task_id} is {task.status}; it has no solution yet")
        if task.solution is None:
            error = task.error or {"code": task.status.value, "message": f"the task was {task.status}"}
            raise TaskFailed(str(error["message"]), code=str(error["code"]), task_id=task_id)
        return Solution.model_validate(task.solution)

    async def events(self, task_id: str, *, after: int = -1) -> AsyncGenerator[Event | Progress, None]:
        """The events of a task from ``after`` on, as they happen, until its last one.

        Raises:
            TaskNotFound: there is none with that id.
        """
        with translated():
            while True:
                if (feed := self._feeds.get(task_id)) is not None:
                    async with aclosing(feed.listen(self.store, task_id, after)) as live:
                        async for item in live:
                            after = item.seq if isinstance(item, Event) else after
                            yield item
                # It has ended, waits in the queue, or runs in another process, maybe after it has run here.
                turn = self._turns.setdefault(task_id, asyncio.Event())
                ended = (await self.store.get(task_id)).status.terminal
                async for event in self.store.read(task_id, after=after):
                    after = event.seq
                    yield event
                if ended:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(turn.wait(), POLL_SECONDS)

    async def cancel(self, task_id: str) -> Task:
        """Stop a task. A queued one ends at once, a running one as soon as its process has heard of it.

        Raises:
            TaskNotFound: there is none with that id.
        """
        with translated():
            task = await self.store.request_cancel(task_id)
        if feed := self._feeds.get(task_id):
            feed.hold.cancel()
        self._turn(task_id)
        return task

    async def requeue(self, task_id: str) -> Task:
        """Put a dead task back into the queue; it goes on from its journal, with all its attempts before it.

        Raises:
            Unavailable: it is not dead (``illegal_transition``), or the database cannot be used.
            TaskNotFound: there is none with that id.
        """
        with translated():
            task = await self.store.requeue(task_id)
        self._awake.set()
        return task

    def hand_back(self) -> None:
        """Put the tasks that run here, now and later, back into the queue: this process is about to end.

        Their calls are aborted; whoever waits for one of them gets HandedBack.
        """
        self._leaving = True
        for feed in self._feeds.values():
            feed.hold.hand_back()

    async def replay(self, task_id: str) -> Replayed:
        """Repeat a run over its journal, with no engine, and compare every event.

        Raises:
            Divergence: the run did something else than was recorded.
            Conflict: the task has no whole run.
            UnknownPlanner, UnsupportedTrace: the run cannot be repeated by this version of the program.
            TaskNotFound: there is none with that id.
        """
        return await replay(task_id, await self._journal(task_id), self.find_planner)

    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        """Run a task again with ``change`` at node ``at``; all that does not depend on it is reused.

        The fork is a task of its own, with its own trace.

        Raises:
            InvalidRequest: there is no such node, or it cannot be changed so.
            TaskNotFound: there is no task with that id.
            TaskFailed, Unavailable: as :meth:`solve`.
        """
        parent = await self.task(task_id)
        check_change(await self._journal(task_id), at, change)
        new = NewTask(
            question=parent.question,
            planner=parent.planner,
            options={"change": change.model_dump(mode="json", exclude_unset=True)},
            seed=parent.seed,
            tenant=parent.tenant,
            parent_id=parent.id,
            fork_at=at,
        )
        return await self._run_here(new)

    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        """How the run would have gone with ``change`` at node ``at``, from its trace alone.

        Raises:
            Unknown: that would need tokens which were never generated.
            InvalidRequest: there is no such node, or it cannot be changed so.
            Conflict: the task has no whole run.
            TaskNotFound: there is none with that id.
        """
        events = await self._journal(task_id)
        return await counterfactual(task_id, events, self.find_planner, at=at, change=change)

    async def difference(self, before: str, after: str) -> TraceDifference:
        """How the runs of two tasks differ, as of a fork and its parent.

        Raises:
            TaskNotFound: there is no task with one of the ids.
        """
        return difference(await self._journal(before), await self._journal(after))

    async def _journal(self, task_id: str) -> list[Event]:
        with translated():
            return await read_journal(self.store, task_id)

    # -- what is going on -------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """Tasks that this process runs now."""
        return len(self._feeds)

    @property
    def ended(self) -> Mapping[TaskStatus, int]:
        """Tasks that this process has run to their end, by what became of them."""
        return self._ended

    # -- running ----------------------------------------------------------------------------------

    async def run(self, claim: Claim) -> None:
        """Run a claimed task to its end, from where its journal ends.

        Raises:
            LeaseLost: another process has taken it over.
            HandedBack: :meth:`hand_back` was called.
            StorageError: the journal cannot be written.
        """
        await self._run(self._take(claim))

    def _take(self, claim: Claim) -> Feed:
        feed = self._feeds[claim.task.id] = Feed(Hold(self.store, claim))
        self._turn(claim.task.id)
        if self._leaving:
            feed.hold.hand_back()
        return feed

    async def _run(self, feed: Feed) -> None:
        claim = feed.hold.claim
        try:
            with structlog.contextvars.bound_contextvars(task=claim.task.id):
                await self._run_to_its_end(feed)
        except HandedBack:
            with suppress(StorageError):  # then it is free when its lease lapses
                await self.store.release(claim)
            raise
        finally:
            if self._feeds.get(claim.task.id) is feed:  # it may have been claimed anew, by this process too
                del self._feeds[claim.task.id]
            feed.end()
            self._turn(claim.task.id)

    async def _run_to_its_end(self, feed: Feed) -> None:
        task = feed.hold.claim.task
        started, clock = time.time(), time.monotonic()
        async with feed.hold.kept():
            result, sureness = await self._result(feed)
        timings = Timings(queued=max(0.0, started - task.created_at), run=time.monotonic() - clock)
        solution = solution_of(
            result, planner=task.planner, trace_id=task.id, timings=timings, sureness=sureness
        )
        failure = result.failure
        await self.store.finish(
            feed.hold.claim,
            STATUS[result.outcome],
            outcome=result.outcome.value,
            solution=None if solution is None else solution.model_dump(mode="json"),
            error=None if failure is None else {"code": failure.code, "message": failure.message},
        )
        self._ended[STATUS[result.outcome]] += 1
        log.info("task ended", outcome=result.outcome.value, seconds=round(timings.run, 3))

    async def _result(self, feed: Feed) -> tuple[Result, Calibrated | str]:
        """What became of the run, and how sure its answer is or why that is not known."""
        try:
            return await self._execute(feed)
        except (WorkerError, AnabranchError, JournalDamaged) as error:
            failure = Failure(error.code, str(error), retryable=error.retryable)
        except StorageError:
            raise
        except Exception as error:  # a mistake of ours must not take the other tasks of the process down
            log.exception("the run broke", action="run_broke")
            failure = Failure("internal", f"{type(error).__name__}: {error}")
        return Result(RunOutcome.FAILED, None, Spent(), failure), "the run failed"

    async def _execute(self, feed: Feed) -> tuple[Result, Calibrated | str]:
        hold, claim, task = feed.hold, feed.hold.claim, feed.hold.claim.task
        events = await read_journal(self.store, task.id) if claim.fence > 1 else []
        next_seq = events[-1].seq + 1 if events else 0
        origin = await self._journal(task.parent_id) if task.parent_id else []
        setup = await self._setup(hold, events, origin)
        if setup is None:
            return Result(RunOutcome.CANCELLED, None, Spent()), "the run was cancelled"
        feed.open(self.store.writer(task.id, claim.fence, next_seq=next_seq))
        memo = Memo(origin) if task.parent_id else None
        setup = replace(setup, environment=replace(setup.environment, redact=self.store.redact))
        executor = prepare(
            setup,
            feed,
            record=Record(events),
            next_seq=next_seq,
            since=(task.started_at or 0.0) if events else 0.0,  # a task that was put back has its time again
            memo=memo,
            on_progress=feed.progress,
        )
        with hold.cancelling(lambda: executor.interrupt("cancelled")):
            result = await execute(executor, setup)
        return result, self.calibrations.apply(setup, result)

    async def _setup(self, hold: Hold, events: list[Event], origin: list[Event]) -> Setup | None:
        """What decides the run: the request, or what a journal says, its own or that of a fork's parent.

        None if the task is cancelled before the engine that a request asks for has started.
        """
        task = hold.claim.task
        planner = self.find_planner(task.planner)
        seconds = self.settings.call_seconds
        capabilities = await hold.unless_cancelled(self.engine.capabilities())
        if not events and not origin:
            if capabilities is None:
                return None
            return first_setup(
                request_of(task),
                planner,
                task.id,
                engine=self.engine,
                capabilities=capabilities,
                toolbox=self.toolbox,
                call_seconds=seconds,
            )
        changes = {}
        if not events and task.fork_at is not None:
            changes[task.fork_at] = parse_change(task.options["change"])
        setup = recorded_setup(
            (events or origin)[0].data,
            planner,
            task.id,
            engine=self.engine,
            toolbox=self.toolbox,
            call_seconds=seconds,
            changes=changes,
        )
        if events:
            return setup
        # A fork's calls are its own tenant's; the parent may have been imported from another one.
        return replace(setup, environment=replace(setup.environment, tenant=task.tenant))

    def _turn(self, task_id: str) -> None:
        """Let those look again who wait for a task to begin or to end."""
        if turn := self._turns.pop(task_id, None):
            turn.set()

    # -- the queue --------------------------------------------------------------------------------

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Self]:
        """Take tasks from the queue while the context is open; then drain.

        A drain takes no more tasks, lets those that run go on for the grace time, and hands the rest back.
        """
        stop = asyncio.Event()
        work = asyncio.create_task(self._work(stop), name="queue")
        try:
            yield self
        finally:
            stop.set()
            self._awake.set()
            await work

    async def _start_engine(self, stop: asyncio.Event) -> None:
        """Return when the engine has started, or at ``stop``; before, any task that is taken would fail."""

        async def start() -> None:
            for attempt in itertools.count():
                try:
                    await self.engine.capabilities()
                except WorkerError as error:
                    log.warning("the engine is not there yet", code=error.code, error=str(error))
                else:
                    return
                await asyncio.sleep(min(LONGEST_START_DELAY, 2.0**attempt))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(start()), group.create_task(stop.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _work(self, stop: asyncio.Event) -> None:
        await self._start_engine(stop)
        running: set[asyncio.Task[None]] = set()
        idle = min(IDLE_SECONDS, self.settings.lease_seconds / 4)  # a lapsed lease is found soon

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self._awake.set()

        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                self._awake.clear()
                claim = await self._claim() if len(running) < self.settings.concurrency else None
                if claim is None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._awake.wait(), idle)
                    continue
                task = group.create_task(self._work_on(claim), name=f"task {claim.task.id}")
                running.add(task)
                task.add_done_callback(ended)
            if running:
                log.info("draining", tasks=len(running), grace_seconds=self.settings.grace_seconds)
                await asyncio.wait(running, timeout=self.settings.grace_seconds)
            for task in running:
                task.cancel()

    async def _claim(self) -> Claim | None:
        try:
            return await self.store.claim(
                self.owner, self.settings.lease_seconds, max_attempts=self.settings.max_attempts
            )
        except StorageError as error:
            log.warning("the queue cannot be read", error=str(error))
            return None

    async def _work_on(self, claim: Claim) -> None:
        try:
            await self.run(claim)
        except asyncio.CancelledError:
            with suppress(StorageError):  # then it is free when its lease lapses
                await self.store.release(claim)
            raise
        except HandedBack:
            log.info("handed back", task=claim.task.id)
        except StorageError as error:
            # Its lease lapses, and whoever takes it over goes on from what was stored.
            log.warning("a task is left to be taken over", task=claim.task.id, error=str(error))


def request_of(task: Task) -> TaskRequest:
    """The request that a stored task was made of.

    Raises:
        InvalidRequest: this version of the program would not accept it, or redaction left nothing of it.
    """
    return parse(
        {
            **task.question,
            **task.options,
            "planner": task.planner,
            "seed": task.seed,
            "tenant": task.tenant,
        }
    )
