from __future__ import annotations

import asyncio

import pytest

from tests.workers.engines.simulator.harness import ask, cached, read, read_into, say
from tests.workers.virtual_time import elapsed, virtual_time
from workers.calls import Chunk, Sampling
from workers.engines.simulator.engine import CostModel, Fault, Outage, Simulator
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineProtocolError,
    EngineUnavailable,
    Overloaded,
    WorkerError,
)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="refuse"), EngineUnavailable),
        (Fault(kind="reject"), CallRejected),
        (Fault(kind="overload", seconds=2.5), Overloaded),
        (Fault(kind="reset"), EngineInterrupted),
        (Fault(kind="reset", after_tokens=2), EngineInterrupted),
        (Fault(kind="reset", after_tokens=99), EngineInterrupted),
        (Fault(kind="garbage", after_tokens=1), EngineProtocolError),
    ],
)
@pytest.mark.parametrize("cost", [CostModel(), CostModel(decode_tokens_per_s=2000)])
async def test_a_fault_is_a_typed_error_after_its_tokens(
    fault: Fault, error: type[WorkerError], cost: CostModel
) -> None:
    engine = Simulator("x" * 20, cost=cost, faults=[fault])
    received: list[Chunk] = []
    with pytest.raises(error) as caught:
        await read_into(received, engine, ask())
    assert not [chunk for chunk in received if chunk.finish_reason]
    got = sum(chunk.tokens for chunk in received)
    assert got == min(fault.after_tokens, 5)
    if isinstance(caught.value, Overloaded):
        assert caught.value.retry_after == 2.5
    counters = engine.counters()
    assert (counters.failed, counters.finished, counters.in_flight) == (1, 0, 0)
    assert counters.wasted_tokens == got


@pytest.mark.parametrize("after", [0, 2])
@virtual_time
async def test_a_hang_lasts_until_the_call_is_cancelled(after: int) -> None:
    engine = Simulator("x" * 20, faults=[Fault(kind="hang", after_tokens=after)])
    received: list[Chunk] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read_into(received, engine, ask()), 0.05)
    assert sum(chunk.tokens for chunk in received) == after
    await asyncio.sleep(0)
    assert engine.counters().aborted == 1
    assert engine.counters().in_flight == 0


async def test_mangled_text_has_its_length_and_is_not_the_answer() -> None:
    engine = Simulator("the answer", faults=[Fault(kind="mangle")])
    text = await say(engine, ask())
    assert text == "t\ufffde\ufffda\ufffds\ufffde\ufffd"


@virtual_time
async def test_a_slow_call_takes_its_factor() -> None:
    engine = Simulator(cost=CostModel(latency=0.01), faults=[Fault(kind="slow", calls={1}, factor=8)])
    times = [await elapsed(read(engine, ask())) for _ in range(3)]
    assert times == pytest.approx([0.01, 0.08, 0.01])


async def test_faults_strike_by_index_by_call_and_by_chance() -> None:
    engine = Simulator(
        faults=[
            Fault(kind="refuse", calls={0, 2}),
            Fault(kind="reject", when=lambda call: call.tenant == "bad"),
        ]
    )
    outcomes = []
    for tenant in ("good", "good", "bad", "bad", "good"):
        try:
            outcomes.append(await say(engine, ask(tenant=tenant)))
        except WorkerError as error:
            outcomes.append(error.code)
    assert outcomes == ["engine_unavailable", "ok", "engine_unavailable", "call_rejected", "ok"]


async def test_chance_is_seeded_and_a_retry_draws_again() -> None:
    async def failures(seed: int) -> list[int]:
        engine = Simulator(seed=seed, faults=[Fault(kind="refuse", probability=0.3)])
        failed = []
        for index in range(300):
            try:
                await read(engine, ask(sampling=Sampling(seed=1)))
            except EngineUnavailable:
                failed.append(index)
        return failed

    assert await failures(1) == await failures(1)
    assert await failures(1) != await failures(2)
    assert 60 < len(await failures(1)) < 120


@pytest.mark.parametrize(
    "wrong", [{"probability": 1.5}, {"after_tokens": -1}, {"factor": 0}, {"seconds": -1}]
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"probability|after_tokens|factor"):
        Fault(kind="slow", **wrong)  # type: ignore[arg-type]


@virtual_time
async def test_death_fails_calls_in_every_stage_and_recovery_has_an_empty_cache() -> None:
    engine = Simulator(
        "x" * 400,
        cost=CostModel(prefill_tokens_per_s=2000, decode_tokens_per_s=200),
        max_concurrency=2,
        faults=[Fault(kind="hang", after_tokens=3, calls={2})],
    )
    long = ask("q" * 4 * 61, sampling=Sampling(max_tokens=1))
    await read(engine, long)
    assert await cached(engine, long) == 48
    hanging = asyncio.ensure_future(read(engine, ask("hang")))
    await asyncio.sleep(0.04)
    computing = asyncio.ensure_future(read(engine, ask("p" * 4 * 1000)))
    await asyncio.sleep(0)
    queued = asyncio.ensure_future(read(engine, ask("w")))
    await asyncio.sleep(0.01)
    assert (engine.counters().in_flight, engine.counters().waiting) == (2, 1)

    engine.kill("power is off")
    results = await asyncio.gather(hanging, computing, queued, return_exceptions=True)
    assert [type(r) for r in results] == [EngineInterrupted, EngineUnavailable, EngineUnavailable]
    assert (engine.counters().in_flight, engine.counters().waiting) == (0, 0)
    assert not (await engine.health()).ok
    with pytest.raises(EngineUnavailable, match="power is off"):
        await read(engine, long)
    with pytest.raises(EngineUnavailable, match="power is off"):
        await engine.capabilities()

    engine.revive()
    assert (await engine.health()).ok
    assert await cached(engine, long) == 0
    assert await cached(engine, long) == 48


@virtual_time
async def test_an_outage_comes_and_goes_by_the_clock() -> None:
    engine = Simulator(outages=[Outage(at=0.03, seconds=0.05)])
    await engine.capabilities()
    states = []
    for _ in range(3):
        states.append((await engine.health()).ok)
        await asyncio.sleep(0.05)
    assert states == [True, False, True]
