"""An engine that computes nothing: scripted answers, a cost model, a prefix cache and injected faults.

It serves tests, and measurements of scale beyond the machine at hand. What it models:

- answers: scripted, looked up, sampled or computed by a function, repeatable by seed;
- time: latency, a prefill that the calls of the engine take turns at, decoding whose rate depends on the
  batch, stragglers;
- continuous batching: so many calls at once, the others wait in order of priority;
- the prefix cache of vLLM, so that ``usage.cached_tokens`` is what vLLM would report for these tokens;
- refusals, resets, hangs, garbage, slow calls, and the death of the whole engine.

What it does not model: a language model (the answers do not depend on sampling but for ``seed``,
``temperature`` 0, ``max_tokens`` and ``stop``; there are no logprobs, and a schema is ignored); a real
tokenizer (a token is four characters); chunked prefill (a prompt is computed in one piece, and does not slow
down those that decode); pressure on memory (a full cache evicts, but no call is preempted). Decoding keeps
its own clock, so a slow reader finds all tokens that were due meanwhile in one chunk; but the call
holds its place in the batch until its last chunk is read.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Literal, NoReturn

from workers.calls import Call, Chunk, FinishReason, Usage
from workers.engine import Capabilities, Health
from workers.engines.simulator.answers import Answer, Answers, sampled, sayer
from workers.engines.simulator.batch import Batch
from workers.engines.simulator.cache import (
    BLOCK,
    CHARACTERS,
    BlockCache,
    block_hashes,
    count_tokens,
    extend,
    render,
)
from workers.engines.simulator.cost import CostModel
from workers.engines.simulator.faults import Fault, FaultKind, Outage
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineUnavailable,
    Overloaded,
)

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


@dataclass(frozen=True, slots=True)
class Counters:
    """What a simulator did. ``in_flight`` and ``waiting`` are gauges, ``peak_in_flight`` the highest so far.

    Every call that started ends as finished, aborted (its reader left) or failed. ``in_flight`` calls hold a
    place in the batch; ``waiting`` calls do not yet. ``wasted_tokens`` are the completion tokens of calls
    that did not finish. ``prompt_tokens_total`` less ``prompt_tokens_computed`` came out of the cache.
    """

    started: int = 0
    finished: int = 0
    aborted: int = 0
    failed: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    waiting: int = 0
    prompt_tokens_total: int = 0
    prompt_tokens_computed: int = 0
    completion_tokens: int = 0
    wasted_tokens: int = 0


class _Tally:
    """The counts behind :class:`Counters` that are swapped on read."""

    __slots__ = (
        "aborted",
        "completion_tokens",
        "failed",
        "finished",
        "peak_in_flight",
        "prompt_tokens_computed",
        "prompt_tokens_total",
        "started",
        "wasted_tokens",
    )

    def __init__(self) -> None:
        self.started = self.finished = self.aborted = self.failed = self.peak_in_flight = 0
        self.prompt_tokens_total = self.prompt_tokens_computed = 0
        self.completion_tokens = self.wasted_tokens = 0


class Simulator:
    """An :class:`~workers.engine.Engine` after a cost model; see the module for what it models.

    A simulator belongs to the event loop that it is first used in.

    Args:
        answers: what it says, see :data:`Answers`.
        cost: how long it takes; by default no time at all, and then a call is one chunk and costs some ten
            microseconds, and one for each 100 characters of its prompt unless there is no cache.
        max_concurrency: calls that advance at the same time; the others wait, larger ``priority`` first,
            in order of arrival among equals. None: no limit.
        cache_blocks: size of the prefix cache in blocks of 16 tokens; 0: none.
        share_in_flight: whether a prompt that is being computed is already shared, as in vLLM V1. If not, it
            is shared from its first token on.
        faults: what goes wrong; the first that strikes a call is taken.
        outages: when the whole engine is dead, on a clock that starts with the first use.
        max_model_len: longer calls (prompt and ``max_tokens``) are rejected. None: no limit.
        seed: governs the answers to calls without a seed, faults and jitter.
        claims: capabilities to report in place of the true ones, to exercise callers.
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
        self._say = sayer(answers)
        self._cost = cost or CostModel()
        rate = self._cost.decode_tokens_per_s
        self._instant_decode = not callable(rate) and math.isinf(rate)
        self._places = math.inf if max_concurrency is None else max_concurrency
        self._cache_blocks = cache_blocks
        self._share_in_flight = share_in_flight
        self._faults = tuple(faults)
        self._outages = tuple(outages)
        self._max_model_len = max_model_len
        self._seed = seed
        self._capabilities = claims or Capabilities(
            model=model,
            max_model_len=max_model_len,
            max_concurrency=max_concurrency,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
        )

        self._tally = _Tally()
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
        flight = _Flight(call, self._calls, self._batch)
        self._calls += 1
        self._tally.started += 1
        try:
            self._prepare(flight)
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
        """What happened since the construction, or since the counts were last taken."""
        return Counters(
            in_flight=self._batch.running,
            waiting=self._batch.waiting,
            **{name: getattr(self._tally, name) for name in _Tally.__slots__},
        )

    def take_counters(self) -> Counters:
        """The same, and count from 0 on. Calls in flight are not forgotten: they end in the next count."""
        taken = self.counters()
        self._tally = _Tally()
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

    def _prepare(self, flight: _Flight) -> None:
        """Refuse the call, or find out what will be said to it."""
        call, sampling = flight.call, flight.call.sampling
        fault: Fault | None
        for number, fault in enumerate(self._faults):
            if fault.strikes(flight.index, call, Random(f"{self._seed}/{flight.index}/{number}")):
                break
        else:
            fault = None
        match fault:
            case Fault(kind="reject"):
                raise CallRejected(f"{self._name} rejects call {flight.index} (injected)")
            case Fault(kind="overload", seconds=seconds):
                raise Overloaded(
                    f"{self._name} has no room for call {flight.index} (injected)", retry_after=seconds
                )
            case Fault(kind="refuse"):
                raise EngineUnavailable(f"{self._name} refuses call {flight.index} (injected)")
        if self._dead:
            raise EngineUnavailable(f"{self._name} is not running: {self._dead}")

        flight.rendered = render(call.prompt)
        flight.prompt_tokens = len(flight.rendered) // CHARACTERS
        room = self._max_model_len
        if room is not None and flight.prompt_tokens + sampling.max_tokens > room:
            raise CallRejected(
                f"the prompt has {flight.prompt_tokens} tokens and max_tokens is {sampling.max_tokens}: "
                f"together they must not exceed {room}"
            )
        text = self._say(call, lambda: self._random(flight, "answer"))
        cut = min((at for at in map(text.find, sampling.stop) if at >= 0), default=len(text))
        text = text[:cut]
        if count_tokens(text) > sampling.max_tokens:
            text = text[: sampling.max_tokens * CHARACTERS]
            flight.finish_reason = "length"
        flight.total = flight.limit = count_tokens(text)
        if self._cost.jitter:
            flight.slowness = self._random(flight, "jitter").lognormvariate(0.0, self._cost.jitter)
        match fault:
            case Fault(kind="mangle"):
                text = "".join(c if i % 2 == 0 else "\ufffd" for i, c in enumerate(text))
            case Fault(kind="slow", factor=factor):
                flight.slowness *= factor
            case Fault(kind="reset" | "hang" | "garbage", after_tokens=after):
                flight.broken = fault
                flight.limit = min(flight.total, after)
        flight.text = text

    def _random(self, flight: _Flight, purpose: str) -> Random:
        """Random numbers that depend on the prompt and the call's seed, or on its index if it has none."""
        sampling = flight.call.sampling
        if sampling.temperature == 0 and purpose == "answer":
            source = "greedy"
        elif sampling.seed is None:
            source = f"{self._seed}/{flight.index}"
        else:
            source = f"seed {sampling.seed}"
        key = f"{purpose}/{source}/{flight.rendered}".encode(errors="surrogatepass")
        return Random(int.from_bytes(blake2b(key, digest_size=8).digest()))

    async def _admit(self, flight: _Flight) -> None:
        """Take a place in the batch, in order of priority, and let the latency pass."""
        batch = flight.batch
        flight.running = await batch.enter(flight.call.priority, flight.index)
        self._check_alive(flight)
        self._tally.peak_in_flight = max(self._tally.peak_in_flight, batch.running)
        if self._cost.latency:
            await self._pause(flight, self._cost.latency * flight.slowness)

    async def _prefill(self, flight: _Flight) -> None:
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

    async def _decode(self, flight: _Flight) -> Chunk:
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

    async def _due(self, flight: _Flight, most: int) -> int:
        """Sleep until the next token is due; returns how many are due by then, which is mostly one."""
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

    async def _break(self, flight: _Flight, fault: Fault) -> NoReturn:
        where = f"call {flight.index} after {flight.sent} tokens (injected)"
        if fault.kind == "reset":
            raise EngineInterrupted(f"{self._name} reset {where}")
        if fault.kind == "garbage":
            raise EngineProtocolError(f"{self._name} sent garbage in {where}")
        while True:
            await self._pause(flight, None)

    async def _pause(self, flight: _Flight, seconds: float | None) -> None:
        await flight.batch.pause(seconds)
        self._check_alive(flight)

    def _check_alive(self, flight: _Flight) -> None:
        if not flight.batch.over:
            return
        if flight.sent:
            raise EngineInterrupted(f"{self._name} died in call {flight.index} after {flight.sent} tokens")
        raise EngineUnavailable(f"{self._name} died before call {flight.index} had a token")

    def _end(self, flight: _Flight, outcome: Literal["finished", "aborted", "failed"]) -> None:
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


class _Flight:
    """What a simulator knows about one call between its start and its end."""

    __slots__ = (
        "batch",
        "broken",
        "cached_tokens",
        "call",
        "decoding",
        "due",
        "ended",
        "finish_reason",
        "hashes",
        "held",
        "index",
        "limit",
        "prompt_tokens",
        "rendered",
        "running",
        "sent",
        "slowness",
        "text",
        "total",
    )

    def __init__(self, call: Call, index: int, batch: Batch) -> None:
        self.call = call
        self.index = index
        self.batch = batch
        self.rendered = ""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.hashes: list[int] = []  # the full blocks of the prompt
        self.held: list[int] = []  # blocks pinned in the cache
        self.text = ""
        self.total = 0  # tokens of the text
        self.limit = 0  # tokens that are sent before the fault in the stream, if there is one
        self.broken: Fault | None = None  # the fault in the stream
        self.finish_reason: FinishReason = "stop"
        self.slowness = 1.0
        self.due = 0.0  # when the last token sent was due, on the loop's clock
        self.sent = 0
        self.running = False  # holds a place in the batch
        self.decoding = False
        self.ended = False
