from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import structlog

from tests.workers.pool.harness import (
    ANSWER,
    COST,
    chunks,
    computed,
    ideal,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Prompt, Segment
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.errors import EngineUnavailable
from workers.pool.member import Member, Sharing


@pytest.mark.parametrize("in_flight", [True, False])
@virtual_time
async def test_a_family_is_computed_once(in_flight: bool) -> None:
    engines = simulators(4, share_in_flight=in_flight)
    calls = [sibling("one", number) for number in range(8)]
    async with pool_of(engines) as pool:
        received = await asyncio.gather(*(chunks(pool, call) for call in calls))
        assert [text_of(stream) for stream in received] == [ANSWER] * 8
        assert computed(engines) == ideal(calls)
        assert sum(1 for engine in engines if engine.counters().finished) == 1


@virtual_time
async def test_families_spread_over_the_replicas() -> None:
    engines = simulators(4, share_in_flight=False)
    calls = [sibling(f"{family}", number) for family in range(8) for number in range(8)]
    async with pool_of(engines) as pool:
        await asyncio.gather(*(chunks(pool, call) for call in calls))
        assert computed(engines) == ideal(calls)
        assert [engine.counters().finished for engine in engines] == [16] * 4


@virtual_time
async def test_a_large_family_is_replicated_where_that_pays() -> None:
    engines = simulators(4, share_in_flight=False)
    calls = [sibling("large", number) for number in range(160)]
    async with pool_of(engines) as pool:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(chunks(pool, call) for call in calls))
        seconds = asyncio.get_running_loop().time() - began
    assert all(engine.counters().finished > 10 for engine in engines)
    assert computed(engines) <= ideal(calls) + 3 * 1100
    # One replica would need ten rounds of 16.
    assert seconds < 0.6 * 10 * 20 / 75


@virtual_time
async def test_nested_families_share_each_their_own_part() -> None:
    engines = simulators(1, share_in_flight=False)

    def nested(part: int, leaf: int) -> Call:
        segments = (
            Segment("system", "q" * 3000),
            Segment("user", f"part {part} ".ljust(2000, "p")),
            Segment("user", f"leaf {leaf} ".ljust(100, "l")),
        )
        return Call(Prompt(segments), family="nested")

    calls = [nested(part, leaf) for part in range(3) for leaf in range(4)]
    async with pool_of(engines) as pool:
        await asyncio.gather(*(chunks(pool, call) for call in calls))
        assert computed(engines) == ideal(calls)


@virtual_time
async def test_a_continued_branch_goes_back_to_where_it_was_generated() -> None:
    engines = simulators(2, "long answer " * 60)
    async with pool_of(engines) as pool:
        first = [sibling("f", number) for number in range(64)]
        answers = await asyncio.gather(*(chunks(pool, call) for call in first))
        assert all(engine.counters().finished for engine in engines)
        for call, answer in zip(first, answers, strict=True):
            more = (Segment("assistant", text_of(answer)), Segment("user", "go on"))
            again = await chunks(pool, Call(Prompt((*call.prompt.segments, *more)), family="f"))
            assert again[-1].worker == answer[-1].worker
            assert again[-1].usage is not None
            assert again[-1].usage.prompt_tokens - again[-1].usage.cached_tokens < 40


@virtual_time
async def test_a_slow_replica_gets_fewer_calls() -> None:
    slow_cost = CostModel(latency=0.05, prefill_tokens_per_s=1_000, decode_tokens_per_s=10)
    engines = [
        Simulator(ANSWER, name="slow", cost=slow_cost, max_concurrency=16),
        Simulator(ANSWER, name="fast", cost=COST, max_concurrency=16),
    ]
    async with pool_of(engines) as pool:

        async def later(number: int) -> None:
            await asyncio.sleep(number * 0.1)
            await chunks(pool, sibling(f"{number}", 0))

        await asyncio.gather(*(later(number) for number in range(100)))
        assert engines[0].counters().finished < 20


@virtual_time
async def test_a_replica_that_is_full_hands_over_to_another() -> None:
    full = Simulator(ANSWER, name="full", cost=COST, faults=[Fault(kind="overload", seconds=5.0)])
    members = [Member(full, sharing=Sharing.IN_FLIGHT), Member(Simulator(ANSWER, name="free", cost=COST))]
    async with pool_of(members) as pool:
        received = await chunks(pool, sibling("one", 0))
        assert received[-1].worker == "free"
        assert pool.snapshot().replicas[0].state == "up"


@virtual_time
async def test_a_role_goes_to_the_member_named_for_it() -> None:
    judge, large, plain = simulators(3)
    members = [
        Member(judge, roles=frozenset({"judge"})),
        Member(large, roles=frozenset({"large", "planner"})),
        Member(plain),
    ]
    async with pool_of(members) as pool:
        for role, name in (("judge", "s0"), ("planner", "s1"), ("branch", "s2"), ("unheard of", "s2")):
            call = Call(Prompt((Segment("user", "hello"),)), role=role)
            assert (await chunks(pool, call))[-1].worker == name
        assert (await pool.capabilities()).roles == {"judge", "large", "planner"}


@virtual_time
async def test_a_role_without_a_model_goes_where_branches_go() -> None:
    small, large = simulators(2)
    members = [Member(small, roles=frozenset({"branch", "judge"})), Member(large, roles=frozenset({"large"}))]
    async with pool_of(members) as pool:
        with structlog.testing.capture_logs() as logged:
            for role in ("planner", "planner", "branch", "large"):
                call = Call(Prompt((Segment("user", "hello"),)), role=role)
                assert (await chunks(pool, call))[-1].worker == ("s1" if role == "large" else "s0")
        assert [entry["role"] for entry in logged if entry["event"] == "role_without_a_model"] == ["planner"]


@virtual_time
async def test_each_model_has_its_own_prefixes_and_its_own_health() -> None:
    small, large = simulators(2)
    members = [
        Member(small, sharing=Sharing.IN_FLIGHT),
        Member(large, roles=frozenset({"large"}), sharing=Sharing.IN_FLIGHT),
    ]
    async with pool_of(members, patience=5.0) as pool:
        call = sibling("f", 0)
        await chunks(pool, call)
        await chunks(pool, replace(call, role="large"))
        # What the small model computed is no use to the large one, so the ideal is no hit at all.
        assert computed([small, large]) == small.counters().prompt_tokens_total * 2
        assert pool.snapshot().ideal_hit_ratio == 0
        large.kill("out of memory")
        with pytest.raises(EngineUnavailable) as caught:
            await chunks(pool, replace(call, role="large"))
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 30
        health = await pool.health()
        assert health.ok  # most calls are branches
        assert "out of memory" in health.detail
        large.revive()
        small.kill("power cut")
        with pytest.raises(EngineUnavailable, match="power cut"):
            await chunks(pool, call)
        assert not (await pool.health()).ok
