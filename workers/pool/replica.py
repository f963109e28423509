"""One engine in a pool: what was sent to it, what it holds, and how long a further call would take there."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from workers.calls import Usage
from workers.engine import Capabilities
from workers.errors import WorkerError
from workers.pool.breaker import Breaker, BreakerState
from workers.pool.flight import Flight, Ticket
from workers.pool.index import HOLD_BLOCKS, PrefixIndex
from workers.pool.member import Member, Sharing
from workers.pool.pace import InFlightLimit, Pace
from workers.pool.tally import Tally
from workers.pool.waiting import FairQueue
from workers.prefix.blocks import BLOCK_CHARACTERS, Chain

LONGEST_REST = 10.0
"""The most seconds for which a replica that said it was full is spared, whatever time it names."""

START_LIMIT = 64
MOST_IN_FLIGHT = 1024


class Replica:
    """The pool's view of one engine. Only the pool changes it."""

    def __init__(self, member: Member, breaker: Breaker, common: Pace) -> None:
        self.engine = member.engine
        self.name = member.engine.name
        self.roles = member.roles
        self.sharing = member.sharing
        self.breaker = breaker
        self.capabilities: Capabilities | None = None
        self.tells_health = True  # some gateways cannot be asked, and then only calls show it
        self.draining = False
        self.limit = InFlightLimit(START_LIMIT, MOST_IN_FLIGHT)
        self.refusal: WorkerError | None = None  # it refused our account lately, whatever is sent
        self.answered_at = -math.inf  # when a call was last answered
        self.rests_until = -math.inf  # it said that it is full until then; calls go there only if they must
        self.pace = Pace(common)
        self.index = PrefixIndex(member.index_blocks)
        self.queue: FairQueue[Ticket[Replica]] = FairQueue()
        self.flights: dict[Flight[Replica], None] = {}
        self.back_at = -math.inf  # when it last came back
        self.left_behind = 0  # flights from before then whose consumers have not noticed; take no place
        self.warming: Flight[Replica] | None = None  # a prompt computed ahead of its calls; takes no place
        self.held = 0
        # Blocks that are being computed, if they are not shared yet.
        self.computing: dict[int, Flight[Replica]] = {}
        self.pending_prefill = 0.0  # prompt tokens sent and not yet computed
        self.idle = asyncio.Event()
        self.idle.set()
        self.last_progress = 0.0
        self.latest_begun = 0.0  # when the latest call that has had a token was sent
        self.misses = 0  # calls in a row that hit nothing although much was expected
        self.tally = Tally()

    @property
    def accepting(self) -> bool:
        """Whether calls may be placed here."""
        return (
            self.capabilities is not None
            and not self.draining
            and self.refusal is None
            and (self.breaker.state is BreakerState.CLOSED or self.on_trial)
        )

    @property
    def on_trial(self) -> bool:
        """Whether it came back and has not answered a call since."""
        return self.breaker.state is BreakerState.HALF_OPEN

    @property
    def context(self) -> float:
        """The longest call, in tokens; infinite if the engine does not say."""
        known = self.capabilities.max_model_len if self.capabilities is not None else None
        return math.inf if known is None else known

    def can(self, needs: Sequence[str]) -> bool:
        """Whether the engine is known to have these capabilities."""
        return self.capabilities is not None and all(getattr(self.capabilities, name) for name in needs)

    @property
    def free(self) -> bool:
        """Whether it has nothing to do."""
        return self.accepting and self.occupied == 0 and self.warming is None

    @property
    def primes(self) -> tuple[Flight[Replica], ...]:
        """The attempts that compute something, for which others may wait."""
        return (*self.flights, self.warming) if self.warming is not None else (*self.flights,)

    @property
    def room(self) -> int:
        """How many calls it takes now."""
        return self.places - (len(self.flights) - self.left_behind)

    @property
    def places(self) -> int:
        """How many calls it takes at once; on trial, only one whose prompt it has not computed yet."""
        if not self.on_trial:
            return self.limit.value
        begun = sum(flight.first_at is not None and not self.left_over(flight) for flight in self.flights)
        return min(self.limit.value, 1 + begun)

    @property
    def occupied(self) -> int:
        """How many calls are here or wait to be."""
        return len(self.flights) - self.left_behind + self.held + len(self.queue)

    def started(self, capabilities: Capabilities) -> None:
        """The engine is up and said what it can do."""
        self.capabilities = capabilities
        self.breaker.reason = ""
        known = capabilities.max_concurrency
        if known is not None:
            self.limit = InFlightLimit(min(known, MOST_IN_FLIGHT), min(known, MOST_IN_FLIGHT))

    def covered(self, chain: Chain, now: float) -> int:
        """How many leading blocks of ``chain`` a call sent now need not compute: held or being computed."""
        held = self.index.held(chain, now)
        computing = self.computing
        if not computing:
            return held
        low, high = held, len(chain)
        while low < high:
            middle = (low + high) // 2
            if chain[middle] in computing:
                low = middle + 1
            else:
                high = middle
        return low

    def expected(self, chain: Chain, now: float) -> int:
        """The same, plus what the calls before it in the queue will have computed by then."""
        covered = self.covered(chain, now)
        return max(covered, self.index.promised.covered(chain, now)) if len(self.queue) else covered

    def wait(self, ticket: Ticket[Replica], now: float) -> None:
        """Let ``ticket`` wait for a place here, where its siblings will look for its prefix."""
        ticket.replica = self
        self.queue.push(ticket)
        seconds = self.pace.service_seconds * (1 + len(self.queue) / self.limit.value)
        self.index.promise(ticket.chain, now, 2 * seconds)

    def prime_of(self, ticket: Ticket[Replica], now: float) -> Flight[Replica] | None:
        """The call that computes what ``ticket`` shares with it, if that is worth waiting for."""
        if not self.computing:
            return None
        covered = self.covered(ticket.chain, now)
        if covered - self.index.held(ticket.chain, now) < HOLD_BLOCKS:
            return None
        prime = self.computing.get(ticket.chain[covered - 1])
        # A warming may hold up the calls that it is for, and no others.
        if prime is not None and prime is self.warming and not ticket.begins_with(prime.ticket):
            return None
        return prime

    def seconds_for(self, uncached_tokens: float) -> float:
        """Expected time from now to the end of a further call that has to compute this many tokens."""
        pace, limit = self.pace, self.places
        occupied = self.occupied
        over = occupied + 1 - limit
        wait = over * pace.service_seconds / limit if over > 0 else 0.0
        prefill = pace.prefill_seconds(self.pending_prefill + uncached_tokens)
        return wait + prefill + pace.output_tokens * pace.step_seconds(min(occupied + 1, limit))

    def delayed(self, seconds: float) -> float:
        """What computing for ``seconds`` costs in total: for the call itself and for each that is here."""
        return seconds * (1 + len(self.flights))

    def send(self, ticket: Ticket[Replica], tokens_per_block: float, now: float) -> Flight[Replica]:
        """Account for a call that goes out to the engine now."""
        if self.warming is not None and not ticket.begins_with(self.warming.ticket):
            self.warming.interrupt(f"{self.name} got a call")
        flight = self._flight(ticket, tokens_per_block, now)
        self.pending_prefill += flight.uncached
        flight.prefill_ahead = self.pending_prefill
        self._announce(flight, now)
        self.flights[flight] = None
        if len(self.flights) == 1:
            self.last_progress = now
            self.idle.clear()
        ticket.flight = flight
        ticket.replica = self
        ticket.attempts += 1
        return flight

    def warm(self, ticket: Ticket[Replica], tokens_per_block: float, now: float) -> Flight[Replica]:
        """Account for a prompt that is being computed ahead of its calls."""
        flight = self.warming = self._flight(ticket, tokens_per_block, now)
        flight.prefill_ahead = flight.uncached
        flight.silent_since = now
        self._announce(flight, now)
        return flight

    def warmed(self, flight: Flight[Replica], now: float) -> None:
        """The warming is over; if it has a ``first_at``, the prompt was computed."""
        self.warming = None
        self._computed(flight)
        if flight.first_at is not None:
            self.pace.first_token(flight.prefill_ahead, flight.first_at - flight.sent_at)
            self.index.remember(flight.ticket.chain, now)

    def _flight(self, ticket: Ticket[Replica], tokens_per_block: float, now: float) -> Flight[Replica]:
        flight = Flight(ticket, self, now)
        flight.predicted_blocks = self.index.held(ticket.chain, now)
        tokens = (ticket.characters / BLOCK_CHARACTERS - flight.predicted_blocks) * tokens_per_block
        flight.uncached = max(1.0, tokens)
        return flight

    def _announce(self, flight: Flight[Replica], now: float) -> None:
        """Let siblings know what ``flight`` computes."""
        chain = flight.ticket.chain
        if self.sharing is Sharing.IN_FLIGHT:
            self.index.guess(chain, now, self.pace.prefill_seconds(flight.prefill_ahead))
        elif self.sharing is Sharing.COMPUTED:
            flight.computing = chain[flight.predicted_blocks :]
            for block in flight.computing:
                self.computing.setdefault(block, flight)

    def first_token(self, flight: Flight[Replica], now: float) -> None:
        """The prompt of ``flight`` is computed: from now on the replica holds it."""
        flight.first_at = now
        self.latest_begun = max(self.latest_begun, flight.sent_at)
        flight.batch_at_first = len(self.flights)
        self.pending_prefill = max(0.0, self.pending_prefill - flight.uncached)
        self.pace.first_token(flight.prefill_ahead, now - flight.sent_at)
        self._computed(flight)
        if self.sharing is not Sharing.NEVER:
            self.index.remember(flight.ticket.chain, now)

    def finished(
        self, flight: Flight[Replica], usage: Usage | None, tokens_per_block: float, now: float
    ) -> None:
        """The engine sent the last chunk of ``flight``."""
        self.breaker.succeeded()
        self.answered_at = now
        self.limit.coped(len(self.flights))
        tally, ticket = self.tally, flight.ticket
        tally.finished += 1
        first_at = flight.first_at if flight.first_at is not None else now
        tokens = usage.completion_tokens if usage is not None else ticket.streamed
        batch = (flight.batch_at_first + len(self.flights)) / 2
        self.pace.finished(tokens, now - first_at, now - flight.sent_at, batch)
        if usage is None:
            return
        tally.prompt_tokens += usage.prompt_tokens
        tally.cached_tokens += usage.cached_tokens
        tally.completion_tokens += usage.completion_tokens
        ideal = min(ticket.ideal_blocks * tokens_per_block, usage.prompt_tokens - 1)
        tally.ideal_cached_tokens += max(usage.cached_tokens, ideal)

    def refused(self, retry_after: float, now: float) -> None:
        """The engine said that it has no room for ``retry_after`` seconds."""
        self.limit.refused()
        self.rests_until = now + min(retry_after, LONGEST_REST)

    def failed(self, error: WorkerError) -> None:
        """Count an attempt that failed."""
        self.tally.failed += 1
        self.tally.errors[error.code] = self.tally.errors.get(error.code, 0) + 1

    def land(self, flight: Flight[Replica]) -> None:
        """The attempt is over, however it ended."""
        del self.flights[flight]
        self.left_behind -= self.left_over(flight)
        if flight.first_at is None:
            self.pending_prefill = max(0.0, self.pending_prefill - flight.uncached)
            self._computed(flight)
        if not self.flights:
            self.pending_prefill = 0.0
            self.idle.set()

    def hold(self, ticket: Ticket[Replica], prime: Flight[Replica]) -> None:
        """Let ``ticket`` wait for the first token of ``prime``."""
        prime.held[ticket] = None
        ticket.held_by = prime
        ticket.replica = self
        self.held += 1

    def let_go(self, ticket: Ticket[Replica]) -> None:
        """``ticket`` no longer waits for its prime."""
        if ticket.held_by is not None:
            del ticket.held_by.held[ticket]
            ticket.held_by = None
            self.held -= 1

    def learn_hits(self, flight: Flight[Replica], cached_tokens: int, tokens_per_block: float) -> None:
        """Correct the index with what the engine says was cached for ``flight``."""
        if self.capabilities is None or not self.capabilities.cached_token_usage:
            return
        predicted = flight.predicted_blocks
        found = round(cached_tokens / tokens_per_block)
        if cached_tokens > 0:
            self.misses = 0
            if self.sharing is Sharing.NEVER:
                self.sharing = Sharing.COMPUTED
        elif predicted >= 2 * HOLD_BLOCKS:
            self.misses += 1
            if self.misses >= 8 and self.sharing is Sharing.COMPUTED:
                self.sharing = Sharing.NEVER
                self.index.holdings.clear()
        self.index.correct(flight.ticket.chain, predicted, found)

    def left_over(self, flight: Flight[Replica]) -> bool:
        """Whether ``flight`` was sent before the engine went away, and so says nothing about it now."""
        return flight.sent_at < self.back_at

    def came_back(self, now: float) -> None:
        """The engine was gone and may have restarted: count on nothing that it held or ran."""
        self.back_at = now
        self.left_behind = len(self.flights)
        self.index.clear()

    def _computed(self, flight: Flight[Replica]) -> None:
        for block in flight.computing:
            if self.computing.get(block) is flight:
                del self.computing[block]
        flight.computing = ()
