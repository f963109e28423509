from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest
import structlog

from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engine import Capabilities, Engine, Health
from workers.engines.simulator.cache import BLOCK, CHARACTERS, BlockCache, block_hashes, render
from workers.engines.simulator.engine import CostModel, Fault, Outage, Simulator
from workers.errors import CallRejected, EngineTimeout, EngineUnavailable, Overloaded, WorkerError
from workers.pool.pool import Pool
from workers.pool.replica import Member, Sharing

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
async def test_how_an_engine_shares_is_found_out() -> None:
    engines = [
        Simulator(name="at once", cost=COST, share_in_flight=True),
        Simulator(name="later", cost=COST, share_in_flight=False),
        Simulator(name="never", cost=COST, cache_blocks=0),
    ]
    async with pool_of(engines) as pool:
        sharing = {replica.name: replica.sharing for replica in pool.snapshot().replicas}
    assert sharing == {"at once": "in_flight", "later": "computed", "never": "computed"}


@virtual_time
async def test_siblings_do_not_wait_for_a_prime_where_there_is_no_cache() -> None:
    engines = simulators(1, cache_blocks=0)
    async with pool_of(engines) as pool:
        for round_ in range(3):
            await asyncio.gather(*(chunks(pool, sibling(f"{round_}", number)) for number in range(8)))
        assert pool.snapshot().replicas[0].sharing == "never"


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
async def test_a_call_that_streamed_is_restarted_and_says_so() -> None:
    fault = Fault(kind="reset", after_tokens=5)
    broken = Simulator(ANSWER, name="broken", cost=COST, faults=[fault])
    sound = Simulator(ANSWER, name="sound", cost=COST)
    members = [Member(broken, sharing=Sharing.IN_FLIGHT), Member(sound, sharing=Sharing.IN_FLIGHT)]
    async with pool_of(members) as pool:
        received = await chunks(pool, sibling("one", 0))
        assert [chunk.worker for chunk in received[:5]] == ["broken"] * 5
        assert [chunk.restarted for chunk in received] == [False] * 5 + [True] + [False] * 19
        assert text_of(received) == ANSWER
        assert pool.snapshot().replicas[0].wasted_tokens == 5


@virtual_time
async def test_what_was_refused_is_not_tried_again() -> None:
    engines = simulators(3, faults=[Fault(kind="reject", when=lambda call: call.family == "bad")])
    async with pool_of(engines) as pool:
        with pytest.raises(CallRejected):
            await chunks(pool, sibling("bad", 0))
        assert sum(engine.counters().started for engine in engines) == 1
        assert [replica.state for replica in pool.snapshot().replicas] == ["up"] * 3


@virtual_time
async def test_the_last_error_is_raised_when_all_attempts_failed() -> None:
    engines = simulators(
        3, faults=[Fault(kind="reset", after_tokens=2, when=lambda call: call.family == "bad")]
    )
    async with pool_of(engines, attempts=3) as pool:
        with pytest.raises(WorkerError) as caught:
            await chunks(pool, sibling("bad", 0))
        assert "tried 3 times" in "".join(caught.value.__notes__)
        assert [engine.counters().started for engine in engines] == [1, 1, 1]


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
async def test_too_many_calls_are_refused_with_a_time_to_return() -> None:
    engines = simulators(1, max_concurrency=2)
    async with pool_of(engines, max_waiting=8) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await chunks(pool, sibling("more", 0))
        assert 0 < caught.value.retry_after <= 60
        refused = [
            result
            for result in await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(result, Overloaded)
        ]
        assert len(refused) == 2  # of ten, two run and six wait; one tenant may not fill the room
        assert text_of(await chunks(pool, sibling("more", 0))) == ANSWER


@virtual_time
async def test_what_has_begun_and_other_tenants_still_get_in() -> None:
    engines = simulators(1, max_concurrency=2)
    async with pool_of(engines, max_waiting=8) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling("begun", number))) for number in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await chunks(pool, sibling("new", 0))
        tasks.append(asyncio.create_task(chunks(pool, sibling("begun", 9))))
        tasks.append(asyncio.create_task(chunks(pool, sibling("other", 0, tenant="other"))))
        assert [text_of(stream) for stream in await asyncio.gather(*tasks)] == [ANSWER] * 10


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
async def test_a_stalled_reader_is_not_a_stalled_replica() -> None:
    engines = simulators(1)
    async with pool_of(engines, stall_seconds=0.5) as pool:
        received = []
        async for chunk in pool.generate(sibling("slow reader", 0)):
            received.append(chunk)
            await asyncio.sleep(2.0)
        assert text_of(received) == ANSWER
        assert pool.snapshot().replicas[0].state == "up"


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


@virtual_time
async def test_stragglers_are_sent_twice_and_the_faster_counts() -> None:
    def straggles(call: Call) -> bool:
        return "branch 99 " in call.prompt.segments[-1].text

    engines = simulators(2)
    engines[0] = Simulator(
        ANSWER,
        name="s0",
        cost=COST,
        max_concurrency=16,
        faults=[Fault(kind="slow", factor=1000, when=straggles)],
    )
    engines[1] = Simulator(ANSWER, name="s1", cost=COST, max_concurrency=16)
    async with pool_of(engines, hedge_after=4.0) as pool:
        for number in range(30):
            await chunks(pool, sibling("f", number))
        home = (await chunks(pool, sibling("f", 40)))[-1].worker
        assert home == "s0"
        began = asyncio.get_running_loop().time()
        received = await chunks(pool, sibling("f", 99))
        assert received[-1].worker == "s1"
        assert asyncio.get_running_loop().time() - began < 1.5
        assert text_of(received) == ANSWER
        assert engines[0].counters().aborted == 1
        assert samples(pool.metrics())("hedges_won_total") == 1


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
        replica, dispatcher = pool._replicas[0], pool._dispatcher
        assert len(replica.holdings) == 512
        assert len(replica.promised) <= 512
        assert not replica.computing
        assert len(pool._chains._stems) == 4096
        assert len(dispatcher.families) == 10_000
        assert len(dispatcher._serving) == 256
        assert len(dispatcher._seen) == 1
        assert len(pool._tenants) == len(replica.queue._calls) == len(replica.queue._tenants) == 0
