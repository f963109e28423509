"""Runs the tasks that this process has claimed, each from where its journal stops to its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import structlog

from orchestrator.access.gate import Access
from orchestrator.access.spending import Tokens
from orchestrator.errors import HandedBack
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Spent
from orchestrator.settings import Settings
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.cancelling import Cancelling
from orchestrator.tasks.containment import (
    EXPECTED,
    apart,
    failure_of,
    is_ending,
    is_for_others,
    report,
    sheltered,
    words,
)
from orchestrator.tasks.ending import Ending, ending_of, failed
from orchestrator.tasks.estimating import with_width
from orchestrator.tasks.feed import Feed
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.meters import Meters
from orchestrator.tasks.requests import change_of, request_of
from orchestrator.tasks.setup import Setup, bounds_of, first_setup, recorded_setup
from orchestrator.tasks.solution import Calibrated, Timings
from orchestrator.tasks.turns import Turns
from orchestrator.tracing.live import LiveSpans, Tracing
from storage.errors import StorageError
from storage.events import Event
from storage.reading import read_journal
from storage.store import Store
from storage.tasks import Claim, Task, TaskStatus
from workers.calls import Usage
from workers.engine import Engine
from workers.tools.toolbox import Toolbox

log = structlog.get_logger()


class Runner:
    """Runs claimed tasks on an engine, and keeps the feed of each while it runs here.

    Whatever goes wrong with a task is that task's end, or leaves it to another process.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        engine: Engine,
        turns: Turns,
        find_planner: FindPlanner,
        *,
        toolbox: Toolbox,
        settings: Settings,
        calibrations: Calibrations,
        tracing: Tracing | None = None,
    ) -> None:
        self._store = store
        self._access = access
        self._engine = engine
        self._turns = turns
        self._find_planner = find_planner
        self.toolbox = toolbox
        self._settings = settings
        self._calibrations = calibrations
        self._tracing = tracing
        self.meters = Meters()
        self._feeds: dict[str, Feed] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.leaving = asyncio.Event()
        self._ended: Counter[TaskStatus] = Counter()
        self._cancelling = Cancelling(store, self._uncancelled, self.cancel)

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

    def cancel(self, task_id: str) -> None:
        """Cancel a task at a user's request, if it runs here."""
        if (feed := self._feeds.get(task_id)) is not None:
            feed.hold.cancel()

    def cancel_all(self) -> None:
        """Cancel all tasks that run here."""
        for feed in self._feeds.values():
            feed.hold.cancel()

    def _uncancelled(self) -> list[str]:
        return [task_id for task_id, feed in self._feeds.items() if not feed.hold.cancelled]

    def attentive(self) -> AbstractAsyncContextManager[None]:
        """Follow requests from elsewhere to cancel tasks for the whole block, not only while a task runs."""
        return self._cancelling.followed()

    def failed(self) -> str | None:
        """Why requests from elsewhere to cancel tasks are not obeyed at once; None if all is well."""
        return self._cancelling.failed()

    async def idle(self) -> None:
        """Return when no task is running."""
        await self._idle.wait()

    def hand_back(self) -> None:
        """Put the tasks that run here, now or later, back into the queue."""
        self.leaving.set()
        for feed in self._feeds.values():
            feed.hold.hand_back()

    def take(self, claim: Claim) -> Feed:
        """The feed of a claimed task, which can be listened to before :meth:`run` starts it."""
        hold = Hold(self._store, claim)
        feed = self._feeds[claim.task.id] = Feed(hold, self._turns.changes, self._spans(claim.task))
        self._idle.clear()
        self._wake(claim.task.id)
        if self.leaving.is_set():
            feed.hold.hand_back()
        return feed

    def _spans(self, task: Task) -> LiveSpans | None:
        if self._tracing is not None:
            with apart("tracing a run"):
                return self._tracing.follow(task, self._store.redact)
        return None

    async def run(self, feed: Feed) -> None:
        """Run the task of ``feed`` to its end, starting where its journal stops.

        Raises:
            LeaseLost: another process has taken the task over.
            HandedBack: :meth:`hand_back` was called.
            StorageError: the journal cannot be written.
        """
        claim = feed.hold.claim
        try:
            async with self.attentive():
                with structlog.contextvars.bound_contextvars(task=claim.task.id, tenant=claim.task.tenant):
                    await self._run_to_its_end(feed)
        except HandedBack:
            with apart("putting a task back into the queue"):  # it is free when its lease lapses
                await self._store.release(claim)
            raise
        finally:
            if self._feeds.get(claim.task.id) is feed:  # it may have been claimed again, even by this process
                del self._feeds[claim.task.id]
                if not self._feeds:
                    self._idle.set()
            with apart("telling who follows a task that it has ended"):
                feed.end()
            self._wake(claim.task.id)

    def _wake(self, task_id: str) -> None:
        with apart("waking who waits for a task"):
            self._turns.turn(task_id)

    async def _run_to_its_end(self, feed: Feed) -> None:
        started, clock = time.time(), time.monotonic()
        task, usage = feed.hold.claim.task, Usage()
        used: Tokens | None = None
        with apart("counting a task"):
            self.meters.began(task, started)
        try:
            async with feed.hold.kept():
                result, sureness = await self._execute(feed)
            usage = result.spent.usage
            used = Tokens(usage.prompt_tokens, usage.completion_tokens)
            timings = Timings(queued=max(0.0, started - task.created_at), run=time.monotonic() - clock)
            ending = ending_of(result, task, timings=timings, sureness=sureness)
        except BaseException as error:
            if is_for_others(error):
                raise
            ending = failed(failure_of(error))
            if not isinstance(error, EXPECTED):
                report("a run failed", error)
        ending = await self._store_end(feed.hold.claim, ending)
        self._ended[ending.status] += 1
        with apart("charging what a task has used"):  # if it fails, whoever needs the room does it
            await self._access.ended(task, used)
        seconds = time.monotonic() - clock
        with apart("counting a task"):
            self.meters.ended(task, ending, usage, seconds)
        if feed.spans is not None:
            with apart("tracing a run"):
                feed.spans.end(ending.outcome.value, ending.error)
        with apart("logging the end of a task"):
            log.info("task ended", outcome=ending.outcome.value, seconds=round(seconds, 3))

    async def _store_end(self, claim: Claim, ending: Ending) -> Ending:
        """Store how a task ended; what the database refuses for its content is a failure instead."""
        try:
            await self._finish(claim, ending)
        except BaseException as error:
            if is_for_others(error):
                raise
            report("the end of a task cannot be stored", error)
            ending = failed(failure_of(error))
            try:
                await self._finish(claim, ending)
            except StorageError:
                raise
            except Exception as again:
                raise StorageError(
                    f"the end of task {claim.task.id} cannot be stored: {words(again)}"
                ) from error
        return ending

    async def _finish(self, claim: Claim, ending: Ending) -> None:
        await sheltered(
            self._store.finish(
                claim,
                ending.status,
                outcome=ending.outcome.value,
                solution=ending.solution,
                error=ending.error,
            )
        )

    async def _execute(self, feed: Feed) -> tuple[Result, Calibrated | str]:
        hold, claim, task = feed.hold, feed.hold.claim, feed.hold.claim.task
        ends = None if (left := _left(claim)) is None else time.monotonic() + left
        events = await read_journal(self._store, task.id) if claim.fence > 1 else []
        next_seq = events[-1].seq + 1 if events else 0
        origin = await read_journal(self._store, task.parent_id) if task.parent_id else []
        setup = await self._setup(hold, events, origin, ends)
        if setup is None:
            return Result(RunOutcome.CANCELLED, None, Spent()), "the run was cancelled"
        if (spans := feed.spans) is not None:
            feed.spans = None
            with apart("tracing a run"):
                spans.recorded(events)
                feed.spans = spans
            traced = replace(setup.environment, traceparent=spans.traceparent)
            setup = replace(setup, environment=traced)
        feed.open(self._store.writer(task.id, claim.fence, next_seq=next_seq), next_seq=next_seq)
        executor = setup.executor(
            feed,
            record=Record(events),
            next_seq=next_seq,
            since=(task.started_at or 0.0) if events else 0.0,  # a requeued task has all its time again
            memo=Memo(origin) if task.parent_id else None,
            on_progress=feed.progress,
            on_speech=feed.speech.say,
        )
        with hold.cancelling(lambda: executor.interrupt("cancelled")):
            result = await setup.execute(executor)
        return result, self._sureness(setup, result)

    def _sureness(self, setup: Setup, result: Result) -> Calibrated | str:
        """How likely the answer is to be right, or why that is not known: it is never worth the answer."""
        try:
            return self._calibrations.apply(setup, result)
        except BaseException as error:
            if is_ending(error):
                raise
            report("a calibration cannot be applied", error)
            return f"the calibration cannot be applied: {words(error)}"

    async def _setup(
        self, hold: Hold, events: list[Event], origin: list[Event], ends: float | None
    ) -> Setup | None:
        """The setup of the run: from the request, from its own journal, or from that of a fork's parent.

        None if a new task is cancelled before the engine has started. A new run has to end at the time
        ``ends`` of the monotonic clock.
        """
        task = hold.claim.task
        planner = self._find_planner(task.planner)
        capabilities = await hold.unless_cancelled(self._engine.capabilities())
        if not events and not origin:
            if capabilities is None:
                return None
            request, estimated = await with_width(
                request_of(task), planner, capabilities.model, self._store, self._find_planner
            )
            return first_setup(
                request,
                planner,
                task.id,
                engine=self._engine,
                capabilities=capabilities,
                toolbox=self.toolbox,
                call_seconds=self._settings.call_seconds,
                bounds=bounds_of(self._settings),
                redact=self._store.redact,
                estimated=estimated,
                left=None if ends is None else max(0.001, ends - time.monotonic()),
            )
        changes = {}
        if not events and task.fork_at is not None:
            changes[task.fork_at] = change_of(task)
        setup = recorded_setup(
            (events or origin)[0].data,
            planner,
            task.id,
            engine=self._engine,
            toolbox=self.toolbox,
            call_seconds=self._settings.call_seconds,
            changes=changes,
            redact=self._store.redact,
        )
        if events:
            return setup
        # A fork's calls belong to its own tenant; the parent may have been imported from another one.
        return replace(setup, environment=replace(setup.environment, tenant=task.tenant))


def _left(claim: Claim) -> float | None:
    """Seconds from a claim to the deadline of its task, both by the clock of the database."""
    task = claim.task
    if task.deadline is None or task.lease_expires_at is None:
        return None
    return task.deadline - (task.lease_expires_at - claim.lease_seconds)
