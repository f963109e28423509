"""Computes prompts ahead of the calls that will begin with them, on replicas that have nothing else to do.

A warming is not a call: it takes no place, waits for nothing, is counted separately, and is aborted as soon
as its replica gets a call that does not begin with the same prompt. A call that does is what it was for: that
call finds the prompt computed, or shares the computation as it would a sibling's.
"""

from __future__ import annotations

import asyncio
import math

import structlog

from workers.calls import Call, Prompt, Sampling, Usage
from workers.errors import Overloaded, WorkerError
from workers.pool.dispatch import Dispatcher
from workers.pool.flight import Flight, Ticket
from workers.pool.index import HOLD_BLOCKS
from workers.pool.listening import Listening
from workers.pool.member import Sharing
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.pool.supervision import Supervisor
from workers.pool.tally import PoolTally
from workers.prefix.blocks import Chains

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 120.0
"""A warming that takes longer is given up; it is not supervised as a call is."""


class Warming:
    """The warmings of a pool, at most one per replica."""

    def __init__(
        self,
        placement: Placement,
        dispatcher: Dispatcher,
        supervisor: Supervisor,
        chains: Chains,
        tally: PoolTally,
    ) -> None:
        self._placement = placement
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._chains = chains
        self._tally = tally

    async def warm(self, prompt: Prompt, tenant: str, role: str) -> bool:
        """Compute ``prompt`` where its calls would go, if that replica is idle and there is enough to do.

        Returns whether it was computed in full. A failure is not an error: nothing depends on a warm cache.
        """
        call = Call(prompt, Sampling(temperature=0.0, max_tokens=1), role=role, tenant=tenant)
        clock = asyncio.get_running_loop().time
        now = clock()
        ticket: Ticket[Replica] = Ticket(call, self._chains.of(prompt, tenant), 0, 0, now)
        replica = self._placement.choose(ticket, now)
        if replica is None or not _worthwhile(replica, ticket, now):
            return False
        flight = replica.warm(ticket, self._placement.tokens_per_block, now)
        stream = flight.stream = Listening(replica.engine, call)
        usage = None
        try:
            usage = await _read(flight, stream)
            flight.first_at = clock()
        except TimeoutError:
            log.debug("not_warmed", replica=replica.name, reason="it took too long")
        except WorkerError as error:
            log.info("not_warmed", replica=replica.name, reason=str(error))
            if not flight.interrupted and not isinstance(error, Overloaded):
                self._supervisor.blame(flight, error)
        finally:
            try:
                await stream.aclose()
            finally:
                self._dispatcher.warmed(flight)
        if flight.first_at is None:
            return False
        self._tally.warmed += 1
        if usage is not None:
            self._tally.warmed_tokens += usage.prompt_tokens - usage.cached_tokens
        return True


async def _read(flight: Flight[Replica], stream: Listening) -> Usage | None:
    usage: Usage | None = None
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            async for chunk in stream:
                usage = chunk.usage or usage
    finally:
        flight.silent_since = math.inf  # there is nothing left to interrupt
    return usage


def _worthwhile(replica: Replica, ticket: Ticket[Replica], now: float) -> bool:
    if not replica.free or replica.on_trial or replica.sharing is Sharing.NEVER:
        return False
    return len(ticket.chain) - replica.covered(ticket.chain, now) >= HOLD_BLOCKS
