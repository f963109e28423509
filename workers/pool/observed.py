"""One engine with the books of a pool, for engines that are used alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import structlog

from workers import contract
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Engine, Health
from workers.errors import EngineUnavailable, WorkerError
from workers.pool.breaker import Breaker
from workers.pool.flight import Flight, Ticket
from workers.pool.member import Member
from workers.pool.metrics import prometheus
from workers.pool.pace import Pace
from workers.pool.pool import Pool
from workers.pool.replica import Replica
from workers.pool.report import PoolSnapshot, Reporting, snapshot_of, snapshot_of_all
from workers.pool.tally import PoolTally
from workers.prefix.blocks import BLOCK_CHARACTERS, Chains
from workers.prefix.holdings import Holdings
from workers.showing import raised

log = structlog.get_logger(__name__)

SEEN_BLOCKS = 65_536
"""How many blocks are remembered as computed; serves only to measure the ideal hit ratio."""


class Observed:
    """An engine whose calls are counted, and otherwise passed on immediately and unchanged.

    Its ``state`` follows from calls and requested health checks: nothing checks in the background.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._replica = Replica(Member(engine), Breaker(), Pace())
        self._tally = PoolTally()
        self._chains = Chains()
        self._seen = Holdings(SEEN_BLOCKS)
        self._families: Counter[str] = Counter()
        self._calls = 0

    @property
    def name(self) -> str:
        """The name of the engine."""
        return self._engine.name

    async def capabilities(self) -> Capabilities:
        """See :meth:`Engine.capabilities`."""
        try:
            found = await contract.capabilities(self._engine)
        except WorkerError as error:
            self._went_wrong(error)
            raise
        if self._replica.capabilities is None:
            self._replica.started(found)
        self._works()
        return found

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """See :meth:`Engine.generate`."""
        flight = self._sent(call)
        replica = self._replica
        ended = False
        try:
            async with aclosing(contract.stream(self._engine, call)) as chunks:
                async for chunk in chunks:
                    now = self._now()
                    if flight.first_at is None:
                        self._tally.first_token.observe(now - flight.sent_at)
                        replica.first_token(flight, now)
                    flight.ticket.streamed += chunk.tokens
                    if chunk.finish_reason is not None:
                        ended = True
                        self._finished(flight, chunk, now)
                    yield chunk
        except WorkerError as error:
            ended = True
            replica.failed(error)
            replica.tally.wasted_tokens += flight.ticket.streamed
            self._went_wrong(error)
            raise
        finally:
            if not ended:
                replica.tally.aborted += 1
                replica.tally.wasted_tokens += flight.ticket.streamed
            self._landed(flight)

    async def health(self) -> Health:
        """See :meth:`Engine.health`."""
        health = await contract.health(self._engine)
        if health.ok:
            self._works()
        else:
            self._replica.breaker.failed(health.detail, fatal=True)
        return health

    async def close(self) -> None:
        """Close the engine."""
        await contract.close(self._engine)

    def snapshot(self) -> PoolSnapshot:
        """The engine as a pool of one."""
        known = self._replica.capabilities
        limit = known.max_concurrency if known is not None else None
        one = replace(snapshot_of(self._replica), limit=limit)
        return snapshot_of_all([one], self._tally, families=len(self._families))

    def metrics(self) -> str:
        """The snapshot and more, as Prometheus text."""
        return prometheus(self.snapshot(), self._tally)

    def _sent(self, call: Call) -> Flight[Replica]:
        self._calls += 1
        now = self._now()
        chain = self._chains.of(call.prompt, call.tenant, call.functions)
        ticket: Ticket[Replica] = Ticket(call, chain, self._calls, self._calls, now)
        ticket.ideal_blocks = self._seen.covered(ticket.chain, now)
        self._seen.add(ticket.chain)
        if call.family is not None:
            self._families[call.family] += 1
        self._tally.queue_wait.observe(0.0)
        return self._replica.send(ticket, BLOCK_CHARACTERS / 4, now)

    def _finished(self, flight: Flight[Replica], chunk: Chunk, now: float) -> None:
        ticket, usage = flight.ticket, chunk.usage
        tokens = usage.prompt_tokens if usage is not None else 0
        tokens_per_block = tokens * BLOCK_CHARACTERS / max(1, ticket.characters)
        self._replica.finished(flight, usage, tokens_per_block, now)
        self._works()

    def _landed(self, flight: Flight[Replica]) -> None:
        self._replica.land(flight)
        family = flight.ticket.call.family
        if family is not None:
            self._families[family] -= 1
            if not self._families[family]:
                del self._families[family]

    def _works(self) -> None:
        self._replica.breaker.try_again()
        self._replica.breaker.succeeded()

    def _went_wrong(self, error: WorkerError) -> None:
        if error.retryable:
            self._replica.breaker.failed(str(error), fatal=isinstance(error, EngineUnavailable))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class Reported(Observed):
    """An engine with books of its own, which are shown unless they cannot be read."""

    def __init__(self, engine: Reporting) -> None:
        super().__init__(engine)
        self._reporting = engine
        if (warm := getattr(engine, "warm", None)) is not None:
            self.warm = warm

    def snapshot(self) -> PoolSnapshot:
        """The snapshot of the engine, or the engine as a pool of one."""
        try:
            told = self._reporting.snapshot()
        except BaseException as error:
            log.warning("contract broken", by=f"snapshot of {self.name}", error=raised(error))
        else:
            if isinstance(told, PoolSnapshot):
                return told
        return super().snapshot()

    def metrics(self) -> str:
        """The metrics of the engine, or those of a pool of one."""
        try:
            told = self._reporting.metrics()
        except BaseException as error:
            log.warning("contract broken", by=f"metrics of {self.name}", error=raised(error))
        else:
            if isinstance(told, str):
                return told
        return super().metrics()


def observed(engine: Engine) -> Reporting:
    """The engine itself if it keeps books as ours do, or else the engine with books around it."""
    if isinstance(engine, Pool | Observed):
        return engine
    return Reported(engine) if isinstance(engine, Reporting) else Observed(engine)
