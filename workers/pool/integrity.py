"""Whether the books of a pool agree with each other."""

from __future__ import annotations

from collections.abc import Iterable

from workers.pool.flight import Ticket
from workers.pool.replica import Replica


def check_integrity(replicas: Iterable[Replica], parked: Iterable[Ticket[Replica]]) -> None:
    """Raise AssertionError if the books do not balance; for tests, and for pools that are idle.

    Args:
        replicas: all of the pool.
        parked: the calls that no replica working now could answer.
    """
    for replica in replicas:
        held = sum(len(flight.held) for flight in replica.primes)
        _balance(held == replica.held, f"{replica.name} holds {held} calls and counts {replica.held}")
        for flight in replica.flights:
            _balance(flight.ticket.flight is flight, f"{replica.name} has a flight of another ticket")
        for flight in replica.primes:
            for ticket in flight.held:
                _balance(ticket.held_by is flight, f"{replica.name} holds a call that is elsewhere")
        strays = sum(1 for flight in replica.computing.values() if flight not in replica.primes)
        _balance(strays == 0, f"{replica.name} believes in {strays} blocks of calls that are over")
        if not replica.flights:
            _balance(replica.pending_prefill == 0, f"{replica.name} is idle with prompts to compute")
    for ticket in parked:
        _balance(not ticket.queued and ticket.flight is None, "a parked call is elsewhere too")


def _balance(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
