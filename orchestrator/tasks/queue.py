"""Runs the tasks that wait in the store, as many at a time as there is room for."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

import structlog

from orchestrator.access.gate import Access
from orchestrator.errors import HandedBack
from orchestrator.settings import Settings
from orchestrator.tasks.acceptance import rules_of
from orchestrator.tasks.containment import apart, is_ending, report, words
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.turns import Turns
from storage.store import Store
from storage.tasks import Claim
from workers.engine import Engine
from workers.errors import WorkerError

log = structlog.get_logger()

IDLE_SECONDS = 1.0
"""How often the queue is checked for tasks that other processes have submitted or left behind."""

LONGEST_PAUSE = 5.0
"""The most seconds between two looks at a queue that cannot be read."""

LONGEST_START_DELAY = 30.0
"""The most seconds between two attempts to start an engine."""

LEAVING_SECONDS = 5.0
"""How long a task may take to end once it is cancelled; it is then left to another process as it is."""


class Queue:
    """Claims tasks and runs them until it is told to stop.

    Nothing that goes wrong with one task, or with one look at the store, ends it.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        engine: Engine,
        owner: str,
        runner: Runner,
        turns: Turns,
        settings: Settings,
        turned_away: Counter[str],
    ) -> None:
        self._store = store
        self._access = access
        self._engine = engine
        self._owner = owner
        self._runner = runner
        self._turns = turns
        self._settings = settings
        self._rules = rules_of(settings)
        self._turned_away = turned_away
        self._awake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._looked_at: float | None = None
        self._expired_at = -math.inf
        self._ended: str | None = None

    def wake(self) -> None:
        """Check at once whether there is a task, because something has changed."""
        self._awake.set()

    def failed(self) -> str | None:
        """Why no more tasks are taken although nobody has told the queue to stop; None if all is well."""
        return self._ended

    def silent_seconds(self) -> float | None:
        """How long ago the queue last looked for a task or had no room for one; None if it does not work."""
        return None if self._looked_at is None else monotonic() - self._looked_at

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run tasks during the block; then give running ones the grace period and hand back the rest."""
        stop = asyncio.Event()
        work = asyncio.create_task(self._work(stop), name="queue")
        try:
            yield
        finally:
            stop.set()
            self.wake()
            try:
                await self._end(work)
            finally:
                self._looked_at = None

    async def _end(self, work: asyncio.Task[None]) -> None:
        """Wait until ``work`` has drained, but not for ever: its last look at the store may take long."""
        handing_back = asyncio.create_task(self._runner.leaving.wait())
        patience = self._settings.grace_seconds + 2 * LEAVING_SECONDS
        try:
            await asyncio.wait([work, handing_back], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([work], timeout=LEAVING_SECONDS)
        finally:
            handing_back.cancel()
            work.cancel()
            await asyncio.wait([work], timeout=2 * LEAVING_SECONDS)

    async def _work(self, stop: asyncio.Event) -> None:
        grace = 0.0
        self._looked_at = monotonic()
        try:
            await self._start_engine(stop)
            await self._take_tasks(stop)
            grace = self._settings.grace_seconds
        except BaseException as error:
            if not is_ending(error) or not stop.is_set():
                self._ended = f"the queue has ended: {type(error).__name__}: {words(error)}"
                report("the queue has ended", error)
            if is_ending(error):
                raise
        finally:
            await self._drain(grace)

    async def _take_tasks(self, stop: asyncio.Event) -> None:
        idle = min(IDLE_SECONDS, self._settings.lease_seconds / 4)  # so that a lapsed lease is found soon
        failures = 0
        while not stop.is_set():
            self._awake.clear()
            claim = None
            try:
                if monotonic() >= self._expired_at + idle:
                    await self._expire()
                if len(self._running) < self._settings.concurrency:
                    claim = await self._store.claim(
                        self._owner,
                        self._settings.lease_seconds,
                        max_attempts=self._settings.max_attempts,
                        below=self._suspected(),
                        rules=self._rules,
                    )
            except BaseException as error:
                if is_ending(error):
                    raise
                report("the queue cannot be read", error)
                failures += 1
            else:
                failures = 0
                self._looked_at = monotonic()
            if claim is not None:
                self._take(claim)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_PAUSE, idle * 2 ** min(failures, 8))):
                    await self._awake.wait()

    async def _expire(self) -> None:
        """End the tasks whose deadlines passed while they waited, also if there is no room to run any."""
        self._expired_at = monotonic()
        expired = await self._store.expire()
        for task_id in expired:
            self._turned_away["deadline_exceeded"] += 1
            self._turns.turn(task_id)
        for task_id in expired:
            with apart("giving back what a task has reserved"):  # if it fails, whoever needs the room does it
                await self._access.ended(await self._store.get(task_id))

    def _suspected(self) -> int | None:
        """After how many attempts tasks must wait, because enough of that kind run; None if none need wait.

        Tasks that have few attempts left run with few of their kind beside them, and on the last one with
        none: the one that takes its process down must not use up the attempts of the others.
        """
        attempts = [claim.task.attempts for claim in self._running.values()]
        for left, room in ((2, max(1, self._settings.concurrency // 8)), (1, 1)):
            deaths = self._settings.max_attempts - left
            if deaths > 1 and sum(one > deaths for one in attempts) >= room:
                return deaths
        return None

    def _take(self, claim: Claim) -> None:
        task = asyncio.create_task(self._work_on(claim), name=f"task {claim.task.id}")
        self._running[task] = claim
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self.wake()

    async def _drain(self, grace: float) -> None:
        """Let tasks go on for ``grace`` seconds, or until they are handed back; then hand back the rest."""
        running = tuple(self._running)
        try:
            if running:
                with apart("logging a drain"):
                    log.info("draining", tasks=len(running), grace_seconds=grace)
                await asyncio.wait(running, timeout=grace)
        finally:
            for task in running:
                task.cancel()
            if self._running:
                await asyncio.wait(tuple(self._running), timeout=LEAVING_SECONDS)
            for task in tuple(self._running):
                await self._abandon(task)

    async def _abandon(self, task: asyncio.Task[None]) -> None:
        """Put a task back into the queue although the code that runs it does not end."""
        claim = self._running.pop(task)
        with apart("putting a task back into the queue"):
            log.error("a task does not end, and is left to other processes", task=claim.task.id)
            async with asyncio.timeout(LEAVING_SECONDS):
                await self._store.release(claim)

    async def _start_engine(self, stop: asyncio.Event) -> None:
        """Return once the engine has started or ``stop`` is set; a task taken earlier would fail."""

        async def start() -> None:
            for attempt in itertools.count():
                try:
                    await self._engine.capabilities()
                except WorkerError as error:
                    log.warning("the engine is not available yet", code=error.code, error=str(error))
                except BaseException as error:
                    if is_ending(error):
                        raise
                    report("the engine cannot be started", error)
                else:
                    return
                await asyncio.sleep(min(LONGEST_START_DELAY, 2.0**attempt))

        tasks = [asyncio.create_task(start()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=LEAVING_SECONDS)

    async def _work_on(self, claim: Claim) -> None:
        """Run a claimed task; whatever happens to it, the queue learns only that it has ended."""
        try:
            await self._runner.run(self._runner.take(claim))
        except BaseException as error:
            if is_ending(error):
                with apart("putting a task back into the queue"):  # if so, it is free when its lease lapses
                    await self._store.release(claim)
                raise
            if isinstance(error, HandedBack):
                with apart("logging"):
                    log.info("handed back", task=claim.task.id)
            else:  # its lease will lapse, and whoever takes it over continues from what was stored
                report("a task is left for another process to take over", error, task=claim.task.id)
