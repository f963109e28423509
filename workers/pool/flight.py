"""A call on its way through a pool, and each attempt at it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

from workers.calls import Call
from workers.errors import EngineTimeout, WorkerError
from workers.pool.listening import Listening
from workers.prefix.blocks import Chain

R = TypeVar("R")


class Ticket(Generic[R]):
    """A call on its way through the pool. It is in one place: waiting, held, parked, or in flight.

    ``R`` is the type of its replicas; neither a ticket nor a flight uses anything of theirs.
    """

    __slots__ = (
        "age",
        "arrived",
        "attempts",
        "call",
        "chain",
        "characters",
        "failed",
        "family_age",
        "flight",
        "held_by",
        "ideal_blocks",
        "needs",
        "priority",
        "queued",
        "refusal",
        "replica",
        "stranded_at",
        "streamed",
        "tenant",
        "tried",
        "waiter",
        "work",
    )

    def __init__(self, call: Call, chain: Chain, age: int, family_age: int, arrived: float) -> None:
        self.call = call
        self.needs = _needs(call)
        self.chain = chain
        self.characters = sum(len(segment.text) for segment in call.prompt.segments)
        self.tenant = call.tenant
        self.priority = call.priority
        self.age = age
        self.family_age = family_age
        self.arrived = arrived
        self.work = 1.0
        self.queued = 0
        self.replica: R | None = None
        self.flight: Flight[R] | None = None
        self.held_by: Flight[R] | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.stranded_at: float | None = None  # since when no replica that could answer it works
        self.tried: set[str] = set()
        self.failed: dict[R, str] = {}  # replicas with an error of their own at this call, and what they said
        self.refusal: WorkerError | None = None  # why no replica takes it, for who waits for a place
        self.attempts = 0
        self.streamed = 0  # tokens of the current attempt that the consumer got
        self.ideal_blocks = 0  # leading blocks that one cache shared by all replicas would have held

    def begins_with(self, other: Ticket[R]) -> bool:
        """Whether this prompt begins with all blocks of the prompt of ``other``."""
        return self.chain[: len(other.chain)] == other.chain

    @property
    def request(self) -> Hashable:
        """What may be at fault if an engine fails at this call: its task, or just what it asks."""
        return self.call.task or (self.tenant, self.call.prompt)

    def wake(self, error: Exception | None = None) -> None:
        """Let the task that waits for a place go on, or fail."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


class Flight(Generic[R]):
    """One attempt at a call on one replica."""

    __slots__ = (
        "batch_at_first",
        "computing",
        "first_at",
        "held",
        "interrupted",
        "predicted_blocks",
        "prefill_ahead",
        "quiet_since",
        "replica",
        "sent_at",
        "silent_since",
        "stream",
        "ticket",
        "uncached",
    )

    def __init__(self, ticket: Ticket[R], replica: R, now: float) -> None:
        self.ticket = ticket
        self.replica = replica
        self.sent_at = now
        self.first_at: float | None = None
        self.predicted_blocks = 0
        self.uncached = 0.0  # prompt tokens that it has to compute
        self.prefill_ahead = 0.0  # the same, plus what was sent before it and is not computed yet
        self.batch_at_first = 1
        self.computing: Chain = ()
        self.held: dict[Ticket[R], None] = {}  # siblings that wait for its first token; ordered
        self.silent_since = math.inf  # since when it waits for the engine's next chunk
        self.quiet_since = math.inf  # since when nothing but empty chunks have come
        self.stream: Listening | None = None
        self.interrupted = ""

    def interrupt(self, reason: str) -> None:
        """Give the attempt up; whoever reads it gets an EngineTimeout."""
        if self.stream is not None and self.silent_since < math.inf and not self.interrupted:
            self.interrupted = reason
            self.stream.interrupt(EngineTimeout(reason))


def _needs(call: Call) -> tuple[str, ...]:
    """The capabilities without which an engine refuses ``call`` or ignores a part of it."""
    asked = {
        "logprobs": call.sampling.top_logprobs is not None,
        "guided_json": call.schema is not None,
        "guided_grammar": call.grammar is not None,
        "function_calls": bool(call.functions),
        "assistant_prefill": bool(call.prompt.prefill),
        "arithmetic_sampling": call.sampling.code is not None,
    }
    return tuple(name for name, needed in asked.items() if needed)
