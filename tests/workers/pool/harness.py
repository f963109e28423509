"""Pools of simulators, and the families of calls that they get."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engine import Engine
from workers.engines.simulator.cache import BLOCK, CHARACTERS, BlockCache, block_hashes, render
from workers.engines.simulator.engine import CostModel, Simulator
from workers.pool.member import Member
from workers.pool.pool import Pool

COST = CostModel(
    latency=0.005, prefill_tokens_per_s=10_000, decode_tokens_per_s=lambda batch: 100 / (1 + 0.02 * batch)
)
ANSWER = "four" * 20


def sibling(
    family: str, number: int, *, shared: int = 4_000, tenant: str = "default", priority: float = 0.0
) -> Call:
    stem = f"family {family} ".ljust(shared, "s")
    segments = (Segment("system", stem), Segment("user", f"branch {number} ".ljust(80, "b")))
    return Call(Prompt(segments), Sampling(max_tokens=256), family=family, tenant=tenant, priority=priority)


def simulators(
    count: int, answer: str | Callable[[Call, Random], str] = ANSWER, **options: object
) -> list[Simulator]:
    settings = {"cost": COST, "max_concurrency": 16} | options
    return [Simulator(answer, name=f"s{number}", **settings) for number in range(count)]  # type: ignore[arg-type]


@asynccontextmanager
async def pool_of(engines: Sequence[Engine | Member], **options: object) -> AsyncGenerator[Pool, None]:
    pool = Pool(engines, **options)  # type: ignore[arg-type]
    try:
        await pool.capabilities()
        for engine in engines:
            if isinstance(engine, Simulator):
                engine.take_counters()
        yield pool
        pool.check_integrity()
    finally:
        await pool.close()


async def chunks(pool: Pool, call: Call) -> list[Chunk]:
    return [chunk async for chunk in pool.generate(call)]


def text_of(received: Sequence[Chunk]) -> str:
    text = ""
    for chunk in received:
        text = chunk.text if chunk.restarted else text + chunk.text
    return text


def ideal(calls: Sequence[Call]) -> int:
    """Prompt tokens that one cache which never forgets would compute."""
    cache, computed = BlockCache(10**9), 0
    for call in calls:
        rendered = render(call.prompt)
        hashes = block_hashes(rendered, call.tenant)
        tokens = len(rendered) // CHARACTERS
        computed += tokens - BLOCK * cache.match(hashes, tokens)
        cache.pin(hashes)
    return computed


def computed(engines: Sequence[Simulator]) -> int:
    return sum(engine.counters().prompt_tokens_computed for engine in engines)
