from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.workers.pool.harness import (
    ANSWER,
    COST,
    chunks,
    ideal,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Prompt, Segment
from workers.engine import Capabilities
from workers.engines.simulator.engine import Fault, Outage, Simulator
from workers.errors import EngineUnavailable, WorkerError
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool


@virtual_time
async def test_a_drained_replica_ends_its_calls_and_gets_no_more() -> None:
    engines = simulators(2)
    async with pool_of(engines) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(8)]
        await asyncio.sleep(0.01)
        await pool.drain("s0")
        assert engines[0].counters().in_flight == 0
        await asyncio.gather(*(chunks(pool, sibling(f"more {number}", 0)) for number in range(8)))
        await asyncio.gather(*tasks)
        assert engines[0].counters().finished == 4
        assert engines[0].counters().aborted == 0
        pool.resume("s0")
        await asyncio.gather(*(chunks(pool, sibling(f"last {number}", 0)) for number in range(8)))
        assert engines[0].counters().finished > 4
        with pytest.raises(ValueError, match="there are s0, s1"):
            pool.resume("s7")


@virtual_time
async def test_closing_fails_what_waits_and_what_runs() -> None:
    engines = simulators(1, max_concurrency=1)
    pool = Pool(engines)
    await pool.capabilities()
    tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(3)]
    await asyncio.sleep(0.05)
    await pool.close()
    await pool.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, EngineUnavailable) for result in results)
    with pytest.raises(EngineUnavailable):
        await chunks(pool, sibling("late", 0))


@virtual_time
async def test_calls_wait_for_a_replica_to_come_back_but_not_for_ever() -> None:
    engines = simulators(1)
    async with pool_of(engines, patience=10.0) as pool:
        engines[0].kill("power cut")
        tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(3)]
        await asyncio.sleep(1)
        assert pool.snapshot().parked == 3
        assert not (await pool.health()).ok
        engines[0].revive()
        assert [text_of(stream) for stream in await asyncio.gather(*tasks)] == [ANSWER] * 3
        engines[0].kill("for good")
        began = asyncio.get_running_loop().time()
        with pytest.raises(EngineUnavailable, match="for good"):
            await chunks(pool, sibling("late", 0))
        assert asyncio.get_running_loop().time() - began == pytest.approx(10, abs=1)


@virtual_time
async def test_the_metrics_add_up() -> None:
    engines = simulators(2, share_in_flight=False)
    calls = [sibling("one", number) for number in range(8)]
    async with pool_of(engines) as pool:
        await asyncio.gather(*(chunks(pool, call) for call in calls))
        value = samples(pool.metrics())
        snapshot = pool.snapshot()
    total = sum(engine.counters().prompt_tokens_total for engine in engines)
    for source, expected in (("computed", ideal(calls)), ("cached", total - ideal(calls))):
        counts = [value("prompt_tokens_total", replica=name, source=source) for name in ("s0", "s1")]
        assert sum(counts) == expected
    assert sum(value("calls_total", replica=name, outcome="finished") for name in ("s0", "s1")) == 8
    assert value("first_token_seconds_count") == 8
    assert value("queue_wait_seconds_bucket", le="+Inf") == 8
    assert value("breaker_state", replica="s0", state="closed") == 1
    assert value("breaker_state", replica="s0", state="open") == 0
    assert value("ideal_hit_ratio") == snapshot.ideal_hit_ratio
    assert snapshot.hit_ratio == pytest.approx((total - ideal(calls)) / total)
    assert snapshot.ideal_hit_ratio == pytest.approx(snapshot.hit_ratio, abs=0.01)


@pytest.mark.parametrize("seed", range(12))
@virtual_time
async def test_whatever_happens_each_call_ends_and_the_books_balance(seed: int) -> None:
    rng = Random(seed)
    faults = [
        Fault(kind="reset", probability=0.05, after_tokens=rng.randrange(8)),
        Fault(kind="refuse", probability=0.03),
        Fault(kind="overload", probability=0.05, seconds=0.2),
        Fault(kind="hang", probability=0.01, after_tokens=rng.randrange(4)),
        Fault(kind="garbage", probability=0.02, after_tokens=2),
        Fault(kind="slow", probability=0.05, factor=5),
    ]
    engines = [
        Simulator(
            lambda call, _rng: f"answer to {call.prompt.segments[-1].text}",
            name=f"s{number}",
            cost=COST,
            max_concurrency=rng.choice([2, 8]),
            share_in_flight=rng.random() < 0.5,
            faults=faults,
            outages=[Outage(at=rng.uniform(0.5, 4), seconds=rng.uniform(0.5, 4))],
            seed=seed,
        )
        for number in range(3)
    ]
    right = wrong = cancelled = 0
    hedge_after = 3.0 if rng.random() < 0.5 else None
    async with pool_of(engines, stall_seconds=1.0, attempts=6, hedge_after=hedge_after) as pool:

        async def one(number: int) -> None:
            nonlocal right, wrong, cancelled
            await asyncio.sleep(rng.uniform(0, 4))
            call = sibling(f"{number // 6}", number, tenant=f"t{number % 3}")
            if number % 5 == 0:
                warmings.create_task(pool.warm(Prompt(call.prompt.segments[:1]), tenant=call.tenant))
                await asyncio.sleep(rng.uniform(0, 0.5))
            try:
                async with asyncio.timeout(0.1 if number % 10 == 0 else 300):
                    text = text_of(await chunks(pool, call))
            except WorkerError:
                wrong += 1
            except TimeoutError:
                cancelled += 1
            else:
                assert text == f"answer to {call.prompt.segments[-1].text}"
                right += 1
            pool.check_integrity()

        async with asyncio.TaskGroup() as warmings:
            await asyncio.gather(*(one(number) for number in range(150)))
        assert right + wrong + cancelled == 150
        assert cancelled <= 15
        assert wrong <= 6
        await asyncio.sleep(1)
        assert all(engine.counters().in_flight == 0 for engine in engines)
        snapshot = pool.snapshot()
        assert snapshot.waiting == snapshot.families == 0


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Pool(simulators(1) + simulators(1))
    with pytest.raises(ValueError, match="one engine or more"):
        Pool([])


@virtual_time
async def test_a_pool_can_do_what_all_its_replicas_can() -> None:
    claims = Capabilities(model="b", max_model_len=100, max_concurrency=4, cached_token_usage=True)
    engines = [
        Simulator(name="a", model="a", max_concurrency=8),
        Simulator(name="b", claims=claims),
    ]
    pool = Pool(engines)
    together = await pool.capabilities()
    await pool.close()
    assert together == Capabilities(
        model="a, b", max_model_len=100, max_concurrency=12, cached_token_usage=True
    )


@virtual_time
async def test_what_a_pool_remembers_is_bounded() -> None:
    """Under more distinct prompts, families, tenants and roles than it has room for."""
    engine = Simulator("x", name="s0", max_concurrency=64)
    async with pool_of([Member(engine, sharing=Sharing.COMPUTED, index_blocks=512)]) as pool:
        for number in range(12_000):
            text = f"{number} ".ljust(64, "x")
            prompt = Prompt((Segment("system", text), Segment("user", text)))
            call = Call(prompt, family=text, tenant=f"t{number}", role=f"r{number}")
            async for _ in pool.generate(call):
                pass
        replica, admission = pool._replicas[0], pool._admission
        assert len(replica.index.holdings) == 512
        assert len(replica.index.promised) <= 512
        assert not replica.computing
        assert len(pool._chains._stems) == 4096
        assert len(admission.families) == 10_000
        assert len(pool._placement._serving) == 256
        assert len(pool._dispatcher._seen) == 1
        assert len(admission.tenants) == len(replica.queue._calls) == len(replica.queue._tenants) == 0
