"""Whether a call whose attempt failed is sent again, and after what delay.

Each error says whose fault it is. The request's and the account's are not tried again, except by a replica
that might do otherwise: one that takes longer calls, or has another account. A rate limit is a wait. What is
the replica's is tried again, elsewhere if possible.

An error of a replica's own (HTTP 5xx) may be either's, and what else happens there decides: if the same
request fails on two replicas, or three times on the only one, while no other does, it is the request's. So is
one at which all replicas, or the only one, break off or send nonsense, three times at least.
"""

from __future__ import annotations

import random

import structlog

from workers.errors import (
    CallRejected,
    EngineFailed,
    EngineProtocolError,
    Fault,
    Overloaded,
    ProcessExhausted,
    WorkerError,
)
from workers.pool.flight import Flight, Ticket
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.pool.supervision import EITHERS, Supervisor
from workers.pool.tally import PoolTally

log = structlog.get_logger(__name__)

FAILURES = 3
"""How often a replica fails at a request that no other replica can take, before it is the request's fault."""

EVIDENCE_SECONDS = 60.0
"""A replica that has answered nothing for longer may fail at everything by now."""

FIRST_PAUSE = 0.2
"""Seconds before such a request is sent there again; doubles."""


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

    def after(self, flight: Flight[Replica], error: WorkerError, now: float, *, closed: bool) -> float:
        """Handle a failed attempt; raises ``error``, or one that says more, if there is to be no other.

        Returns the seconds to wait before the next one. In a pool that was ``closed`` there is none.
        """
        replica, ticket = flight.replica, flight.ticket
        replica.failed(error)
        self._supervisor.blame(flight, error)
        able = self._placement.able(ticket)
        if not isinstance(error, ProcessExhausted):
            ticket.tried.add(replica.name)
        if isinstance(error, EITHERS):
            ticket.failed[replica] = str(error)
        if isinstance(error, CallRejected):
            ticket.tried.update(other.name for other in able if other.context <= replica.context)
        others = any(other.accepting and other.name not in ticket.tried for other in able)
        # An answer outside the protocol may come from a proxy in front of a replica that died.
        again = error.retryable or isinstance(error, EngineProtocolError)
        if closed or not (again or (others and error.fault in (Fault.REQUEST, Fault.ACCOUNT))):
            raise error
        if isinstance(error, EITHERS) and _at_fault(ticket, error, others, now):
            raise CallRejected(_verdict(ticket, error)) from error
        if ticket.attempts >= self._attempts:
            tried = ", ".join(sorted({*ticket.tried, replica.name}))
            error.add_note(f"{self._pool} tried {ticket.attempts} times: {tried}")
            raise error
        pause = self._pause(ticket, error, others)
        self._tally.restarts += 1
        log.info("call_restarted", pool=self._pool, replica=replica.name, error=str(error))
        return pause

    def _pause(self, ticket: Ticket[Replica], error: WorkerError, others: bool) -> float:
        """Seconds before the next attempt. Raises ``error`` if its caller has to know how long it will be."""
        if isinstance(error, ProcessExhausted):
            return ticket.attempts * error.retry_after * random.uniform(0.5, 1.5)
        if others:
            return 0.0
        # Not all at once: calls that were refused together would come back together.
        if isinstance(error, Overloaded):
            if error.retry_after > self._patience:
                raise error
            return min(self._patience, error.pause(ticket.attempts)) * random.uniform(1.0, 1.25)
        if isinstance(error, EITHERS):
            return FIRST_PAUSE * 2.0 ** (ticket.attempts - 1) * random.uniform(1.0, 1.25)
        return 0.0


def _at_fault(ticket: Ticket[Replica], error: WorkerError, others: bool, now: float) -> bool:
    """Whether a request, not the replicas that failed at it, is at fault."""
    told = isinstance(error, EngineFailed) and len(ticket.failed) > 1
    if not told and (others or ticket.attempts < FAILURES):
        return False
    return all(
        replica.breaker.only(ticket.request) and now - replica.answered_at <= EVIDENCE_SECONDS
        for replica in ticket.failed
    )


def _verdict(ticket: Ticket[Replica], error: WorkerError) -> str:
    where = " and ".join(sorted(replica.name for replica in ticket.failed))
    return f"{error} (at this request alone, {ticket.attempts} times: {where} answers others)"
