from __future__ import annotations

import asyncio
from random import Random

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
from workers.calls import Call
from workers.engines.simulator.engine import Fault, Simulator
from workers.pool.member import Member, Sharing


@virtual_time
async def test_siblings_do_not_wait_for_a_prime_where_there_is_no_cache() -> None:
    engines = simulators(1, cache_blocks=0)
    async with pool_of(engines) as pool:
        for round_ in range(3):
            await asyncio.gather(*(chunks(pool, sibling(f"{round_}", number)) for number in range(8)))
        assert pool.snapshot().replicas[0].sharing == "never"


@virtual_time
async def test_a_prime_that_fails_is_followed_by_another() -> None:
    fault = Fault(
        kind="reset", when=lambda call: "branch 0 " in call.prompt.segments[-1].text, probability=0.9
    )
    engines = simulators(1, share_in_flight=False, faults=[fault])
    calls = [sibling("one", number) for number in range(6)]
    async with pool_of(engines) as pool:
        results = await asyncio.gather(*(chunks(pool, call) for call in calls), return_exceptions=True)
    assert [text_of(stream) for stream in results[1:] if not isinstance(stream, BaseException)] == [
        ANSWER
    ] * 5


@virtual_time
async def test_a_cancelled_prime_lets_its_siblings_go() -> None:
    engines = simulators(1, share_in_flight=False)
    async with pool_of(engines) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling("one", number))) for number in range(6)]
        await asyncio.sleep(0.02)
        assert pool.snapshot().replicas[0].held == 5
        tasks[0].cancel()
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [
        True, False, False, True, False, False,
    ]  # fmt: skip
    assert engines[0].counters().aborted == 1


@virtual_time
async def test_higher_priority_goes_first_and_tenants_take_turns() -> None:
    order: list[str] = []

    def answer(call: Call, _rng: Random) -> str:
        order.append(f"{call.tenant}:{call.priority:g}")
        return "x"

    engines = [Simulator(answer, name="one", cost=COST, max_concurrency=1)]
    members = [Member(engines[0], sharing=Sharing.IN_FLIGHT)]
    async with pool_of(members) as pool:
        first = asyncio.create_task(chunks(pool, sibling("first", 0)))
        await asyncio.sleep(0)
        waiting = [sibling(f"a{number}", 0, tenant="a", priority=number) for number in range(3)]
        waiting += [sibling("b0", 0, tenant="b")]
        await asyncio.gather(first, *(chunks(pool, call) for call in waiting))
    assert order == ["default:0", "a:2", "b:0", "a:1", "a:0"]
