"""When each call of a pool goes out: holding siblings back, fair queueing, stealing.

Everything here is synchronous and does no I/O: something happened (a call came, a prompt was computed, a
place became free, a replica failed or came back), and :class:`Dispatcher` decides what goes out now.
"""

from __future__ import annotations

from collections.abc import Callable

from workers.errors import EngineUnavailable
from workers.pool.flight import Flight, Ticket
from workers.pool.index import HOLD_BLOCKS
from workers.pool.member import Sharing
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.prefix.holdings import Holdings

STEAL_FAMILY = 256
"""How many waiting calls are searched for the family of a stolen call."""

SEEN_BLOCKS = 262_144
"""How many blocks are remembered as computed by any replica; serves only to measure the ideal."""


class Dispatcher:
    """The waiting room of a pool and the rules by which calls leave it.

    Args:
        placement: says which replica a call is for.
        clock: seconds, monotonic.
    """

    def __init__(self, placement: Placement, clock: Callable[[], float]) -> None:
        self.parked: dict[Ticket[Replica], None] = {}  # no replica that could answer them works now
        self._placement = placement
        self._replicas = placement.replicas
        self._clock = clock
        self._seen: dict[tuple[Replica, ...], Holdings] = {}  # by the replicas that share their calls

    @property
    def waiting(self) -> int:
        """How many calls are in the pool but not at an engine."""
        return len(self.parked) + sum(len(replica.queue) + replica.held for replica in self._replicas)

    def submit(self, ticket: Ticket[Replica]) -> None:
        """Find a place for ``ticket``: it goes out, waits at a replica, or is parked until one works."""
        now = self._clock()
        if ticket.attempts == 0:
            seen = self._seen.setdefault(self._placement.serving(ticket.call.role), Holdings(SEEN_BLOCKS))
            ticket.ideal_blocks = seen.covered(ticket.chain, now)
            seen.add(ticket.chain)
        replica = self._placement.choose(ticket, now)
        if replica is None:
            refusals = [one.refusal for one in self._placement.able(ticket) if one.refusal is not None]
            if refusals:  # waiting does not help
                ticket.refusal = refusals[0]
                ticket.wake(refusals[0])
                return
            self.parked[ticket] = None
            if ticket.stranded_at is None:
                ticket.stranded_at = now
            return
        if not replica.on_trial:
            ticket.stranded_at = None
        tokens = self._placement.tokens(ticket)
        covered = replica.expected(ticket.chain, now) * self._placement.tokens_per_block
        ticket.work = max(1.0, tokens - covered) + replica.pace.output_tokens
        ticket.replica = replica
        if len(replica.queue) == 0 and replica.room > 0:
            self._go(ticket, replica, now)
        else:
            replica.wait(ticket, now)

    def withdraw(self, ticket: Ticket[Replica]) -> None:
        """``ticket`` no longer waits, wherever it did."""
        self.parked.pop(ticket, None)
        if ticket.held_by is not None and ticket.replica is not None:
            ticket.replica.let_go(ticket)
        elif ticket.queued and ticket.replica is not None:
            ticket.replica.queue.remove(ticket)

    def first_token(self, flight: Flight[Replica]) -> None:
        """The engine computed the prompt of ``flight``: its siblings may go."""
        replica = flight.replica
        replica.first_token(flight, self._clock())
        self._release_siblings(flight)

    def land(self, flight: Flight[Replica]) -> None:
        """An attempt is over: what it held up goes on, and its place is free."""
        replica = flight.replica
        if flight.ticket.flight is flight:
            flight.ticket.flight = None
        replica.land(flight)
        if not replica.accepting:
            self.evict(replica)
        self._release_siblings(flight)
        if len(replica.queue):
            # Another replica may have become better for what waits here since that was placed.
            idle = max(self._replicas, key=lambda other: other.room if other.accepting else 0)
            if idle is not replica and idle.room > 0:
                self.pump(idle)

    def warmed(self, flight: Flight[Replica]) -> None:
        """A prompt was computed ahead of its calls, or was given up: the calls that waited for it may go."""
        flight.replica.warmed(flight, self._clock())
        self._release_siblings(flight)

    def evict(self, replica: Replica) -> None:
        """``replica`` takes no calls now: what waits for it goes elsewhere."""
        if replica.warming is not None:
            replica.warming.interrupt(f"{replica.name} takes no calls")
        waiting = replica.queue.drain()
        for flight in replica.primes:
            waiting.extend(flight.held)
        for ticket in waiting:
            self.withdraw(ticket)
        for ticket in waiting:
            self.submit(ticket)

    def returned(self, replica: Replica) -> None:
        """``replica`` takes calls again."""
        parked, self.parked = list(self.parked), {}
        for ticket in parked:
            self.submit(ticket)
        self.pump(replica)

    def pump(self, replica: Replica) -> None:
        """Fill the free places of ``replica`` with what waits for it, then with what waits elsewhere."""
        now = self._clock()
        while replica.accepting and replica.room > 0:
            ticket = replica.queue.pop() or self._steal(replica, now)
            if ticket is None:
                return
            self._go(ticket, replica, now)

    def second(self, flight: Flight[Replica]) -> Flight[Replica] | None:
        """Send the call of ``flight`` to another replica too, if one has nothing better to do."""
        ticket, now = flight.ticket, self._clock()
        replica = self._placement.spare(flight, now)
        if replica is None:
            return None
        shadow: Ticket[Replica] = Ticket(ticket.call, ticket.chain, ticket.age, ticket.family_age, now)
        return replica.send(shadow, self._placement.tokens_per_block, now)

    def fail_parked(self, ticket: Ticket[Replica], seconds: float) -> None:
        """``ticket`` has waited long enough for a replica to come back: fail it."""
        if self.parked.pop(ticket, False) is None:
            able = self._placement.able(ticket)
            reasons = "; ".join(map(why_not, able))
            retry_after = min(replica.breaker.delay for replica in able)
            ticket.wake(
                EngineUnavailable(f"no replica worked for {seconds:g} s ({reasons})", retry_after=retry_after)
            )

    def _go(self, ticket: Ticket[Replica], replica: Replica, now: float) -> None:
        if replica.sharing is Sharing.COMPUTED:
            prime = replica.prime_of(ticket, now)
            if prime is not None:
                replica.hold(ticket, prime)
                return
        replica.send(ticket, self._placement.tokens_per_block, now)
        ticket.wake()

    def _release_siblings(self, flight: Flight[Replica]) -> None:
        replica = flight.replica
        siblings = list(flight.held)
        for ticket in siblings:
            replica.let_go(ticket)
        for ticket in siblings:
            if replica.accepting:
                replica.queue.push(ticket)
            else:
                self.submit(ticket)
        self.pump(replica)

    def _steal(self, replica: Replica, now: float) -> Ticket[Replica] | None:
        """Take the call from another queue that gains most by running here, if one gains enough.

        A call whose prefix has not been begun there brings its family along.
        """
        best = self._placement.worth_stealing(replica, now)
        if best is None or best.replica is None:
            return None
        other = best.replica
        other.queue.remove(best)
        if other.covered(best.chain, now) < HOLD_BLOCKS:
            other.index.promised.remove(best.chain)
            for sibling in other.queue.siblings(best, STEAL_FAMILY):
                if self._placement.may_take(replica, sibling, now):
                    other.queue.remove(sibling)
                    replica.wait(sibling, now)
        return best


def why_not(replica: Replica) -> str:
    """Why a replica takes no calls, with its name."""
    reason = str(replica.refusal or "") or replica.breaker.reason
    reason = reason or ("drained" if replica.draining else "not started")
    return reason if reason.startswith(replica.name) else f"{replica.name}: {reason}"
