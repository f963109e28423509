"""Runs the tasks that this process has claimed, each from where its journal stops to its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from orchestrator.errors import AnabranchError, Failure, HandedBack, translated
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.change import parse_change
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Spent
from orchestrator.settings import Settings
from orchestrator.tasks.evidence import Calibrations
from orchestrator.tasks.feed import Feed
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.requests import request_of
from orchestrator.tasks.setup import Setup, bounds_of, first_setup, recorded_setup
from orchestrator.tasks.solution import Calibrated, Timings, solution_of
from orchestrator.tasks.turns import Turns
from storage.errors import JournalDamaged, StorageError
from storage.events import Event
from storage.reading import read_journal
from storage.store import Store
from storage.tasks import Claim, TaskStatus
from workers.engine import Engine
from workers.errors import WorkerError
from workers.tools.toolbox import Toolbox

log = structlog.get_logger()

STATUS = {
    RunOutcome.ANSWERED: TaskStatus.SUCCEEDED,
    RunOutcome.LIMITED: TaskStatus.SUCCEEDED,
    RunOutcome.FAILED: TaskStatus.FAILED,
    RunOutcome.CANCELLED: TaskStatus.CANCELLED,
}


class Runner:
    """Runs claimed tasks on an engine, and keeps the feed of each while it runs here."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        turns: Turns,
        find_planner: FindPlanner,
        *,
        toolbox: Toolbox,
        settings: Settings,
        calibrations: Calibrations,
    ) -> None:
        self._store = store
        self._engine = engine
        self._turns = turns
        self._find_planner = find_planner
        self._toolbox = toolbox
        self._settings = settings
        self._calibrations = calibrations
        self._feeds: dict[str, Feed] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._leaving = False
        self._ended: Counter[TaskStatus] = Counter()

    @property
    def running(self) -> int:
        """How many tasks are running."""
        return len(self._feeds)

    @property
    def ended(self) -> Mapping[TaskStatus, int]:
        """How many tasks were run to their end, by final status."""
        return self._ended

    def feed_of(self, task_id: str) -> Feed | None:
        """The feed of a task that runs here; None for any other."""
        return self._feeds.get(task_id)

    async def idle(self) -> None:
        """Return when no task is running."""
        await self._idle.wait()

    def hand_back(self) -> None:
        """Put the tasks that run here, now or later, back into the queue."""
        self._leaving = True
        for feed in self._feeds.values():
            feed.hold.hand_back()

    def take(self, claim: Claim) -> Feed:
        """The feed of a claimed task, which can be listened to before :meth:`run` starts it."""
        feed = self._feeds[claim.task.id] = Feed(Hold(self._store, claim))
        self._idle.clear()
        self._turns.turn(claim.task.id)
        if self._leaving:
            feed.hold.hand_back()
        return feed

    async def run(self, feed: Feed) -> None:
        """Run the task of ``feed`` to its end, starting where its journal stops.

        Raises:
            LeaseLost: another process has taken the task over.
            HandedBack: :meth:`hand_back` was called.
            StorageError: the journal cannot be written.
        """
        claim = feed.hold.claim
        try:
            with structlog.contextvars.bound_contextvars(task=claim.task.id):
                await self._run_to_its_end(feed)
        except HandedBack:
            with suppress(StorageError):  # if so, it is free when its lease lapses
                await self._store.release(claim)
            raise
        finally:
            if self._feeds.get(claim.task.id) is feed:  # it may have been claimed again, even by this process
                del self._feeds[claim.task.id]
                if not self._feeds:
                    self._idle.set()
            feed.end()
            self._turns.turn(claim.task.id)

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
        await self._store.finish(
            feed.hold.claim,
            STATUS[result.outcome],
            outcome=result.outcome.value,
            solution=None if solution is None else solution.model_dump(mode="json"),
            error=None if failure is None else {"code": failure.code, "message": failure.message},
        )
        self._ended[STATUS[result.outcome]] += 1
        log.info("task ended", outcome=result.outcome.value, seconds=round(timings.run, 3))

    async def _result(self, feed: Feed) -> tuple[Result, Calibrated | str]:
        """The result of the run, and how sure its answer is, or why that is not known."""
        try:
            return await self._execute(feed)
        except (WorkerError, AnabranchError, JournalDamaged) as error:
            failure = Failure(error.code, str(error), retryable=error.retryable)
        except StorageError:
            raise
        except Exception as error:  # a bug of ours must not take down the other tasks of the process
            log.exception("the run failed unexpectedly", action="run_broke")
            failure = Failure("internal", f"{type(error).__name__}: {error}")
        return Result(RunOutcome.FAILED, None, Spent(), failure), "the run failed"

    async def _execute(self, feed: Feed) -> tuple[Result, Calibrated | str]:
        hold, claim, task = feed.hold, feed.hold.claim, feed.hold.claim.task
        events = await read_journal(self._store, task.id) if claim.fence > 1 else []
        next_seq = events[-1].seq + 1 if events else 0
        with translated():
            origin = await read_journal(self._store, task.parent_id) if task.parent_id else []
        setup = await self._setup(hold, events, origin)
        if setup is None:
            return Result(RunOutcome.CANCELLED, None, Spent()), "the run was cancelled"
        feed.open(self._store.writer(task.id, claim.fence, next_seq=next_seq))
        executor = setup.executor(
            feed,
            record=Record(events),
            next_seq=next_seq,
            since=(task.started_at or 0.0) if events else 0.0,  # a requeued task has all its time again
            memo=Memo(origin) if task.parent_id else None,
            on_progress=feed.progress,
        )
        with hold.cancelling(lambda: executor.interrupt("cancelled")):
            result = await setup.execute(executor)
        return result, self._calibrations.apply(setup, result)

    async def _setup(self, hold: Hold, events: list[Event], origin: list[Event]) -> Setup | None:
        """The setup of the run: from the request, from its own journal, or from that of a fork's parent.

        None if a new task is cancelled before the engine has started.
        """
        task = hold.claim.task
        planner = self._find_planner(task.planner)
        capabilities = await hold.unless_cancelled(self._engine.capabilities())
        if not events and not origin:
            if capabilities is None:
                return None
            return first_setup(
                request_of(task),
                planner,
                task.id,
                engine=self._engine,
                capabilities=capabilities,
                toolbox=self._toolbox,
                call_seconds=self._settings.call_seconds,
                bounds=bounds_of(self._settings),
                redact=self._store.redact,
            )
        changes = {}
        if not events and task.fork_at is not None:
            changes[task.fork_at] = parse_change(task.options["change"])
        setup = recorded_setup(
            (events or origin)[0].data,
            planner,
            task.id,
            engine=self._engine,
            toolbox=self._toolbox,
            call_seconds=self._settings.call_seconds,
            changes=changes,
            redact=self._store.redact,
        )
        if events:
            return setup
        # A fork's calls belong to its own tenant; the parent may have been imported from another one.
        return replace(setup, environment=replace(setup.environment, tenant=task.tenant))
