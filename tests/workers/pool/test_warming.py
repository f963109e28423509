"""Prompts that a pool computes ahead of their calls."""

from __future__ import annotations

import asyncio

import pytest

from tests.workers.pool.harness import (
    chunks,
    pool_of,
    sibling,
    simulators,
)
from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Prompt
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool

COST = CostModel(latency=0.005, prefill_tokens_per_s=1_000, decode_tokens_per_s=100)
SHARED = 4_000  # characters, so 1,000 tokens and a second


def member(sharing: Sharing, *, places: int = 4) -> Member:
    shares = sharing is Sharing.IN_FLIGHT
    simulator = Simulator("ok", name="s", cost=COST, max_concurrency=places, share_in_flight=shares)
    return Member(simulator, sharing=sharing)


def prefix(call: Call) -> Prompt:
    return Prompt(call.prompt.segments[:1])


async def first_token(pool: Pool, call: Call) -> float:
    """Seconds to the first token of ``call``."""
    began = asyncio.get_running_loop().time()
    stream = pool.generate(call)
    await anext(stream)
    seconds = asyncio.get_running_loop().time() - began
    async for _ in stream:
        pass
    return seconds


both = pytest.mark.parametrize("sharing", [Sharing.IN_FLIGHT, Sharing.COMPUTED])


@both
@virtual_time
async def test_a_call_finds_its_prompt_computed(sharing: Sharing) -> None:
    async with pool_of([member(sharing)]) as pool:
        cold = await first_token(pool, sibling("cold", 0))
        assert await pool.warm(prefix(sibling("warm", 0)))
        assert await first_token(pool, sibling("warm", 0)) < 0.1 < 1.0 < cold
        assert not await pool.warm(prefix(sibling("warm", 1)))  # it is there


@both
@virtual_time
async def test_a_call_that_comes_half_way_joins_in(sharing: Sharing) -> None:
    async with pool_of([member(sharing)]) as pool:
        cold = await first_token(pool, sibling("cold", 0))
        warming = asyncio.create_task(pool.warm(prefix(sibling("warm", 0))))
        await asyncio.sleep(0.6)
        assert await first_token(pool, sibling("warm", 0)) < cold - 0.5
        assert await warming


@pytest.mark.parametrize("places", [1, 4])
@pytest.mark.parametrize("shared", [0, 500])
@both
@virtual_time
async def test_another_call_is_not_held_up(sharing: Sharing, places: int, shared: int) -> None:
    """Not even one that has its first blocks in common with the warmed prompt."""
    one = member(sharing, places=places)
    prompt = prefix(sibling("warm", 0))
    other = sibling("warm" if shared else "other", 7, shared=shared)
    async with pool_of([member(sharing, places=places)]) as pool:
        alone = await first_token(pool, other)
    async with pool_of([one]) as pool:
        warming = asyncio.create_task(pool.warm(prompt))
        await asyncio.sleep(0.3)
        assert pool.snapshot().replicas[0].in_flight == 0
        assert await first_token(pool, other) <= alone + 0.001
        assert not await warming
    assert isinstance(one.engine, Simulator)
    assert one.engine.counters().aborted == 1


@virtual_time
async def test_only_what_is_long_enough_is_warmed_and_only_on_an_idle_replica() -> None:
    async with pool_of([member(Sharing.COMPUTED)]) as pool:
        assert not await pool.warm(prefix(sibling("short", 0, shared=200)))
        running = asyncio.create_task(chunks(pool, sibling("busy", 0)))
        await asyncio.sleep(0.1)
        assert not await pool.warm(prefix(sibling("long", 0)))
        await running
        two = (pool.warm(prefix(sibling(name, 0))) for name in "ab")
        assert list(await asyncio.gather(*two)) == [True, False]


@virtual_time
async def test_what_was_warmed_is_counted_apart() -> None:
    async with pool_of([member(Sharing.COMPUTED)]) as pool:
        await pool.warm(prefix(sibling("f", 0)))
        value = samples(pool.metrics())
        assert value("warmed_total") == 1
        assert value("warmed_tokens_total") == pytest.approx(1000, abs=5)
        assert value("calls_total", replica="s", outcome="finished") == 0
        assert value("first_token_seconds_count") == 0
        assert pool.snapshot().hit_ratio is None
        await chunks(pool, sibling("f", 0))
        hit_ratio = pool.snapshot().hit_ratio
        assert hit_ratio is not None
        assert hit_ratio > 0.9


@virtual_time
async def test_a_server_that_refuses_half_a_conversation_is_none_the_worse() -> None:
    refusing = Simulator(
        "ok",
        name="s",
        cost=COST,
        faults=[Fault(kind="reject", when=lambda call: call.sampling.max_tokens == 1)],
    )
    async with pool_of([Member(refusing, sharing=Sharing.COMPUTED)]) as pool:
        for _ in range(5):
            assert not await pool.warm(prefix(sibling("f", 0)))
        assert pool.snapshot().replicas[0].state == "up"


@virtual_time
async def test_a_server_that_is_gone_is_noticed() -> None:
    one = member(Sharing.COMPUTED)
    assert isinstance(one.engine, Simulator)
    async with pool_of([one]) as pool:
        one.engine.kill("power cut")
        assert not await pool.warm(prefix(sibling("f", 0)))
        assert pool.snapshot().replicas[0].state == "down"


@pytest.mark.parametrize("how", ["cancel", "drain", "kill", "close"])
@virtual_time
async def test_who_waits_for_a_warming_that_ends_early_goes_on(how: str) -> None:
    one = member(Sharing.COMPUTED)
    assert isinstance(one.engine, Simulator)
    other = Member(Simulator("ok", name="other", cost=COST), sharing=Sharing.COMPUTED)
    async with pool_of([one, other]) as pool:
        await chunks(pool, sibling("f", 0, shared=2_000))  # so that the prompt is warmed at s
        warming = asyncio.create_task(pool.warm(prefix(sibling("f", 0))))
        await asyncio.sleep(0.3)
        call = asyncio.create_task(chunks(pool, sibling("f", 0)))
        await asyncio.sleep(0)
        assert pool.snapshot().replicas[0].held == 1
        match how:
            case "cancel":
                warming.cancel()
            case "drain":
                await pool.drain("s")
            case "kill":
                one.engine.kill("power cut")
            case _:
                await pool.close()
        results = await asyncio.gather(call, warming, return_exceptions=True)
        if how == "close":
            assert isinstance(results[0], Exception)
        else:
            assert not isinstance(results[0], BaseException), results[0]
            assert results[0][-1].worker == ("s" if how == "cancel" else "other")
        assert results[1] is not True
    assert one.engine.counters().in_flight == 0


@virtual_time
async def test_a_prefix_is_warmed_when_there_is_nothing_else_to_do() -> None:
    engines = simulators(2)
    async with pool_of(engines) as pool:
        call = sibling("next", 0)
        assert await pool.warm(Prompt(call.prompt.segments[:1]))
        received = await chunks(pool, call)
        assert received[-1].usage is not None
        assert received[-1].usage.cached_tokens > 900
        busy = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(4)]
        await asyncio.sleep(0)
        assert not await pool.warm(Prompt(sibling("later", 0).prompt.segments[:1]))
        await asyncio.gather(*busy)
