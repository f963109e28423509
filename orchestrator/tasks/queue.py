"""Runs the tasks that wait in the store, as many at a time as there is room for."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import structlog

from orchestrator.errors import HandedBack
from orchestrator.settings import Settings
from orchestrator.tasks.runner import Runner
from storage.errors import StorageError
from storage.store import Store
from storage.tasks import Claim
from workers.engine import Engine
from workers.errors import WorkerError

log = structlog.get_logger()

IDLE_SECONDS = 1.0
"""How often the queue is checked for tasks that other processes have submitted or left behind."""

LONGEST_START_DELAY = 30.0
"""The most seconds between two attempts to start an engine."""


class Queue:
    """Claims tasks and runs them until it is told to stop."""

    def __init__(self, store: Store, engine: Engine, owner: str, runner: Runner, settings: Settings) -> None:
        self._store = store
        self._engine = engine
        self._owner = owner
        self._runner = runner
        self._settings = settings
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Check at once whether there is a task, because something has changed."""
        self._awake.set()

    async def work(self, stop: asyncio.Event) -> None:
        """Run tasks until ``stop`` is set; then give running ones the grace period and hand back the rest."""
        await self._start_engine(stop)
        running: set[asyncio.Task[None]] = set()
        idle = min(IDLE_SECONDS, self._settings.lease_seconds / 4)  # so that a lapsed lease is found soon

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self._awake.set()

        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                self._awake.clear()
                claim = await self._claim() if len(running) < self._settings.concurrency else None
                if claim is None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._awake.wait(), idle)
                    continue
                task = group.create_task(self._work_on(claim), name=f"task {claim.task.id}")
                running.add(task)
                task.add_done_callback(ended)
            if running:
                log.info("draining", tasks=len(running), grace_seconds=self._settings.grace_seconds)
                await asyncio.wait(running, timeout=self._settings.grace_seconds)
            for task in running:
                task.cancel()

    async def _start_engine(self, stop: asyncio.Event) -> None:
        """Return once the engine has started or ``stop`` is set; a task taken earlier would fail."""

        async def start() -> None:
            for attempt in itertools.count():
                try:
                    await self._engine.capabilities()
                except WorkerError as error:
                    log.warning("the engine is not available yet", code=error.code, error=str(error))
                else:
                    return
                await asyncio.sleep(min(LONGEST_START_DELAY, 2.0**attempt))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(start()), group.create_task(stop.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _claim(self) -> Claim | None:
        try:
            return await self._store.claim(
                self._owner, self._settings.lease_seconds, max_attempts=self._settings.max_attempts
            )
        except StorageError as error:
            log.warning("the queue cannot be read", error=str(error))
            return None

    async def _work_on(self, claim: Claim) -> None:
        try:
            await self._runner.run(self._runner.take(claim))
        except asyncio.CancelledError:
            with suppress(StorageError):  # if so, it is free when its lease lapses
                await self._store.release(claim)
            raise
        except HandedBack:
            log.info("handed back", task=claim.task.id)
        except StorageError as error:
            # Its lease will lapse, and whoever takes it over continues from what was stored.
            log.warning(
                "a task is left for another process to take over", task=claim.task.id, error=str(error)
            )
