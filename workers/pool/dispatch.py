"""Where each call of a pool goes, and when: placement, holding siblings back, stealing, fair waiting.

Everything here is synchronous and does no I/O: something happened (a call came, a prompt was computed, a
place became free, a replica went or came back), and :class:`Dispatcher` decides what goes out now.

The cost of a replica for a call is the expected time to the call's end there: wait for a place, the prompt
tokens that it would have to compute behind those already sent, and decoding in a fuller batch. A call stays
with the replica that holds its prefix until another gains it more than computing the prefix again takes
away, from the call itself and from every call that decodes at that replica meanwhile. So an idle
replica takes part of a large family soon, and a busy one hardly ever. (Preble, arXiv 2407.00023, section 3,
weighs the same terms over a window of three minutes.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from workers.errors import EngineUnavailable
from workers.pool.flight import Flight, Ticket
from workers.pool.replica import HOLD_BLOCKS, Replica, Sharing
from workers.prefix.blocks import BLOCK_CHARACTERS, Holdings

log = structlog.get_logger(__name__)

BRANCH = "branch"
"""The role that each planner's calls have unless it says otherwise."""

LEAST_GAIN = 0.1
"""Part of the expected time that must be gained too: the estimates are not better than that."""

STEAL_LOOK = 16
"""Waiting calls of another replica that an idle one looks at."""

STEAL_FAMILY = 256
"""Waiting calls among which the family of a stolen call is looked for."""

SEEN_BLOCKS = 262_144
"""Blocks for which the pool knows whether any replica ever computed them; measures the ideal only."""


class Family:
    """Calls that share a prefix, as the pool sees them."""

    __slots__ = ("age", "calls")

    def __init__(self, age: int) -> None:
        self.age = age
        self.calls = 0  # in the pool now


class Dispatcher:
    """The waiting room of a pool and the rules by which calls leave it.

    Args:
        replicas: all of them, in any state.
        clock: seconds, monotonic.
    """

    def __init__(self, replicas: Sequence[Replica], clock: Callable[[], float]) -> None:
        self.replicas = tuple(replicas)
        self.tokens_per_block = BLOCK_CHARACTERS / 4
        self.parked: dict[Ticket, None] = {}  # nothing that could answer them works now
        self.families: OrderedDict[str, Family] = OrderedDict()
        self._clock = clock
        self._seen: dict[tuple[Replica, ...], Holdings] = {}  # by who shares their calls
        self._serving: dict[str, tuple[Replica, ...]] = {}

    def serving(self, role: str) -> tuple[Replica, ...]:
        """The replicas for calls of ``role``: those named for it, else those for branches, else all."""
        known = self._serving.get(role)
        if known is None:
            named = tuple(replica for replica in self.replicas if role in replica.roles)
            free = tuple(replica for replica in self.replicas if not replica.roles)
            known = named or free or (self.serving(BRANCH) if role != BRANCH else self.replicas)
            if len(self._serving) < 256:  # roles come from callers
                self._serving[role] = known
                if not named and role != BRANCH and any(replica.roles for replica in self.replicas):
                    log.info("role_without_a_model", role=role, replicas=[one.name for one in known])
        return known

    def able(self, ticket: Ticket) -> tuple[Replica, ...]:
        """The replicas for ``ticket``: of those that serve its role the ones that can do what it asks for.

        Where none of them is known to, it is for all, as they would be without others beside them.
        """
        serving = self.serving(ticket.call.role)
        if not ticket.needs:
            return serving
        return tuple(replica for replica in serving if replica.can(ticket.needs)) or serving

    def family_age(self, ticket_age: int, name: str | None) -> int:
        """When the family of a call began, in calls; counts the call as one of its members."""
        if name is None:
            return ticket_age
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(ticket_age)
        else:
            self.families.move_to_end(name)
        family.calls += 1
        while len(self.families) > 10_000:
            oldest = next(iter(self.families))
            if self.families[oldest].calls:
                self.families.move_to_end(oldest)
                break
            del self.families[oldest]
        return family.age

    def left_family(self, name: str | None) -> None:
        """A call of the family left the pool."""
        if name is not None and name in self.families:
            self.families[name].calls -= 1

    @property
    def waiting(self) -> int:
        """Calls that are in the pool and not at an engine."""
        return len(self.parked) + sum(len(replica.queue) + replica.held for replica in self.replicas)

    def submit(self, ticket: Ticket) -> None:
        """Find a place for ``ticket``: it goes out, waits at a replica, or is parked until one works."""
        now = self._clock()
        if ticket.attempts == 0:
            seen = self._seen.setdefault(self.serving(ticket.call.role), Holdings(SEEN_BLOCKS))
            ticket.ideal_blocks = seen.covered(ticket.chain, now)
            seen.add(ticket.chain)
        replica = self.choose(ticket, now)
        if replica is None:
            self.parked[ticket] = None
            if ticket.stranded_at is None:
                ticket.stranded_at = now
            return
        if not replica.on_trial:
            ticket.stranded_at = None
        tokens = self.tokens(ticket)
        covered = replica.expected(ticket.chain, now) * self.tokens_per_block
        ticket.work = max(1.0, tokens - covered) + replica.pace.output_tokens
        ticket.replica = replica
        if len(replica.queue) == 0 and replica.room > 0:
            self._go(ticket, replica, now)
        else:
            replica.wait(ticket, now)

    def withdraw(self, ticket: Ticket) -> None:
        """``ticket`` does not wait any longer, wherever it did."""
        self.parked.pop(ticket, None)
        if ticket.held_by is not None and ticket.replica is not None:
            ticket.replica.let_go(ticket)
        elif ticket.queued and ticket.replica is not None:
            ticket.replica.queue.remove(ticket)

    def first_token(self, flight: Flight) -> None:
        """The engine computed the prompt of ``flight``: its siblings may go."""
        replica = flight.replica
        replica.first_token(flight, self._clock())
        self._release_siblings(flight)

    def land(self, flight: Flight) -> None:
        """An attempt is over; what it held up goes on, and its place is free."""
        replica = flight.replica
        if flight.ticket.flight is flight:
            flight.ticket.flight = None
        replica.land(flight)
        if not replica.accepting:
            self.evict(replica)
        self._release_siblings(flight)
        if len(replica.queue):
            # Others may have become the better place for what waits here since it was placed.
            idle = max(self.replicas, key=lambda other: other.room if other.accepting else 0)
            if idle is not replica and idle.room > 0:
                self.pump(idle)

    def warmed(self, flight: Flight) -> None:
        """A prompt was computed ahead of its calls, or was given up: who waited for it may go."""
        flight.replica.warmed(flight, self._clock())
        self._release_siblings(flight)

    def evict(self, replica: Replica) -> None:
        """``replica`` takes no calls now: what waits for it goes elsewhere."""
        if replica.warming is not None:
            replica.warming.interrupt(f"{replica.name} takes no calls", self._clock())
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

    def choose(self, ticket: Ticket, now: float) -> Replica | None:
        """The replica at which ``ticket`` is expected to end first, or None if none works."""
        accepting = [replica for replica in self.able(ticket) if replica.accepting]
        # A replica that failed this call gets it again only when there is no other, one that is full if there
        # is no other that has not failed it.
        untried = [replica for replica in accepting if replica.name not in ticket.tried]
        candidates = [replica for replica in untried if replica.rests_until <= now] or untried or accepting
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        home = best = candidates[0]
        home_covered = -1
        home_seconds = best_seconds = 0.0
        tokens, per_block = self.tokens(ticket), self.tokens_per_block
        for index, replica in enumerate(candidates):
            covered = replica.expected(ticket.chain, now)
            seconds = replica.seconds_for(max(1.0, tokens - covered * per_block))
            if covered > home_covered or (covered == home_covered and seconds < home_seconds):
                home, home_covered, home_seconds = replica, covered, seconds
            if index == 0 or seconds < best_seconds:
                best, best_seconds = replica, seconds
        if home is best or home_covered < HOLD_BLOCKS:
            return best
        # Where everybody queues, moving only changes who waits; an idle replica will come and steal.
        if best.room <= 0:
            return home
        again = self._again_seconds(ticket, home, best, now)
        gain = home_seconds - best_seconds
        return best if gain > max(best.delayed(again), LEAST_GAIN * home_seconds) else home

    def second(self, flight: Flight) -> Flight | None:
        """Send the call of ``flight`` to another replica too, if one has nothing better to do."""
        ticket, now = flight.ticket, self._clock()
        spare = [
            replica
            for replica in self.able(ticket)
            if replica is not flight.replica
            and replica.accepting
            and replica.room > 0
            and not len(replica.queue)
            and self._may_take(replica, ticket, now)
        ]
        if not spare:
            return None
        replica = min(spare, key=lambda other: other.seconds_for(self.tokens(ticket)))
        shadow = Ticket(ticket.call, ticket.chain, ticket.age, ticket.family_age, now)
        return replica.send(shadow, self.tokens_per_block, now)

    def tokens(self, ticket: Ticket) -> float:
        """Prompt tokens of ``ticket``, estimated from its length."""
        return ticket.characters / BLOCK_CHARACTERS * self.tokens_per_block

    def _again_seconds(self, ticket: Ticket, home: Replica, other: Replica, now: float) -> float:
        """Time that ``other`` needs to compute what ``home`` holds of the prompt and it does not."""
        missing = home.expected(ticket.chain, now) - other.expected(ticket.chain, now)
        return other.pace.prefill_seconds(max(0, missing) * self.tokens_per_block)

    def _go(self, ticket: Ticket, replica: Replica, now: float) -> None:
        if replica.sharing is Sharing.COMPUTED:
            prime = replica.prime_of(ticket, now)
            if prime is not None:
                replica.hold(ticket, prime)
                return
        replica.send(ticket, self.tokens_per_block, now)
        ticket.wake()

    def _release_siblings(self, flight: Flight) -> None:
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

    def _steal(self, replica: Replica, now: float) -> Ticket | None:
        """Take the call from another queue that gains most by running here, if one gains enough.

        A call whose prefix was not yet begun there brings its family along.
        """
        best: Ticket | None = None
        most = 0.0
        for other in self.replicas:
            if other is replica or len(other.queue) == 0:
                continue
            for ticket in other.queue.some(STEAL_LOOK):
                if not self._may_take(replica, ticket, now):
                    continue
                tokens, per_block = self.tokens(ticket), self.tokens_per_block
                there, here = other.covered(ticket.chain, now), replica.covered(ticket.chain, now)
                stay = other.seconds_for(tokens - there * per_block)
                move = replica.seconds_for(tokens - here * per_block)
                again = replica.pace.prefill_seconds(max(0, there - here) * per_block)
                gain = stay - move - replica.delayed(again)
                if gain > most:
                    best, most = ticket, gain
        if best is None or best.replica is None:
            return None
        other = best.replica
        other.queue.remove(best)
        if other.covered(best.chain, now) < HOLD_BLOCKS:
            other.promised.remove(best.chain)
            for sibling in other.queue.siblings(best, STEAL_FAMILY):
                if self._may_take(replica, sibling, now):
                    other.queue.remove(sibling)
                    replica.wait(sibling, now)
        return best

    def _may_take(self, replica: Replica, ticket: Ticket, now: float) -> bool:
        """Whether ``replica`` is for ``ticket``, has not failed it, and did not say to be full."""
        return (
            replica.rests_until <= now and replica.name not in ticket.tried and replica in self.able(ticket)
        )

    def check_integrity(self) -> None:
        """Raise AssertionError if the books do not balance; for tests, and for pools that are idle."""
        for replica in self.replicas:
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
        for ticket in self.parked:
            _balance(not ticket.queued and ticket.flight is None, "a parked call is elsewhere too")

    def fail_parked(self, ticket: Ticket, seconds: float) -> None:
        """``ticket`` waited long enough for a replica to come back."""
        if self.parked.pop(ticket, False) is None:
            able = self.able(ticket)
            reasons = "; ".join(map(why_not, able))
            retry_after = min(replica.breaker.delay for replica in able)
            ticket.wake(
                EngineUnavailable(f"no replica worked for {seconds:g} s ({reasons})", retry_after=retry_after)
            )


def why_not(replica: Replica) -> str:
    """Why a replica takes no calls, with its name."""
    reason = replica.breaker.reason or ("drained" if replica.draining else "not started")
    return reason if reason.startswith(replica.name) else f"{replica.name}: {reason}"


def _balance(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
