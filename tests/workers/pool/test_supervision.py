from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

import pytest

from tests.workers.pool.harness import (
    ANSWER,
    COST,
    chunks,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.virtual_time import virtual_time
from workers.engine import Capabilities, Health
from workers.engines.simulator.engine import CostModel, Fault, Outage, Simulator
from workers.errors import EngineTimeout, EngineUnavailable
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool


async def _latencies(engines: Sequence[Simulator]) -> list[float]:
    clock = asyncio.get_running_loop().time
    latencies: list[float] = []

    async def one(pool: Pool, family: int, number: int) -> None:
        await asyncio.sleep(family * 0.15)
        began = clock()
        assert text_of(await chunks(pool, sibling(f"{family}", number))) == ANSWER
        latencies.append(clock() - began)

    async with pool_of(engines) as pool:
        await asyncio.gather(*(one(pool, family, number) for family in range(60) for number in range(4)))
    return sorted(latencies)


@virtual_time
async def test_one_dead_replica_of_three_does_not_move_the_p95() -> None:
    sound = await _latencies(simulators(3))
    engines = simulators(3)
    engines[1] = Simulator(ANSWER, name="s1", cost=COST, max_concurrency=16, outages=[Outage(at=4.0)])
    dying = await _latencies(engines)
    assert len(dying) == len(sound) == 240
    assert statistics.quantiles(dying, n=20)[-1] < 1.15 * statistics.quantiles(sound, n=20)[-1]


@virtual_time
async def test_a_dead_replica_is_left_out_until_it_is_back() -> None:
    engines = simulators(2)
    async with pool_of(engines) as pool:
        engines[0].kill()
        engines[0].take_counters()
        for number in range(20):
            await chunks(pool, sibling(f"{number}", 0))
        assert engines[0].counters().started <= 1
        assert [replica.state for replica in pool.snapshot().replicas] == ["down", "up"]
        assert (await pool.health()).ok
        engines[0].revive()
        await asyncio.sleep(31)
        assert pool.snapshot().replicas[0].state == "on trial"
        await asyncio.gather(*(chunks(pool, sibling(f"again {number}", 0)) for number in range(20)))
        assert pool.snapshot().replicas[0].state == "up"
        assert engines[0].counters().finished > 3


@pytest.mark.parametrize("after_tokens", [0, 3])
@virtual_time
async def test_a_replica_that_hangs_loses_its_calls(after_tokens: int) -> None:
    hanging = Simulator(
        ANSWER, name="hanging", cost=COST, faults=[Fault(kind="hang", after_tokens=after_tokens)]
    )
    members = [Member(hanging, sharing=Sharing.IN_FLIGHT), Member(Simulator(ANSWER, name="sound", cost=COST))]
    async with pool_of(members, stall_seconds=1.0) as pool:
        began = asyncio.get_running_loop().time()
        received = await chunks(pool, sibling("one", 0, shared=400))
        assert text_of(received) == ANSWER
        assert received[-1].worker == "sound"
        assert asyncio.get_running_loop().time() - began < 8
        assert hanging.counters().aborted == 1


@virtual_time
async def test_a_replica_that_cannot_say_how_it_is_is_given_up_at_once() -> None:
    class Frozen(Simulator):
        async def health(self) -> Health:
            if self.counters().in_flight:
                await asyncio.sleep(3600)
            return Health(True)

    frozen = Frozen(ANSWER, name="frozen", cost=COST, faults=[Fault(kind="hang")])
    members = [Member(frozen, sharing=Sharing.IN_FLIGHT), Member(Simulator(ANSWER, name="sound", cost=COST))]
    async with pool_of(members, stall_seconds=1.0) as pool:
        began = asyncio.get_running_loop().time()
        assert (await chunks(pool, sibling("one", 0, shared=400)))[-1].worker == "sound"
        assert asyncio.get_running_loop().time() - began < 5
        assert pool.snapshot().replicas[0].state == "down"


@virtual_time
async def test_calls_that_queue_inside_a_slow_server_do_not_hang() -> None:
    cost = CostModel(prefill_tokens_per_s=1_000, decode_tokens_per_s=1)
    one_by_one = Simulator(
        ANSWER * 4, cost=cost, max_concurrency=1, claims=Capabilities("m", cached_token_usage=True)
    )
    async with pool_of([Member(one_by_one, sharing=Sharing.IN_FLIGHT)]) as pool:
        calls = [sibling(f"{number}", 0, shared=400) for number in range(3)]
        received = await asyncio.gather(*(chunks(pool, call) for call in calls))
        assert [text_of(stream) for stream in received] == [ANSWER * 4] * 3
        assert asyncio.get_running_loop().time() > 200  # the last waited longer than any call may be silent
    assert one_by_one.counters().started == 3


@virtual_time
async def test_a_lost_call_among_others_that_go_on_is_given_up() -> None:
    losing = Simulator(
        ANSWER, name="s0", cost=COST, faults=[Fault(kind="hang", when=lambda call: call.family == "lost")]
    )
    members = [Member(losing, sharing=Sharing.IN_FLIGHT)]
    async with pool_of(members, stall_seconds=1.0, attempts=1) as pool:
        lost = asyncio.create_task(chunks(pool, sibling("lost", 0, shared=400)))
        while not lost.done():
            assert text_of(await chunks(pool, sibling("other", 0, shared=400))) == ANSWER
        assert asyncio.get_running_loop().time() < 10
        with pytest.raises(EngineTimeout, match="sent nothing"):
            await lost


@virtual_time
async def test_a_slow_machine_has_time_for_its_first_long_prompt() -> None:
    slow = Simulator(ANSWER, cost=CostModel(prefill_tokens_per_s=50, decode_tokens_per_s=100))
    async with pool_of([Member(slow, sharing=Sharing.IN_FLIGHT)]) as pool:
        assert text_of(await chunks(pool, sibling("long", 0, shared=20_000))) == ANSWER
        assert asyncio.get_running_loop().time() > 100


@virtual_time
async def test_a_pool_starts_with_what_works_and_takes_up_the_rest_later() -> None:
    engines = simulators(2)
    engines[0].kill("not there yet")
    async with pool_of(engines) as pool:
        assert [replica.state for replica in pool.snapshot().replicas] == ["down", "up"]
        engines[0].revive()
        await asyncio.sleep(5)
        await asyncio.gather(*(chunks(pool, sibling(f"{number}", 0)) for number in range(16)))
        assert engines[0].counters().finished > 0


@virtual_time
async def test_a_pool_without_any_working_engine_does_not_start() -> None:
    engines = simulators(2)
    for engine in engines:
        engine.kill("broken")
    pool = Pool(engines)
    with pytest.raises(EngineUnavailable, match="broken"):
        await pool.capabilities()
    health = await pool.health()
    assert not health.ok
    assert health.detail == "s0 is not running: broken; s1 is not running: broken"
    engines[1].revive()
    assert (await pool.capabilities()).model == "simulator"
    assert (await pool.health()).ok
    await pool.close()


@virtual_time
async def test_a_replica_that_dies_while_nobody_calls_is_noticed() -> None:
    engines = simulators(2)
    async with pool_of(engines) as pool:
        engines[1].kill("power cut")
        assert (await pool.health()).detail == ""
        await asyncio.sleep(12)
        health = await pool.health()
        assert (health.ok, health.detail) == (True, "s1: power cut")
        engines[0].kill("power cut")
        await asyncio.sleep(12)
        assert not (await pool.health()).ok
        engines[1].revive()
        await asyncio.sleep(30)
        assert (await pool.health()).ok


@virtual_time
async def test_a_gateway_that_tells_no_health_is_judged_by_its_calls() -> None:
    class Mute(Simulator):
        async def health(self) -> Health:
            return Health(False, "404 for whatever is asked")

    mute = Mute(ANSWER, name="mute", cost=COST)
    async with pool_of([Member(mute, sharing=Sharing.IN_FLIGHT)], patience=60.0) as pool:
        await asyncio.sleep(30)
        assert (await pool.health()).ok
        assert text_of(await chunks(pool, sibling("one", 0))) == ANSWER
        mute.kill("power cut")
        call = asyncio.create_task(chunks(pool, sibling("one", 1)))
        await asyncio.sleep(1)
        assert not call.done()
        mute.revive()
        assert text_of(await call) == ANSWER


@virtual_time
async def test_a_stalled_reader_is_not_a_stalled_replica() -> None:
    engines = simulators(1)
    async with pool_of(engines, stall_seconds=0.5) as pool:
        received = []
        async for chunk in pool.generate(sibling("slow reader", 0)):
            received.append(chunk)
            await asyncio.sleep(2.0)
        assert text_of(received) == ANSWER
        assert pool.snapshot().replicas[0].state == "up"
