"""An engine that computes nothing: scripted answers, a cost model, a prefix cache and injected faults.

It serves tests, and measurements at scales beyond the machine at hand. What it models:

- answers: scripted, looked up, sampled or computed by a function, repeatable by seed;
- time: latency, prefill for one call at a time, decoding at a rate that depends on the batch, stragglers;
- continuous batching: a limited number of calls at once, while the others wait in order of priority;
- the prefix cache of vLLM, so that ``usage.cached_tokens`` is what vLLM would report for these tokens;
- refusals, resets, hangs, garbage, slow calls, and the death of the whole engine.

What it does not model: a language model (the answers do not depend on sampling except for ``seed``,
``temperature`` 0, ``max_tokens`` and ``stop``; there are no logprobs, a schema or a grammar is ignored, and
functions cost their tokens but are called only where an answer spells a call); a real tokenizer (a token is
four characters); chunked prefill (a prompt is computed in one piece, and does not slow down those that
decode); memory pressure (a full cache evicts, but no call is preempted). Decoding keeps its own clock, so a
slow reader finds all tokens that fell due meanwhile in one chunk; but the call holds its place in the batch
until its last chunk is read.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, NoReturn

from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Health
from workers.engines.simulator.answers import Answer, Answers, sampled
from workers.engines.simulator.batch import Batch
from workers.engines.simulator.cache import BLOCK, CHARACTERS, BlockCache, block_hashes, extend
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.counters import Counters, Tally
from workers.engines.simulator.faults import Fault, FaultKind, Outage
from workers.engines.simulator.flight import Flight
from workers.engines.simulator.script import Script
from workers.errors import EngineInterrupted, EngineProtocolError, EngineUnavailable

__all__ = [
    "Answer",
    "Answers",
    "CostModel",
    "Counters",
    "Fault",
    "FaultKind",
    "Outage",
    "Simulator",
    "sampled",
]


class Simulator:
    """An :class:`~workers.engine.Engine` driven by a cost model; see the module for what it models.

    A simulator belongs to the event loop that it is first used in.

    Args:
        answers: what it says, see :data:`Answers`.
        cost: how long it takes; by default no time at all: a call is then one chunk and costs about ten
            microseconds, plus one for every 100 characters of its prompt if there is a cache.
        max_concurrency: calls that advance at the same time; the others wait, larger ``priority`` first,
            in order of arrival among equals. None: no limit.
        cache_blocks: size of the prefix cache in blocks of 16 tokens; 0: none.
        share_in_flight: whether a prompt is already shared while it is being computed, as in vLLM V1. If not,
            it is shared once its first token is generated.
        faults: what goes wrong; only the first that strikes a call applies.
        outages: when the whole engine is dead, on a clock that starts with the first use.
        max_model_len: longer calls (prompt and ``max_tokens``) are rejected. None: no limit.
        seed: governs the answers to calls without a seed, faults and jitter.
        claims: capabilities to report instead of the true ones, to exercise callers.
    """

    def __init__(
        self,
        answers: Answers = "ok",
        *,
        name: str = "simulator",
        model: str = "simulator",
        cost: CostModel | None = None,
        max_concurrency: int | None = None,
        cache_blocks: int = 16_384,
        share_in_flight: bool = True,
        faults: Sequence[Fault] = (),
        outages: Sequence[Outage] = (),
        max_model_len: int | None = None,
        seed: int = 0,
        claims: Capabilities | None = None,
    ) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency is {max_concurrency}: give 1 or more, or None for no limit")
        self._name = name
        self._cost = cost or CostModel()
        self._script = Script(name, answers, self._cost, faults, max_model_len, seed)
        rate = self._cost.decode_tokens_per_s
        self._instant_decode = not callable(rate) and math.isinf(rate)
        self._places = math.inf if max_concurrency is None else max_concurrency
        self._cache_blocks = cache_blocks
        self._share_in_flight = share_in_flight
        self._outages = tuple(outages)
        self._capabilities = claims or Capabilities(
            model=model,
            max_model_len=max_model_len,
            max_concurrency=max_concurrency,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
        )

        self._tally = Tally()
        self._calls = 0  # ever begun, which gives each call its index
        self._batch = Batch(self._places, BlockCache(cache_blocks))
        self._dead = ""  # why the engine is not running; empty while it runs
        self._timers: list[asyncio.TimerHandle] = []
        self._started = False

    @property
    def name(self) -> str:
        """The name given at construction."""
        return self._name

    async def capabilities(self) -> Capabilities:
        """What this simulator can do: by default priorities, cache salt (the tenant) and cached tokens."""
        self._start()
        if self._dead:
            raise EngineUnavailable(f"{self._name} is not running: {self._dead}")
        return self._capabilities

    async def health(self) -> Health:
        """Ok unless the engine is dead or closed."""
        self._start()
        return Health(ok=not self._dead, detail=self._dead)

    async def close(self) -> None:
        """Abort the calls in flight and refuse further ones until :meth:`revive`."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.kill("it was closed")

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Stream the answer to ``call`` token by token, or as one chunk where decoding takes no time.

        Raises:
            CallRejected: it is too long, or there is no answer for it.
            WorkerError: an injected fault; see :class:`Fault`.
            Exception: whatever a function that gives the answers raises.
        """
        self._start()
        flight = Flight(call, self._calls, self._batch)
        self._calls += 1
        self._tally.started += 1
        try:
            self._script.prepare(flight, self._dead)
            await self._admit(flight)
            await self._prefill(flight)
            while not flight.ended:
                yield await self._decode(flight)
        except (GeneratorExit, asyncio.CancelledError):
            self._end(flight, "aborted")
            raise
        except BaseException:
            self._end(flight, "failed")
            raise

    def kill(self, reason: str = "it was killed") -> None:
        """Let the engine die: calls in flight fail, further ones are refused, the cache is lost."""
        self._dead = reason
        self._batch.end()
        self._batch = Batch(self._places, BlockCache(self._cache_blocks))

    def revive(self) -> None:
        """Bring a dead engine back, with an empty cache."""
        self._dead = ""

    def counters(self) -> Counters:
        """What happened since construction, or since the counts were last taken."""
        return Counters(
            in_flight=self._batch.running,
            waiting=self._batch.waiting,
            **{name: getattr(self._tally, name) for name in Tally.__slots__},
        )

    def take_counters(self) -> Counters:
        """The same, and start again from 0. Calls in flight are not lost: the next count has their end."""
        taken = self.counters()
        self._tally = Tally()
        self._tally.peak_in_flight = self._batch.running
        return taken

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        if self._outages:
            loop = asyncio.get_running_loop()
            for outage in self._outages:
                self._timers.append(loop.call_later(outage.at, self.kill))
                if outage.seconds is not None:
                    self._timers.append(loop.call_later(outage.at + outage.seconds, self.revive))

    async def _admit(self, flight: Flight) -> None:
        """Take a place in the batch, in order of priority, and let the latency pass."""
        batch = flight.batch
        flight.running = await batch.enter(flight.call.priority, flight.index)
        self._check_alive(flight)
        self._tally.peak_in_flight = max(self._tally.peak_in_flight, batch.running)
        if self._cost.latency:
            await self._pause(flight, self._cost.latency * flight.slowness)

    async def _prefill(self, flight: Flight) -> None:
        """Look the prompt up in the cache and compute the rest of it, one call after another."""
        batch = flight.batch
        hashes = block_hashes(flight.rendered, flight.call.tenant) if self._cache_blocks else []
        flight.hashes = hashes
        hits = batch.cache.match(hashes, flight.prompt_tokens)
        flight.held = batch.cache.pin(hashes if self._share_in_flight else hashes[:hits])
        flight.cached_tokens = hits * BLOCK
        computed = flight.prompt_tokens - flight.cached_tokens
        self._tally.prompt_tokens_total += flight.prompt_tokens
        self._tally.prompt_tokens_computed += computed
        seconds = self._cost.prefill_seconds(computed)
        if seconds:
            async with batch.prefill_turn:
                await self._pause(flight, seconds)
        if not self._share_in_flight:
            flight.held += batch.cache.pin(hashes[len(flight.held) :])
        flight.decoding = True
        batch.decoding += 1
        flight.due = 0.0 if self._instant_decode else asyncio.get_running_loop().time()

    async def _decode(self, flight: Flight) -> Chunk:
        """The tokens that are due next; with the last of them the call is finished."""
        self._check_alive(flight)
        broken = flight.broken
        count = flight.limit - flight.sent
        if broken is not None and count == 0:
            await self._break(flight, broken)
        if count and not self._instant_decode:
            count = await self._due(flight, count)
        piece = flight.text[flight.sent * CHARACTERS : (flight.sent + count) * CHARACTERS]
        flight.sent += count
        self._tally.completion_tokens += count
        if broken is not None or flight.sent < flight.total:
            return Chunk(text=piece, tokens=count, worker=self._name)
        self._end(flight, "finished")
        return Chunk(
            text=piece,
            tokens=count,
            finish_reason=flight.finish_reason,
            usage=Usage(flight.prompt_tokens, flight.cached_tokens, flight.total),
            worker=self._name,
        )

    async def _due(self, flight: Flight, most: int) -> int:
        """Sleep until the next token is due; returns how many are due by then, usually one."""
        clock = asyncio.get_running_loop().time
        step = self._cost.step_seconds(flight.batch.decoding) * flight.slowness
        flight.due += step
        wait = flight.due - clock()
        if wait > 0:
            await self._pause(flight, wait)
        if step == 0:
            return most
        late = min(most - 1, max(0, int((clock() - flight.due) / step)))
        flight.due += late * step
        return 1 + late

    async def _break(self, flight: Flight, fault: Fault) -> NoReturn:
        where = f"call {flight.index} after {flight.sent} tokens (injected)"
        if fault.kind == "reset":
            raise EngineInterrupted(f"{self._name} reset {where}")
        if fault.kind == "garbage":
            raise EngineProtocolError(f"{self._name} sent garbage in {where}")
        while True:
            await self._pause(flight, None)

    async def _pause(self, flight: Flight, seconds: float | None) -> None:
        await flight.batch.pause(seconds)
        self._check_alive(flight)

    def _check_alive(self, flight: Flight) -> None:
        if not flight.batch.over:
            return
        if flight.sent:
            raise EngineInterrupted(f"{self._name} died in call {flight.index} after {flight.sent} tokens")
        raise EngineUnavailable(f"{self._name} died before call {flight.index} had a token")

    def _end(self, flight: Flight, outcome: Literal["finished", "aborted", "failed"]) -> None:
        """Settle a call once: count it, free its blocks, give its place to the next."""
        if flight.ended:
            return
        flight.ended = True
        tally = self._tally
        if outcome == "finished":
            tally.finished += 1
        else:
            tally.wasted_tokens += flight.sent
            if outcome == "aborted":
                tally.aborted += 1
            else:
                tally.failed += 1
        batch = flight.batch
        if flight.decoding:
            batch.decoding -= 1
        if flight.sent and self._cache_blocks:
            said = extend(flight.rendered, flight.text[: flight.sent * CHARACTERS])
            hashes = block_hashes(said, flight.call.tenant, flight.hashes)
            flight.held += batch.cache.pin(hashes[len(flight.held) :])
        batch.cache.release(flight.held)
        if flight.running:
            batch.leave()
