from __future__ import annotations

import asyncio

import pytest

from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Prompt, Sampling, Segment
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.errors import CallRejected, EngineUnavailable
from workers.pool.observed import Observed, observed
from workers.pool.pool import Pool

COST = CostModel(latency=0.01, prefill_tokens_per_s=1_000, decode_tokens_per_s=100)
ANSWER = "four" * 10


def call(number: int, family: str = "f") -> Call:
    segments = (Segment("system", f"{family} ".ljust(640, "s")), Segment("user", f"branch {number}"))
    return Call(Prompt(segments), Sampling(max_tokens=64), family=family)


async def text(engine: Observed, asked: Call) -> str:
    return "".join([chunk.text async for chunk in engine.generate(asked)])


@virtual_time
async def test_an_engine_alone_reports_as_a_pool_of_one() -> None:
    simulator = Simulator(ANSWER, name="alone", model="m", cost=COST, max_concurrency=4)
    engine = Observed(simulator)
    assert engine.snapshot().replicas[0].state == "starting"
    await engine.capabilities()
    running = [asyncio.create_task(text(engine, call(number))) for number in range(4)]
    await asyncio.sleep(0.2)
    (one,) = engine.snapshot().replicas
    assert (one.name, one.model, one.state, one.in_flight, one.limit) == ("alone", "m", "up", 4, 4)
    assert engine.snapshot().families == 1
    assert await asyncio.gather(*running) == [ANSWER] * 4
    snapshot = engine.snapshot()
    counters = simulator.counters()
    assert snapshot.families == snapshot.replicas[0].in_flight == 0
    assert snapshot.replicas[0].finished == 4
    assert snapshot.replicas[0].prompt_tokens == counters.prompt_tokens_total
    computed = snapshot.replicas[0].prompt_tokens - snapshot.replicas[0].cached_tokens
    assert computed == counters.prompt_tokens_computed
    assert snapshot.hit_ratio == pytest.approx(snapshot.ideal_hit_ratio, abs=0.03)
    value = samples(engine.metrics())
    assert value("calls_total", replica="alone", outcome="finished") == 4
    assert value("first_token_seconds_count") == 4
    assert value("hit_ratio", replica="alone") == snapshot.hit_ratio


@virtual_time
async def test_without_a_bound_there_is_no_limit() -> None:
    engine = Observed(Simulator(ANSWER))
    await engine.capabilities()
    assert engine.snapshot().replicas[0].limit is None
    assert "in_flight_limit{" not in engine.metrics()


@virtual_time
async def test_aborts_and_failures_are_told_apart() -> None:
    simulator = Simulator(
        ANSWER,
        cost=COST,
        faults=[
            Fault(kind="reject", when=lambda asked: asked.family == "bad"),
            Fault(kind="reset", after_tokens=3, when=lambda asked: asked.family == "cut"),
        ],
    )
    engine = Observed(simulator)
    with pytest.raises(CallRejected):
        await text(engine, call(0, "bad"))
    with pytest.raises(Exception, match="injected"):
        await text(engine, call(0, "cut"))
    stream = engine.generate(call(0))
    for _ in range(2):
        await anext(stream)
    await stream.aclose()
    (one,) = engine.snapshot().replicas
    assert (one.finished, one.failed, one.aborted) == (0, 2, 1)
    assert one.errors == {"call_rejected": 1, "engine_interrupted": 1}
    assert one.wasted_tokens == 3 + 2
    assert one.in_flight == 0
    assert simulator.counters().in_flight == 0
    assert one.state == "starting"  # nobody asked what it can do, and one reset is no death


@virtual_time
async def test_the_state_follows_what_was_seen_last() -> None:
    simulator = Simulator(ANSWER)
    engine = Observed(simulator)
    await engine.capabilities()
    simulator.kill("no power")
    assert engine.snapshot().replicas[0].state == "up"  # nobody has asked
    assert not (await engine.health()).ok
    assert (engine.snapshot().replicas[0].state, engine.snapshot().replicas[0].detail) == ("down", "no power")
    with pytest.raises(EngineUnavailable):
        await text(engine, call(0))
    simulator.revive()
    assert await text(engine, call(1)) == ANSWER
    assert engine.snapshot().replicas[0].state == "up"
    assert samples(engine.metrics())("up", replica="simulator") == 1


async def test_what_keeps_books_itself_is_taken_as_it_is() -> None:
    pool = Pool([Simulator()])
    assert observed(pool) is pool
    assert isinstance(observed(Simulator()), Observed)
    await pool.close()
