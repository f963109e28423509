"""Which replica each call of a pool is for.

The cost of a replica for a call is the expected time until the call ends there: waiting for a place, the
prompt tokens that it would have to compute behind those already sent, and decoding in a fuller batch. A call
stays with the replica that holds its prefix until moving to another gains it more than computing the prefix
again costs the call itself and every call that decodes at that replica meanwhile. So an idle replica soon
takes part of a large family, and a busy one hardly ever does. (Preble, arXiv 2407.00023, section 3, weighs
the same terms over a window of three minutes.)
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from workers.pool.flight import Flight, Ticket
from workers.pool.index import HOLD_BLOCKS
from workers.pool.replica import Replica
from workers.prefix.blocks import BLOCK_CHARACTERS

log = structlog.get_logger(__name__)

BRANCH = "branch"
"""The role of a planner's calls unless it says otherwise."""

LEAST_GAIN = 0.1
"""The share of the expected time that a move must gain too: the estimates are no better than that."""

STEAL_LOOK = 16
"""How many waiting calls of another replica an idle one looks at."""


class Placement:
    """Chooses replicas for calls, and changes nothing about either.

    Args:
        replicas: all of them, in any state.
    """

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = tuple(replicas)
        self.tokens_per_block = BLOCK_CHARACTERS / 4
        self._serving: dict[str, tuple[Replica, ...]] = {}

    def serving(self, role: str) -> tuple[Replica, ...]:
        """The replicas for ``role``: those named for it, else those without roles, the branches', or all."""
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

    def able(self, ticket: Ticket[Replica]) -> tuple[Replica, ...]:
        """The replicas for ``ticket``: those that serve its role and can do what it asks for.

        If none is known to be able to, all that serve its role.
        """
        serving = self.serving(ticket.call.role)
        if not ticket.needs:
            return serving
        return tuple(replica for replica in serving if replica.can(ticket.needs)) or serving

    def choose(self, ticket: Ticket[Replica], now: float) -> Replica | None:
        """The replica at which ``ticket`` is expected to end first, or None if none works."""
        accepting = [replica for replica in self.able(ticket) if replica.accepting]
        # A full replica gets this call only if all that are not full have failed it; one that has failed it
        # gets it again only if there is no other.
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
        # When every replica has a queue, moving only changes which call waits; an idle one will steal.
        if best.room <= 0:
            return home
        again = self._again_seconds(ticket, home, best, now)
        gain = home_seconds - best_seconds
        return best if gain > max(best.delayed(again), LEAST_GAIN * home_seconds) else home

    def spare(self, flight: Flight[Replica], now: float) -> Replica | None:
        """A replica with nothing better to do than take the call of ``flight`` as well, if there is one."""
        ticket = flight.ticket
        spare = [
            replica
            for replica in self.able(ticket)
            if replica is not flight.replica
            and replica.accepting
            and replica.room > 0
            and not len(replica.queue)
            and self.may_take(replica, ticket, now)
        ]
        return min(spare, key=lambda other: other.seconds_for(self.tokens(ticket)), default=None)

    def worth_stealing(self, replica: Replica, now: float) -> Ticket[Replica] | None:
        """The call in another queue that gains most by running at ``replica``, if one gains enough."""
        best: Ticket[Replica] | None = None
        most = 0.0
        for other in self.replicas:
            if other is replica or len(other.queue) == 0:
                continue
            for ticket in other.queue.some(STEAL_LOOK):
                if not self.may_take(replica, ticket, now):
                    continue
                tokens, per_block = self.tokens(ticket), self.tokens_per_block
                there, here = other.covered(ticket.chain, now), replica.covered(ticket.chain, now)
                stay = other.seconds_for(tokens - there * per_block)
                move = replica.seconds_for(tokens - here * per_block)
                again = replica.pace.prefill_seconds(max(0, there - here) * per_block)
                gain = stay - move - replica.delayed(again)
                if gain > most:
                    best, most = ticket, gain
        return best

    def may_take(self, replica: Replica, ticket: Ticket[Replica], now: float) -> bool:
        """Whether ``replica`` is for ``ticket``, has not failed it, and has not said that it is full."""
        return (
            replica.rests_until <= now and replica.name not in ticket.tried and replica in self.able(ticket)
        )

    def tokens(self, ticket: Ticket[Replica]) -> float:
        """Prompt tokens of ``ticket``, estimated from its length."""
        return ticket.characters / BLOCK_CHARACTERS * self.tokens_per_block

    def learn(self, ticket: Ticket[Replica], prompt_tokens: int) -> None:
        """The prompt of ``ticket`` turned out to have ``prompt_tokens`` tokens."""
        if ticket.characters >= BLOCK_CHARACTERS and prompt_tokens:
            seen = prompt_tokens * BLOCK_CHARACTERS / ticket.characters
            self.tokens_per_block += 0.05 * (seen - self.tokens_per_block)

    def _again_seconds(self, ticket: Ticket[Replica], home: Replica, other: Replica, now: float) -> float:
        """The time that ``other`` needs to compute what only ``home`` holds of the prompt."""
        missing = home.expected(ticket.chain, now) - other.expected(ticket.chain, now)
        return other.pace.prefill_seconds(max(0, missing) * self.tokens_per_block)
