"""Looks after the replicas of a pool: starts them, notices when they fail or hang, and brings them back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import structlog

from workers.calls import Call
from workers.engine import Health
from workers.engines.vllm.kv_events import TokenBlocks, Translation
from workers.errors import (
    AccessRefused,
    EngineProtocolError,
    EngineUnavailable,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)
from workers.pool.dispatch import Dispatcher
from workers.pool.flight import Flight, Ticket
from workers.pool.replica import HOLD_BLOCKS, Replica
from workers.pool.sharing import probe_sharing
from workers.prefix.blocks import BLOCK_CHARACTERS, Chain

log = structlog.get_logger(__name__)

HEALTH_SECONDS = 3.0
LOOK_SECONDS = 1.0
IDLE_SECONDS = 10.0  # how often a replica without calls is asked for its health
HUNG_AFTER = 6.0  # stalls; a call that stays silent so long is lost, however well its replica says it is
SLOWEST_PREFILL = 200.0  # tokens/s; what a replica is granted that has not shown how fast it is
LATE_SECONDS = 10.0  # how long a pool with a replica that works waits for others to start
TRANSLATIONS_AT_ONCE = 4
FATAL = (EngineUnavailable, AccessRefused, ModelUnavailable)  # no call can succeed where one failed so


@runtime_checkable
class TellsLoad(Protocol):
    """An engine that can say how many calls it runs, and how many wait inside it."""

    async def load(self) -> tuple[int, int] | None:
        """Running and waiting calls; None if it does not tell. Never raises."""
        ...


@runtime_checkable
class TellsBlocks(Protocol):
    """An engine that publishes what it caches, and can tell the blocks of a prompt."""

    @property
    def blocks(self) -> TokenBlocks | None:
        """What it holds; None if it does not publish that after all."""
        ...

    async def follow(self) -> None:
        """Keep ``blocks`` up to date until cancelled."""
        ...

    async def chain(self, call: Call) -> Chain:
        """The blocks of the prompt of ``call``; empty where they cannot be had now. Never raises."""
        ...


class Supervisor:
    """The background tasks of a pool, all in one task group that lives from :meth:`open` to :meth:`close`.

    Args:
        stall_seconds: silence after which a replica is asked for its health.
    """

    def __init__(
        self, name: str, replicas: Sequence[Replica], dispatcher: Dispatcher, *, stall_seconds: float
    ) -> None:
        self._name = name
        self._replicas = replicas
        self._dispatcher = dispatcher
        self._stall_seconds = stall_seconds
        self._translations: dict[str, Translation] = {}  # by model
        self._translating = 0
        self._starts: dict[asyncio.Task[WorkerError | None], Replica] = {}
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
        """End the background tasks; one that failed by a bug is reported now."""
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
        """Raise if supervision itself failed: a pool that nobody looks after must not go on quietly."""
        if self._life is not None and self._life.done():
            raise EngineUnavailable(f"the supervision of {self._name} failed") from self._life.exception()

    def distrust(self, replica: Replica, reason: str, *, fatal: bool = False) -> None:
        """A replica failed; if it failed too often, leave it out until it is healthy."""
        if self._tasks is None or not replica.breaker.failed(reason, fatal=fatal):
            return
        log.warning("replica_down", pool=self._name, replica=replica.name, reason=reason)
        self._dispatcher.evict(replica)
        self._tasks.create_task(self._recover(replica), name=f"{self._name} recovery of {replica.name}")

    def blame(self, flight: Flight, error: WorkerError) -> None:
        """Draw the consequences that a failed attempt has for its replica."""
        replica = flight.replica
        if replica.left_over(flight):
            return
        if isinstance(error, Overloaded):
            replica.refused(error.retry_after, asyncio.get_running_loop().time())
        elif error.retryable or isinstance(error, (EngineProtocolError, *FATAL)):
            self.distrust(replica, str(error), fatal=isinstance(error, FATAL))

    def translate(self, ticket: Ticket) -> None:
        """Have a prompt of a new kind tokenised, where servers tell what they hold by tokens.

        Nobody waits for it: it serves the siblings, and the next round.
        """
        if not self._translations or self._tasks is None or self._translating >= TRANSLATIONS_AT_ONCE:
            return
        if len(ticket.chain) < HOLD_BLOCKS:
            return
        for replica in self._dispatcher.serving(ticket.call.role):
            translation = replica.translation
            if translation is None or not replica.accepting or translation.knows(ticket.chain):
                continue
            self._translating += 1
            self._tasks.create_task(self._tokenize(ticket, replica, translation))
            return

    async def _start(self, replica: Replica) -> WorkerError | None:
        engine = replica.engine
        try:
            capabilities = await engine.capabilities()
            if replica.sharing is None:
                replica.sharing = await probe_sharing(engine, capabilities)
        except WorkerError as error:
            replica.breaker.reason = str(error)
            return error
        replica.started(capabilities)
        replica.tells_health = True
        replica.tells_health = (await self._asked(replica)).ok
        if isinstance(engine, TellsBlocks) and engine.blocks is not None and replica.told is None:
            replica.told = engine.blocks
            replica.translation = self._translations.setdefault(capabilities.model, Translation())
            if self._tasks is not None:
                self._follow(replica, engine)
        return None

    async def _live(self, starts: Mapping[asyncio.Task[WorkerError | None], Replica]) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            for start, replica in starts.items():
                self._tasks.create_task(self._watch(replica), name=f"{self._name} watch on {replica.name}")
                if replica.told is not None and isinstance(replica.engine, TellsBlocks):
                    self._follow(replica, replica.engine)
                if not start.done():
                    log.info("replica_late", pool=self._name, replica=replica.name)
                    self._tasks.create_task(self._join(replica, start), name=f"start of {replica.name}")
                elif (error := start.result()) is not None:
                    self.distrust(replica, str(error), fatal=True)
            self._ready.set()

    async def _join(self, replica: Replica, start: asyncio.Task[WorkerError | None]) -> None:
        """Let a replica in that takes its time to start."""
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
        # Whether it restarted is not to be seen from here, and a false hit costs more than a missed one.
        replica.came_back(asyncio.get_running_loop().time())
        replica.breaker.try_again()
        self._dispatcher.returned(replica)

    async def _asked(self, replica: Replica) -> Health:
        if not replica.tells_health:
            return Health(True)
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                return await replica.engine.health()
        except TimeoutError:
            return Health(False, f"{replica.name} does not say within {HEALTH_SECONDS:g} s how it is")

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
            if isinstance(replica.engine, TellsLoad) and (load := await replica.engine.load()) is not None:
                replica.limit.observed(*load)
                self._dispatcher.pump(replica)
            if not self._stalled(replica, 1.0):
                continue
            health = await self._asked(replica)
            now = asyncio.get_running_loop().time()
            if health.ok:
                for flight in self._stalled(replica, HUNG_AFTER):
                    flight.interrupt(
                        f"{replica.name} sent nothing for {now - flight.silent_since:.1f} s", now
                    )
            else:
                self.distrust(replica, health.detail or "not healthy", fatal=True)
                for flight in [*replica.flights]:
                    flight.interrupt(f"{replica.name} hangs: {health.detail}", now)

    async def _ask_idle(self, replica: Replica) -> None:
        """Notice that a replica died while nobody called it; calls find out for themselves."""
        if not replica.accepting or replica.on_trial:
            return
        health = await self._asked(replica)
        if not health.ok and not replica.flights:
            self.distrust(replica, health.detail or "not healthy", fatal=True)

    def _stalled(self, replica: Replica, times: float) -> list[Flight]:
        """Attempts that wait for a chunk longer than ``times`` what is normal."""
        now = asyncio.get_running_loop().time()
        pace = replica.pace
        step = pace.step_seconds(len(replica.flights))
        prefill = pace.measured_prefill / 4 if pace.measured_prefill is not None else SLOWEST_PREFILL

        def expected(flight: Flight) -> float:
            return 20 * step if flight.first_at is not None else flight.prefill_ahead / prefill

        def silent(flight: Flight) -> float:
            # It may wait inside the engine for those before it, as long as none of those after it began.
            queued = flight.first_at is None and flight.sent_at + LOOK_SECONDS >= replica.latest_begun
            return now - max(flight.silent_since, replica.last_progress if queued else 0.0)

        return [
            flight
            for flight in replica.flights
            if silent(flight) > times * max(self._stall_seconds, expected(flight))
        ]

    async def _tokenize(self, ticket: Ticket, replica: Replica, translation: Translation) -> None:
        try:
            if isinstance(replica.engine, TellsBlocks):
                tokens = await replica.engine.chain(ticket.call)
                translation.learn(ticket.chain, tokens, ticket.characters / BLOCK_CHARACTERS)
        finally:
            self._translating -= 1

    def _follow(self, replica: Replica, engine: TellsBlocks) -> None:
        assert self._tasks is not None
        self._tasks.create_task(
            self._followed(replica, engine), name=f"{self._name} events of {replica.name}"
        )

    async def _followed(self, replica: Replica, engine: TellsBlocks) -> None:
        try:
            await engine.follow()
        except WorkerError as error:
            # Without events the index falls back on what the pool itself sent.
            log.warning("kv_events_lost", pool=self._name, replica=replica.name, error=str(error))
        replica.told = replica.translation = None


def _worked(start: asyncio.Task[WorkerError | None]) -> bool:
    return start.done() and not start.cancelled() and start.result() is None
