"""Whether a task could be stored and worked on now: checks that are quick, and never pile up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, runtime_checkable

from orchestrator.errors import Unavailable
from orchestrator.settings import Settings
from orchestrator.tasks.containment import failure_of, is_ending
from orchestrator.tasks.queue import Queue
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.watchdog import Watchdog
from storage.store import Store
from workers.engine import Engine

RESTART_SECONDS = 5.0
"""When to ask again a process that has failed, and is probably being started again."""

FRESH_SECONDS = 1.0
"""How often the database is written to and the disk looked at, at most."""

STALE_SECONDS = 5.0
"""Up to which age a result may stand in for one that takes long."""

QUICK_SECONDS = 0.05
"""How long a new result is waited for when there is one that may stand in."""

PATIENCE_SECONDS = 2.0
"""A check that takes longer has failed."""

SILENT_SECONDS = 10.0
"""A queue that has not looked for tasks for so long does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a part works, and if not, why."""

    ok: bool
    detail: str = ""


class Checked:
    """A check that runs at most once at a time, and whose result is kept for a moment.

    Args:
        check: the check; an error that it raises is a result, too.
        fresh: for how many seconds a result is good enough, however often somebody asks.
    """

    def __init__(self, check: Callable[[], Awaitable[Check]], *, fresh: float = 0.0) -> None:
        self._check = check
        self._fresh = fresh
        self._checking: asyncio.Task[None] | None = None
        self._since = 0.0
        self._result = Check(False, "not checked yet")
        self._at = float("-inf")

    async def result(self) -> Check:
        """The result, after no more than :data:`PATIENCE_SECONDS`; soon, if somebody asks regularly."""
        now = monotonic()
        if self._checking is None or self._checking.done():
            if now - self._at < self._fresh:
                return self._result
            self._since = now
            self._checking = asyncio.create_task(self._renew(), name="health")
        checking = self._checking  # when it has ended, somebody may begin another one before we go on
        waited, age = now - self._since, now - self._at
        patience = QUICK_SECONDS if age <= STALE_SECONDS else PATIENCE_SECONDS
        await asyncio.wait([checking], timeout=max(0.0, min(patience, PATIENCE_SECONDS - waited)))
        waited = monotonic() - self._since
        if checking.done() or (age <= STALE_SECONDS and waited < PATIENCE_SECONDS):
            return self._result
        return Check(False, f"no answer within {waited:.0f} s")

    async def _renew(self) -> None:
        try:
            self._result = await self._check()
        except BaseException as error:
            if is_ending(error):
                raise
            failure = failure_of(error)
            self._result = Check(False, f"{failure.code}: {failure.message}")
        self._at = monotonic()


@runtime_checkable
class Supervised(Protocol):
    """An engine that something in the background must keep working, such as a pool."""

    def failed(self) -> str | None:
        """Why it cannot work any more until it is opened again, for people; None if it can."""


class Health:
    """The health of a service: of its store, its engine, its queue and its event loop."""

    def __init__(
        self, store: Store, engine: Engine, runner: Runner, queue: Queue, settings: Settings
    ) -> None:
        self._store = store
        self._runner = runner
        self._queue = queue
        self._watchdog = Watchdog(settings)
        self._least_free = settings.min_free_bytes
        self._supervised = engine if isinstance(engine, Supervised) else None
        self._engine = Checked(lambda: _works(engine))
        self._database = Checked(self._takes_tasks, fresh=FRESH_SECONDS)
        self._disk = Checked(self._has_room, fresh=FRESH_SECONDS)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the event loop during the block; a process whose loop stays blocked is ended.

        For processes that are started again when they end. In others, a debugger may stop the loop.
        """
        with self._watchdog.watching():
            yield

    def failed(self) -> str | None:
        """What has ended without which no task can be worked on, for people; None if nothing has."""
        if (why := self._store.failed()) is not None:
            return f"the store has failed: {why}"
        if self._supervised is not None and (why := self._supervised.failed()) is not None:
            return why
        return self._queue.failed() or self._runner.failed() or self._watchdog.failed()

    def require(self) -> None:
        """Refuse a task if this process can work on nothing more.

        Raises:
            Unavailable: something has ended; another process, or this one started again, can take the task.
        """
        if (why := self.failed()) is not None:
            raise Unavailable(
                f"this process can take no more tasks: {why}",
                code=Unavailable.code,
                http_status=Unavailable.http_status,
                retryable=True,
                retry_after=RESTART_SECONDS,
            )

    async def checks(self) -> dict[str, Check]:
        """What must work so that a task is stored and worked on, by name."""
        engine, database, disk = await asyncio.gather(
            self._engine.result(), self._database.result(), self._disk.result()
        )
        blocked = self._watchdog.blocked()
        return {
            "engine": engine,
            "database": database,
            "disk": disk,
            "queue": self._takes_turns(),
            "loop": Check(blocked is None, blocked or ""),
        }

    async def _takes_tasks(self) -> Check:
        if (why := self._store.failed()) is not None:
            return Check(False, why)
        await self._store.probe()
        return Check(True)

    async def _has_room(self) -> Check:
        free = await asyncio.to_thread(self._store.free_bytes)
        if free is None or free >= self._least_free:
            return Check(True)
        return Check(False, f"{free / 1e6:.0f} MB are free; at least {self._least_free / 1e6:.0f} MB must be")

    def _takes_turns(self) -> Check:
        if (why := self._queue.failed()) is not None:
            return Check(False, why)
        silent = self._queue.silent_seconds()
        if silent is None:
            return Check(True, "other processes run the tasks")
        if silent > SILENT_SECONDS:
            return Check(False, f"the queue has not looked for tasks for {silent:.0f} s")
        return Check(True)


async def _works(engine: Engine) -> Check:
    health = await engine.health()
    return Check(health.ok, health.detail)
