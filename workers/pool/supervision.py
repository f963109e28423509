"""Looks after the replicas of a pool: starts them, notices when they fail or hang, and brings them back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from itertools import count

import structlog

from workers import contract
from workers.engine import Health
from workers.errors import (
    EngineFailed,
    EngineInterrupted,
    EngineProtocolError,
    EngineUnavailable,
    Fault,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)
from workers.pool.dispatch import Dispatcher
from workers.pool.flight import Flight, Ticket
from workers.pool.following import Following
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.pool.sharing import probe_sharing
from workers.pool.stalls import LOOK_SECONDS, stalled
from workers.pool.telling import TellsLoad
from workers.showing import raised

log = structlog.get_logger(__name__)

IDLE_SECONDS = 10.0  # how often a replica without calls is asked for its health
HUNG_AFTER = 6.0  # stalls; a call that is silent for this long is lost, even if its replica says it is well
LOAD_SECONDS = 5.0  # how long an engine may take to say how many calls it has
AGAIN_SECONDS = 1.0  # after which a background task that failed is begun again
LATE_SECONDS = 10.0  # how long a pool with a working replica waits for others to start
REFUSED_SECONDS = 5.0  # how long a replica that refuses our account is sent nothing
START_SECONDS = 30.0  # how long a start waits for a server that has no room, or still loads its model
LEAST_PAUSE = 0.1  # seconds before it is asked again
START_FAILURES = 3  # how often a server may fail at a start with an error of its own

EITHERS = (EngineFailed, EngineInterrupted, EngineProtocolError)
"""Errors for which either the replica or the call may be to blame."""


class Supervisor:
    """The background tasks of a pool, all in one task group that lives from :meth:`open` to :meth:`close`.

    Args:
        name: of the pool.
        stall_seconds: silence after which a replica's health is checked.
    """

    def __init__(
        self, name: str, placement: Placement, dispatcher: Dispatcher, *, stall_seconds: float
    ) -> None:
        self._name = name
        self._replicas = placement.replicas
        self._dispatcher = dispatcher
        self._stall_seconds = stall_seconds
        self._following = Following(name, placement)
        self._asking: set[Replica] = set()  # replicas whose health is asked for because a call failed
        self._starts: dict[asyncio.Task[WorkerError | None], Replica] = {}
        self._troubles: dict[str, str] = {}
        self._ready = asyncio.Event()
        self._closed = False
        self._life: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None

    async def open(self) -> None:
        """Start all replicas that can be started, and look after them from then on.

        Once one works, the others have ``LATE_SECONDS`` more; those that take longer join later.

        Raises:
            WorkerError: the error of the first, if none could be started.
            EngineUnavailable: it was closed meanwhile.
        """
        starts = {asyncio.create_task(self._start(replica)): replica for replica in self._replicas}
        self._starts = starts
        try:
            late = {*starts}
            while late and not any(map(_worked, starts)):
                _, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
            if late:
                _, late = await asyncio.wait(late, timeout=LATE_SECONDS)
            if self._closed:
                raise EngineUnavailable(f"{self._name} was closed")
            errors = [error for start in starts if start not in late and (error := start.result())]
            if len(errors) == len(starts):
                raise errors[0]
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.wait(starts)
            raise
        self._life = asyncio.create_task(self._live(starts), name=f"{self._name} supervision")
        await self._ready.wait()

    async def close(self) -> None:
        """End the background tasks; raises the error of one that failed because of a bug."""
        self._closed = True
        self._ready.set()
        if self._life is None:
            for start in self._starts:
                start.cancel()
            if self._starts:
                await asyncio.wait(self._starts)
            return
        life, self._life, self._tasks = self._life, None, None
        life.cancel()
        (result,) = await asyncio.gather(life, return_exceptions=True)
        if isinstance(result, Exception):
            raise result

    def check(self) -> None:
        """Raise if supervision itself failed: an unsupervised pool must not go on quietly."""
        if self.broken:
            raise EngineUnavailable(self.broken)

    @property
    def broken(self) -> str:
        """Why the pool is not supervised any more; empty if it is, or was not started."""
        if self._life is None or not self._life.done():
            return ""
        error = None if self._life.cancelled() else self._life.exception()
        return f"the supervision of {self._name} ended" + (f": {raised(error)}" if error else "")

    @property
    def troubles(self) -> list[str]:
        """What went wrong with supervision itself, although it goes on."""
        return [*self._troubles.values()]

    def distrust(self, replica: Replica, reason: str, *, by: Hashable = None, fatal: bool = False) -> None:
        """A replica failed; if too many calls failed there, leave it out until it is healthy.

        ``by`` and ``fatal`` are those of :meth:`~workers.pool.breaker.Breaker.failed`.
        """
        if self._tasks is None or not replica.breaker.failed(reason, by=by, fatal=fatal):
            return
        log.warning("replica_down", pool=self._name, replica=replica.name, reason=reason)
        self._dispatcher.evict(replica)
        self._begin(f"recovery of {replica.name}", partial(self._recover, replica), self._tasks)

    def blame(self, flight: Flight[Replica], error: WorkerError) -> None:
        """Apply the consequences of a failed attempt to its replica: only its own faults count against it."""
        replica, ticket = flight.replica, flight.ticket
        if replica.left_over(flight):
            return
        if isinstance(error, Overloaded):
            replica.refused(error.retry_after, asyncio.get_running_loop().time())
        elif error.fault is Fault.ACCOUNT:
            self._spare(replica, error)
        elif isinstance(error, ModelUnavailable) and not replica.breaker.only(ticket.request):
            self._spare(replica, error)  # of one request alone, it may be about what is in it
        elif isinstance(error, ModelUnavailable):
            self.distrust(replica, str(error), by=ticket.request)
        elif isinstance(error, EITHERS):
            self.distrust(replica, str(error), by=ticket.request)
            self._ask_soon(replica)
        elif error.fault is Fault.ENGINE:
            self.distrust(replica, str(error), by=ticket.request, fatal=isinstance(error, EngineUnavailable))

    def answered(self, ticket: Ticket[Replica]) -> None:
        """A call got its answer: what failed at it before was not the call's fault."""
        for replica, reason in ticket.failed.items():
            if replica is not ticket.replica:
                self.distrust(replica, reason, by=ticket)

    def translate(self, ticket: Ticket[Replica]) -> None:
        """Find the tokens of the prompt of ``ticket`` if that helps; see :meth:`Following.translate`."""
        if self._tasks is not None:
            self._following.translate(ticket, self._tasks)

    def _begin(self, what: str, work: Callable[[], Awaitable[None]], tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(self._kept_up(what, work), name=f"{self._name} {what}")

    async def _kept_up(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something in the background, and do it again if a bug ends it: the calls depend on it."""
        while True:
            try:
                await work()
            except Exception as error:
                log.exception("supervision_failed", pool=self._name, what=what)
                self._troubles[what] = f"the {what} failed and was begun again: {raised(error)}"
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._troubles.pop(what, None)
                return

    def _spare(self, replica: Replica, error: WorkerError) -> None:
        """Send nothing for a while to a replica that refuses our account whatever it is sent."""
        if self._tasks is None or replica.refusal is not None:
            return
        log.warning("account_refused", pool=self._name, replica=replica.name, reason=str(error))
        replica.refusal = error
        self._dispatcher.evict(replica)
        self._begin(f"sparing of {replica.name}", partial(self._spared, replica), self._tasks)

    async def _spared(self, replica: Replica) -> None:
        await asyncio.sleep(REFUSED_SECONDS)
        replica.refusal = None
        self._dispatcher.returned(replica)

    def _ask_soon(self, replica: Replica) -> None:
        """Ask a replica that failed at a call for its health, unless that is being done."""
        if self._tasks is not None and replica not in self._asking:
            self._asking.add(replica)
            self._begin(f"question to {replica.name}", partial(self._ask_failed, replica), self._tasks)

    async def _ask_failed(self, replica: Replica) -> None:
        try:
            health = await self._asked(replica)
        finally:
            self._asking.discard(replica)
        if not health.ok:
            self.distrust(replica, health.detail or "not healthy", fatal=True)

    async def _start(self, replica: Replica) -> WorkerError | None:
        engine = replica.engine
        clock = asyncio.get_running_loop().time
        until = clock() + START_SECONDS
        for times in count(1):
            try:
                capabilities = await contract.capabilities(engine)
                if replica.sharing is None:
                    replica.sharing = await probe_sharing(engine, capabilities)
                break
            except WorkerError as error:
                replica.breaker.reason = str(error)
                pause = _start_pause(error, times)
                if clock() + pause >= until:
                    return error
                await asyncio.sleep(pause)
        replica.started(capabilities)
        replica.answered_at = clock()
        replica.tells_health = True
        replica.tells_health = (await self._asked(replica)).ok
        if self._following.begin(replica, capabilities.model) and self._tasks is not None:
            self._following.keep(replica, self._tasks)
        return None

    async def _live(self, starts: Mapping[asyncio.Task[WorkerError | None], Replica]) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            for start, replica in starts.items():
                self._begin(f"watch on {replica.name}", partial(self._watch, replica), self._tasks)
                self._following.keep(replica, self._tasks)
                if not start.done():
                    log.info("replica_late", pool=self._name, replica=replica.name)
                    self._begin(f"start of {replica.name}", partial(self._join, replica, start), self._tasks)
                elif (error := start.result()) is not None:
                    self.distrust(replica, str(error), fatal=True)
            self._ready.set()

    async def _join(self, replica: Replica, start: asyncio.Task[WorkerError | None]) -> None:
        """Let in a replica that takes longer to start."""
        error = await start
        if error is not None:
            self.distrust(replica, str(error), fatal=True)
        else:
            self._dispatcher.returned(replica)

    async def _recover(self, replica: Replica) -> None:
        while True:
            await asyncio.sleep(replica.breaker.delay)
            if replica.capabilities is None:
                well = await self._start(replica) is None
            else:
                well = (await self._asked(replica)).ok
            if well:
                break
            replica.breaker.postpone()
        log.info("replica_back", pool=self._name, replica=replica.name)
        # Whether it restarted cannot be seen from here, and a false hit costs more than a missed one.
        replica.came_back(asyncio.get_running_loop().time())
        replica.breaker.try_again()
        self._dispatcher.returned(replica)

    async def _asked(self, replica: Replica) -> Health:
        return await contract.health(replica.engine) if replica.tells_health else Health(True)

    async def _watch(self, replica: Replica) -> None:
        """Ask the engine for its load while it works, and notice when it hangs or dies."""
        look = min(LOOK_SECONDS, self._stall_seconds / 4)
        clock = asyncio.get_running_loop().time
        asked = clock()
        while True:
            await asyncio.sleep(look)
            if not replica.flights:
                if clock() - asked >= IDLE_SECONDS:
                    await self._ask_idle(replica)
                    asked = clock()
                continue
            asked = clock()
            if isinstance(replica.engine, TellsLoad) and (load := await _load(replica.engine)) is not None:
                replica.limit.observed(*load)
                self._dispatcher.pump(replica)
            if not stalled(replica, self._stall_seconds, 1.0, clock()):
                continue
            health = await self._asked(replica)
            now = clock()
            if health.ok:
                for flight in stalled(replica, self._stall_seconds, HUNG_AFTER, now):
                    flight.interrupt(f"{replica.name} sent nothing for {now - flight.silent_since:.1f} s")
            else:
                self.distrust(replica, health.detail or "not healthy", fatal=True)
                for flight in [*replica.flights]:
                    flight.interrupt(f"{replica.name} hangs: {health.detail}")

    async def _ask_idle(self, replica: Replica) -> None:
        """Notice if a replica died while it had no calls; calls find out for themselves."""
        if not replica.accepting or replica.on_trial:
            return
        health = await self._asked(replica)
        if not health.ok and not replica.flights:
            self.distrust(replica, health.detail or "not healthy", fatal=True)


async def _load(engine: TellsLoad) -> tuple[int, int] | None:
    """What an engine says about its calls; None if that is of no use."""
    match await contract.optional(engine.load, "the load of an engine", seconds=LOAD_SECONDS, otherwise=None):
        case (int(running), int(waiting)) if min(running, waiting) >= 0:
            return running, waiting
    return None


def _start_pause(error: WorkerError, times: int) -> float:
    """Seconds before a start that has failed ``times`` times is tried again; infinite if it should not be."""
    if isinstance(error, Overloaded):
        return max(LEAST_PAUSE, error.pause(times))
    if isinstance(error, EngineFailed) and times < START_FAILURES:
        return LEAST_PAUSE * 2.0**times
    return math.inf


def _worked(start: asyncio.Task[WorkerError | None]) -> bool:
    return start.done() and not start.cancelled() and start.result() is None
