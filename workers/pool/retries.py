"""Whether a call whose attempt failed is sent again, and after what delay."""

from __future__ import annotations

import random

import structlog

from workers.errors import (
    AccessRefused,
    CallRejected,
    CapabilityMissing,
    EngineProtocolError,
    ModelUnavailable,
    Overloaded,
    ProcessExhausted,
    WorkerError,
)
from workers.pool.flight import Flight
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.pool.supervision import Supervisor
from workers.pool.tally import PoolTally

log = structlog.get_logger(__name__)

ONLY_HERE = (AccessRefused, ModelUnavailable, CapabilityMissing, CallRejected)
"""Refusals by one replica of what another may accept: a rejected call may just be too long for it."""


class Retries:
    """The consequences of failed attempts.

    Args:
        pool: its name.
        attempts: how often a call is sent before its last error is raised.
        patience: the most seconds to wait before the next attempt.
    """

    def __init__(
        self,
        pool: str,
        placement: Placement,
        supervisor: Supervisor,
        tally: PoolTally,
        *,
        attempts: int,
        patience: float,
    ) -> None:
        self._pool = pool
        self._placement = placement
        self._supervisor = supervisor
        self._tally = tally
        self._attempts = attempts
        self._patience = patience

    def after(self, flight: Flight[Replica], error: WorkerError, *, closed: bool) -> float:
        """Handle a failed attempt; raises ``error`` if there is to be no other.

        Returns the seconds to wait before the next one. In a pool that was ``closed`` there is none.
        """
        replica, ticket = flight.replica, flight.ticket
        replica.failed(error)
        self._supervisor.blame(flight, error)
        able = self._placement.able(ticket)
        if not isinstance(error, ProcessExhausted):
            ticket.tried.add(replica.name)
        if isinstance(error, CallRejected):
            ticket.tried.update(other.name for other in able if other.context <= replica.context)
        others = any(other.accepting and other.name not in ticket.tried for other in able)
        # An answer outside the protocol may come from a proxy in front of a replica that died.
        again = error.retryable or isinstance(error, EngineProtocolError)
        if closed or not (again or (others and isinstance(error, ONLY_HERE))):
            raise error
        if ticket.attempts >= self._attempts:
            tried = ", ".join(sorted({*ticket.tried, replica.name}))
            error.add_note(f"{self._pool} tried {ticket.attempts} times: {tried}")
            raise error
        self._tally.restarts += 1
        log.info("call_restarted", pool=self._pool, replica=replica.name, error=str(error))
        if isinstance(error, ProcessExhausted):
            return ticket.attempts * error.retry_after * random.uniform(0.5, 1.5)
        if others or not isinstance(error, Overloaded):
            return 0.0
        # Not all at once: calls that were refused together would come back together.
        return min(error.retry_after, self._patience) * random.uniform(1.0, 1.25)
