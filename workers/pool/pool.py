"""Many engines as one: placement by prefix, fair queueing, retries, recovery.

A call goes to the replica where it is expected to end first (:mod:`workers.pool.placement`). What the pool
adds to that is here: sending calls, and restarting those that failed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from workers import contract
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engine import Capabilities, Engine, Health
from workers.errors import EngineInterrupted, EngineUnavailable, Overloaded, WorkerError
from workers.pool.admission import Admission
from workers.pool.breaker import Breaker
from workers.pool.capabilities import common_capabilities
from workers.pool.dispatch import Dispatcher, why_not
from workers.pool.flight import Flight, Ticket
from workers.pool.hedging import Hedging
from workers.pool.integrity import check_integrity
from workers.pool.listening import Listening
from workers.pool.member import Member, Sharing
from workers.pool.metrics import prometheus
from workers.pool.pace import Pace
from workers.pool.placement import BRANCH, Placement
from workers.pool.replica import Replica
from workers.pool.report import PoolSnapshot, snapshot_of, snapshot_of_all
from workers.pool.retries import Retries
from workers.pool.supervision import Supervisor
from workers.pool.tally import PoolTally
from workers.pool.warming import Warming
from workers.prefix.blocks import Chains


class Pool:
    """An :class:`~workers.engine.Engine` made of several.

    The pool owns its engines: it starts them with :meth:`capabilities` and closes them. One that does not
    start, or dies later, is left out, and its health is checked ever more rarely until it is back.

    A call that fails in a way that may not recur is started again, on another replica if there is one; whose
    fault it is decides (:mod:`workers.pool.retries`). If the consumer already got part of the completion, the
    first chunk of the new attempt has ``restarted`` set, and what came before it is void.

    Args:
        replicas: engines, or members with roles. Names must differ.
        max_waiting: calls that may wait in the pool. One tenant may have three quarters of that; beyond it,
            only calls of families that are already in the pool are let in, so that what has begun can end.
        attempts: how often a call is sent before its last error is raised.
        stall_seconds: a replica that sends nothing for this long, and for longer than its past explains, has
            its health checked. If it is unhealthy, its calls are taken away; if not, only those that stay
            silent six times as long.
        patience: seconds that a call waits while no replica works before it fails.
        hedge_after: send a call a second time, to another replica, once it has waited this many times the
            average for its first token. None: never. The slower of the two is aborted.
    """

    def __init__(
        self,
        replicas: Sequence[Engine | Member],
        *,
        name: str = "pool",
        max_waiting: int = 10_000,
        attempts: int = 4,
        stall_seconds: float = 10.0,
        patience: float = 30.0,
        hedge_after: float | None = None,
    ) -> None:
        members = [item if isinstance(item, Member) else Member(item) for item in replicas]
        names = [member.engine.name for member in members]
        if not members or len(set(names)) < len(names):
            raise ValueError(f"a pool needs one engine or more, each with a name of its own, not {names}")
        if max_waiting < 1 or attempts < 1:
            raise ValueError("max_waiting and attempts must be 1 or more")
        self._name = name
        self._patience = patience
        paces = {member.roles: Pace() for member in members}  # one per model, judging by the roles
        self._replicas = [Replica(member, Breaker(), paces[member.roles]) for member in members]
        self._placement = placement = Placement(self._replicas)
        self._dispatcher = Dispatcher(placement, self._now)
        self._supervisor = Supervisor(name, placement, self._dispatcher, stall_seconds=stall_seconds)
        self._chains = Chains()
        self._admission = Admission(
            name, placement, self._dispatcher, self._chains, max_waiting=max_waiting, patience=patience
        )
        self._tally = PoolTally()
        self._retries = Retries(
            name, placement, self._supervisor, self._tally, attempts=attempts, patience=patience
        )
        self._warming = Warming(placement, self._dispatcher, self._supervisor, self._chains, self._tally)
        self._hedging = (
            None
            if hedge_after is None
            else Hedging(hedge_after, self._dispatcher, self._supervisor, self._tally, self._next)
        )
        self._starting = asyncio.Lock()
        self._started = False
        self._closed = False

    @property
    def name(self) -> str:
        """The name given at construction."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """Start all engines that can be started, and say what all those started so far can do.

        Raises:
            EngineUnavailable: the pool was closed.
            WorkerError: the error of the first engine, if none could be started.
        """
        async with self._starting:
            if self._closed:
                raise EngineUnavailable(f"{self._name} was closed")
            if not self._started:
                await self._supervisor.open()
                self._started = True
        known = [one.capabilities for one in self._replicas if one.capabilities]
        return common_capabilities(known, frozenset().union(*(one.roles for one in self._replicas)))

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        """Stream the completion of ``call`` from the replica where it is expected to end first.

        Raises:
            Overloaded: too many calls wait, or every replica says that it has no room.
            CallRejected: the call is at fault: a replica refuses it, or fails at it and at no other.
            EngineUnavailable: no replica worked for ``patience`` seconds.
            WorkerError: what the last attempt raised.
        """
        if not self._started:
            await self.capabilities()
        ticket = self._admit(call)
        text: list[str] = []
        restarted = False
        try:
            self._supervisor.translate(ticket)
            while True:
                flight = await self._placed(ticket)
                stream: Listening | None = None
                first: Chunk | None = None
                pause = 0.0
                try:
                    await call.permitted()
                    flight.sent_at = self._now()
                    stream = flight.stream = Listening(flight.replica.engine, call)
                    if self._hedging is not None:
                        flight, stream, first = await self._hedging.first_chunk(flight, stream)
                    while True:
                        chunk, first = first or await self._next(flight, stream), None
                        if restarted:
                            chunk, restarted = replace(chunk, restarted=True), False
                        if chunk.restarted:
                            text.clear()
                        ticket.streamed += chunk.tokens
                        if chunk.text:
                            text.append(chunk.text)
                        if chunk.finish_reason is None:
                            yield chunk
                            continue
                        self._finished(flight, chunk, text)
                        self._dispatcher.land(flight)
                        yield chunk
                        return
                except WorkerError as error:
                    restarted = restarted or ticket.streamed > 0 or bool(text)
                    pause = self._retries.after(flight, error, self._now(), closed=self._closed)
                except (asyncio.CancelledError, GeneratorExit):
                    flight.replica.tally.aborted += ticket.flight is flight
                    raise
                finally:
                    try:
                        if stream is not None:
                            await stream.aclose()
                    finally:
                        if ticket.flight is flight:
                            flight.replica.tally.wasted_tokens += ticket.streamed
                            ticket.streamed = 0
                            self._dispatcher.land(flight)
                if pause:
                    await asyncio.sleep(pause)
        finally:
            self._leave(ticket)

    async def warm(self, prompt: Prompt, *, tenant: str = "default", role: str = "branch") -> bool:
        """Compute ``prompt`` ahead of the calls that will begin with it, if a replica has nothing to do.

        Nothing waits for it: it is aborted when its replica gets another call. Returns whether it was
        computed; a failure is not an error.
        """
        if not self._started or self._closed or self._dispatcher.waiting:
            return False
        return await self._warming.warm(prompt, tenant, role)

    async def health(self) -> Health:
        """Ok while the calls of branches have somewhere to go; the detail lists all that does not work.

        A replica that refuses our account is well: calls end there at once with what it says.
        """
        if self._closed:
            return Health(False, f"{self._name} was closed")
        if self._supervisor.broken:
            return Health(False, self._supervisor.broken)
        reasons = [why_not(replica) for replica in self._replicas if not replica.accepting]
        detail = "; ".join(reasons + self._supervisor.troubles)
        serving = self._placement.serving(BRANCH)
        return Health(any(one.accepting or one.refusal is not None for one in serving), detail)

    async def drain(self, name: str) -> None:
        """Send nothing more to the replica ``name``; returns when the calls that it had are done."""
        replica = self._replica(name)
        replica.draining = True
        self._dispatcher.evict(replica)
        await replica.idle.wait()

    def resume(self, name: str) -> None:
        """Send calls to a drained replica again."""
        replica = self._replica(name)
        replica.draining = False
        self._dispatcher.returned(replica)

    async def close(self) -> None:
        """Fail what waits, abort what runs, and close all engines."""
        self._closed = True
        for ticket in [*self._dispatcher.parked]:
            self._dispatcher.withdraw(ticket)
            ticket.wake(EngineUnavailable(f"{self._name} was closed"))
        for replica in self._replicas:
            waiting = replica.queue.drain()
            for flight in replica.primes:
                waiting.extend(flight.held)
            for ticket in waiting:
                self._dispatcher.withdraw(ticket)
                ticket.wake(EngineUnavailable(f"{self._name} was closed"))
        try:
            await self._supervisor.close()
        finally:
            await asyncio.gather(*(contract.close(replica.engine) for replica in self._replicas))

    def snapshot(self) -> PoolSnapshot:
        """The state of the pool now."""
        return snapshot_of_all(
            [snapshot_of(replica) for replica in self._replicas],
            self._tally,
            families=self._admission.families.present,
            waiting=self._dispatcher.waiting,
            parked=len(self._dispatcher.parked),
        )

    def metrics(self) -> str:
        """The snapshot and more, as Prometheus text."""
        return prometheus(self.snapshot(), self._tally)

    def check_integrity(self) -> None:
        """Raise AssertionError if the books do not balance."""
        check_integrity(self._replicas, self._dispatcher.parked)

    # One call

    def _admit(self, call: Call) -> Ticket[Replica]:
        if self._closed:
            raise EngineUnavailable(f"{self._name} was closed")
        self._supervisor.check()
        try:
            return self._admission.admit(call, self._now())
        except Overloaded:
            self._tally.refused += 1
            raise

    def _leave(self, ticket: Ticket[Replica]) -> None:
        self._dispatcher.withdraw(ticket)
        if ticket.flight is not None:  # it was placed, and its task was cancelled before it knew
            self._dispatcher.land(ticket.flight)
        self._admission.leave(ticket)

    async def _placed(self, ticket: Ticket[Replica]) -> Flight[Replica]:
        """Wait until ``ticket`` has a place at a replica."""
        if self._closed:
            raise EngineUnavailable(f"{self._name} was closed")
        self._dispatcher.submit(ticket)
        if ticket.refusal is not None:
            raise ticket.refusal
        if ticket.flight is None:
            loop = asyncio.get_running_loop()
            ticket.waiter = loop.create_future()
            timer = loop.call_later(self._patience, self._lose_patience, ticket)
            try:
                await ticket.waiter
            finally:
                timer.cancel()
                ticket.waiter = None
        flight = ticket.flight
        if flight is None:  # an invariant of the dispatcher: it wakes a ticket only with a place
            raise EngineUnavailable(f"{self._name} lost a call")
        self._tally.queue_wait.observe(flight.sent_at - ticket.arrived)
        return flight

    def _lose_patience(self, ticket: Ticket[Replica]) -> None:
        if ticket.flight is not None or ticket.waiter is None:
            return
        # While it waits behind others at a replica that works, patience does not apply.
        since = ticket.stranded_at
        left = self._patience if since is None else since + self._patience - self._now()
        if left <= 0 and ticket in self._dispatcher.parked:
            self._dispatcher.fail_parked(ticket, self._patience)
        else:
            seconds = left if left > 0 else self._patience
            asyncio.get_running_loop().call_later(seconds, self._lose_patience, ticket)

    async def _next(self, flight: Flight[Replica], stream: Listening) -> Chunk:
        """The next chunk, unless supervision gives the replica up meanwhile."""
        flight.silent_since = min(self._now(), flight.quiet_since)
        flight.interrupted = ""  # the previous chunk may have come just as it was interrupted
        try:
            chunk = await anext(stream)
        except StopAsyncIteration:
            raise EngineInterrupted(f"{flight.replica.name} ended a completion without a reason") from None
        finally:
            silent, flight.silent_since = flight.silent_since, math.inf
        if not (chunk.text or chunk.tokens or chunk.finish_reason):
            flight.quiet_since = silent
            return chunk
        flight.quiet_since = math.inf
        now = self._now()
        flight.replica.last_progress = now
        if flight.first_at is None:
            self._tally.began(now - flight.sent_at)
            self._dispatcher.first_token(flight)
        return chunk

    def _finished(self, flight: Flight[Replica], chunk: Chunk, text: list[str]) -> None:
        replica, ticket, usage, now = flight.replica, flight.ticket, chunk.usage, self._now()
        placement = self._placement
        if usage is not None:
            placement.learn(ticket, usage.prompt_tokens)
        replica.finished(flight, usage, placement.tokens_per_block, now)
        self._supervisor.answered(ticket)
        if usage is None:
            return
        replica.learn_hits(flight, usage.cached_tokens, placement.tokens_per_block)
        # A later call that continues this completion finds it where it was generated.
        if usage.completion_tokens >= 16 and replica.sharing is not Sharing.NEVER:
            said = Segment("assistant", "".join(text))
            prompt = Prompt((*ticket.call.prompt.segments, said))
            replica.index.remember(self._chains.of(prompt, ticket.tenant, ticket.call.functions), now)

    def _replica(self, name: str) -> Replica:
        for replica in self._replicas:
            if replica.name == name:
                return replica
        known = ", ".join(replica.name for replica in self._replicas)
        raise ValueError(f"no replica {name!r} in {self._name}; there are {known}")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
