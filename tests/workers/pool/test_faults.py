"""What single bad replicas may not do to a pool: start late, refuse all calls, be away for a moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tests.workers.pool.harness import ANSWER, COST, chunks, pool_of, sibling, simulators, text_of
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engine import Capabilities, Engine
from workers.engines.simulator.engine import CostModel, Fault, FaultKind, Simulator
from workers.errors import (
    AccessRefused,
    CallRejected,
    CapabilityMissing,
    EngineTimeout,
    EngineUnavailable,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)
from workers.functions import Function
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool


class Refusing(Simulator):
    """Starts like others, then refuses each call with one error."""

    error: WorkerError | None = None

    async def generate(self, call: Call):  # type: ignore[no-untyped-def]
        if self.error is not None:
            raise self.error
        async for chunk in super().generate(call):
            yield chunk


class Slow(Simulator):
    """Takes ``seconds`` to start."""

    seconds = 0.0

    async def capabilities(self) -> Capabilities:
        await asyncio.sleep(self.seconds)
        return await super().capabilities()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (AccessRefused("the key was refused"), "down"),
        (ModelUnavailable("the model does not exist"), "down"),
        (CapabilityMissing("cannot continue an assistant's text"), "up"),
    ],
)
@virtual_time
async def test_a_replica_that_refuses_all_calls_takes_none_from_the_others(
    error: WorkerError, state: str
) -> None:
    refusing = Refusing(ANSWER, name="refusing", cost=COST)
    engines: list[Engine | Member] = [Member(refusing, sharing=Sharing.IN_FLIGHT), *simulators(2)]
    async with pool_of(engines) as pool:
        refusing.error = error
        for number in range(10):
            assert text_of(await chunks(pool, sibling(f"{number}", 0))) == ANSWER
        first = pool.snapshot().replicas[0]
        assert first.state == state
        assert first.finished == 0
        assert first.errors[error.code] > 0


@virtual_time
async def test_a_refusal_is_told_at_once_where_nobody_else_could_answer() -> None:
    refusing = Refusing(ANSWER, name="refusing", cost=COST)
    async with pool_of([Member(refusing, sharing=Sharing.IN_FLIGHT)]) as pool:
        refusing.error = AccessRefused("the key was refused")
        with pytest.raises(AccessRefused):
            await chunks(pool, sibling("one", 0))
        assert asyncio.get_running_loop().time() < 5
        with pytest.raises((AccessRefused, EngineUnavailable), match="the key was refused"):
            await chunks(pool, sibling("one", 1))
        refusing.error = None
        await asyncio.sleep(31)
        assert text_of(await chunks(pool, sibling("one", 2))) == ANSWER


@virtual_time
async def test_a_moment_without_a_replica_fails_no_call_that_waited_long() -> None:
    """Calls have waited in the queue for almost all of ``patience`` when the only replica restarts."""
    cost = CostModel(prefill_tokens_per_s=100_000, decode_tokens_per_s=10)
    one = Simulator(ANSWER, name="one", cost=cost, max_concurrency=1)
    async with pool_of([one]) as pool:
        calls = [sibling(f"{number}", 0, shared=0) for number in range(30)]
        tasks = [asyncio.create_task(chunks(pool, call)) for call in calls]
        await asyncio.sleep(29.5)
        one.kill("it restarts")
        await asyncio.sleep(2)
        one.revive()
        assert [text_of(stream) for stream in await asyncio.gather(*tasks)] == [ANSWER] * 30


@virtual_time
async def test_a_replica_that_only_looks_well_does_not_keep_calls_waiting() -> None:
    """It says that it is healthy, and fails whatever it is sent: calls still end after a while."""
    bad = Simulator(ANSWER, name="bad", cost=COST, faults=[Fault(kind="refuse")])
    async with pool_of([Member(bad, sharing=Sharing.IN_FLIGHT)]) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(20)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, EngineUnavailable) for result in results)
        assert asyncio.get_running_loop().time() < 70


@virtual_time
async def test_a_replica_that_hangs_while_it_starts_holds_up_no_pool() -> None:
    late = Slow(ANSWER, name="late", cost=COST)
    late.seconds = 100.0
    async with pool_of([late, *simulators(1)]) as pool:
        clock = asyncio.get_running_loop().time
        assert clock() < 15
        assert [replica.state for replica in pool.snapshot().replicas] == ["starting", "up"]
        assert text_of(await chunks(pool, sibling("one", 0))) == ANSWER
        await asyncio.sleep(101 - clock())
        assert [replica.state for replica in pool.snapshot().replicas] == ["up", "up"]
        received = await asyncio.gather(*(chunks(pool, sibling(f"{number}", 0)) for number in range(8)))
        assert {stream[-1].worker for stream in received} == {"late", "s0"}


def needing(what: str, number: int) -> Call:
    """A call that an engine without ``what`` cannot answer as it should."""
    call = sibling(f"{number}", 0)
    match what:
        case "logprobs":
            return replace(call, sampling=replace(call.sampling, top_logprobs=5))
        case "guided_json":
            return replace(call, schema={"type": "object"})
        case "guided_grammar":
            return replace(call, grammar="root ::= [0-9]")
        case "function_calls":
            return replace(call, functions=(Function("f", "", {}),))
        case _:
            segments = (*call.prompt.segments, Segment("assistant", "Well,"))
            return replace(call, prompt=Prompt(segments))


ABILITIES = ("logprobs", "guided_json", "guided_grammar", "function_calls", "assistant_prefill")


@pytest.mark.parametrize("what", ABILITIES)
@virtual_time
async def test_a_replica_that_joins_late_gets_no_calls_that_it_cannot_serve(what: str) -> None:
    abilities: dict[str, Any] = dict.fromkeys(ABILITIES, True)
    can = Capabilities("m", max_concurrency=1, **abilities)
    late = Slow(ANSWER, name="late", cost=COST, claims=Capabilities("other"))
    late.seconds = 50.0
    able = Simulator(ANSWER, name="able", cost=COST, max_concurrency=1, claims=can)
    async with pool_of([late, able]) as pool:
        assert await pool.capabilities() == can
        await asyncio.sleep(60 - asyncio.get_running_loop().time())
        received = await asyncio.gather(*(chunks(pool, needing(what, number)) for number in range(8)))
        assert {stream[-1].worker for stream in received} == {"able"}
        received = await asyncio.gather(*(chunks(pool, sibling(f"new {number}", 0)) for number in range(8)))
        assert {stream[-1].worker for stream in received} == {"able", "late"}
        # They wait for one that can while it is away, and take what there is if none ever could.
        await pool.drain("able")
        waits = asyncio.create_task(chunks(pool, needing(what, 9)))
        await asyncio.sleep(5)
        assert not waits.done()
        pool.resume("able")
        assert (await waits)[-1].worker == "able"
        # Runs that begin now are told what both can do.
        assert await pool.capabilities() == Capabilities("m, other")


@virtual_time
async def test_calls_that_no_replica_can_serve_are_given_to_all() -> None:
    async with pool_of([Simulator(ANSWER, name="a", cost=COST), Simulator(ANSWER, name="b")]) as pool:
        received = await asyncio.gather(*(chunks(pool, needing("logprobs", number)) for number in range(8)))
        assert {stream[-1].worker for stream in received} == {"a", "b"}


@virtual_time
async def test_a_call_that_is_too_long_for_one_replica_goes_to_one_with_more_room() -> None:
    short = [Simulator(ANSWER, name=name, cost=COST, max_model_len=900) for name in "abcdef"]
    longer = Simulator(ANSWER, name="longer", cost=COST, max_model_len=2_000)
    async with pool_of([*short, longer]) as pool:
        calls = [sibling("one", number) for number in range(8)]
        received = await asyncio.gather(*(chunks(pool, call) for call in calls))
        assert {stream[-1].worker for stream in received} == {"longer"}
        with pytest.raises(CallRejected):
            await chunks(pool, sibling("two", 0, shared=20_000))
        tried = pool.snapshot().replicas
        assert sum(one.failed for one in tried) <= len(calls) + 2
        assert all(one.state == "up" for one in tried)


@virtual_time
async def test_a_late_replica_that_fails_to_start_is_tried_again() -> None:
    late = Slow(ANSWER, name="late", cost=COST)
    late.seconds = 20.0
    late.kill("not yet")
    async with pool_of([late, *simulators(1)]) as pool:
        await asyncio.sleep(30)
        assert pool.snapshot().replicas[0].state == "down"
        late.revive()
        late.seconds = 0.0
        await asyncio.sleep(60)
        assert pool.snapshot().replicas[0].state == "on trial"


@virtual_time
async def test_a_pool_that_is_closed_gives_up_what_still_starts() -> None:
    late = Slow(ANSWER, name="late", cost=COST)
    late.seconds = 1e6
    pool = Pool([late, *simulators(1)])
    await pool.capabilities()
    await pool.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    again = Pool([late])
    starting = asyncio.create_task(again.capabilities())
    await asyncio.sleep(1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await again.close()


@virtual_time
async def test_a_second_sending_that_is_refused_says_nothing_against_its_replica() -> None:
    def straggles(call: Call) -> bool:
        return "branch 99 " in call.prompt.segments[-1].text

    slow = Fault(kind="slow", factor=100, when=straggles)
    engines = [
        Simulator(ANSWER, name="s0", cost=COST, max_concurrency=16, faults=[slow]),
        Simulator(
            ANSWER, name="s1", cost=COST, max_concurrency=16, faults=[Fault(kind="reject", when=straggles)]
        ),
    ]
    async with pool_of(engines, hedge_after=2.0) as pool:
        for number in range(30):
            await chunks(pool, sibling("f", number))
        for family in range(4):
            call = sibling(f"{family}", 99)
            with suppress(CallRejected):
                await chunks(pool, call)
        assert engines[1].counters().started >= 3
        assert pool.snapshot().replicas[1].state == "up"


@pytest.mark.parametrize("replicas", [1, 2])
@virtual_time
async def test_what_a_dead_replica_left_unread_keeps_no_place_when_it_is_back(replicas: int) -> None:
    """A consumer that reads no further learns late that its replica died; others do not wait for that."""
    engines = simulators(replicas)
    async with pool_of(engines) as pool:
        unread = pool.generate(sibling("unread", 0))
        worker = (await anext(aiter(unread))).worker
        owner = next(engine for engine in engines if engine.name == worker)
        owner.kill("it is gone")
        with suppress(EngineUnavailable):
            await chunks(pool, sibling("first", 0))
        await asyncio.sleep(20)
        owner.revive()
        async with asyncio.timeout(100):
            calls = [chunks(pool, sibling(f"later {number}", 0)) for number in range(40)]
            assert [text_of(stream) for stream in await asyncio.gather(*calls)] == [ANSWER] * 40
        assert all(replica.state == "up" for replica in pool.snapshot().replicas)
        rest = [chunk async for chunk in unread]
        assert text_of(rest) == ANSWER
        assert rest[0].restarted


@virtual_time
async def test_a_replica_that_takes_waiting_calls_takes_none_that_its_model_is_not_for() -> None:
    """The calls of a family may have several roles."""
    both = Simulator(ANSWER, name="both", cost=COST, max_concurrency=1)
    branches = Simulator(ANSWER, name="branches", cost=COST, max_concurrency=1)
    members = [Member(both, roles=frozenset({"branch", "judge"})), Member(branches, frozenset({"branch"}))]
    async with pool_of(members) as pool:
        await pool.drain("branches")
        others = [asyncio.create_task(chunks(pool, sibling("other", number))) for number in range(2)]
        await asyncio.sleep(0.01)
        calls = [replace(sibling("one", number), role=("branch", "judge")[number % 2]) for number in range(8)]
        tasks = [asyncio.create_task(chunks(pool, call)) for call in calls]
        await asyncio.sleep(0.01)
        pool.resume("branches")
        received = await asyncio.gather(*tasks)
        await asyncio.gather(*others)
        workers = [stream[-1].worker for stream in received]
        assert workers[1::2] == ["both"] * 4
        assert "branches" in workers[::2]


@virtual_time
async def test_a_trial_that_nobody_reads_to_its_end_holds_up_no_others() -> None:
    (one,) = simulators(1)
    async with pool_of([one]) as pool:
        one.kill("it is gone")
        with suppress(EngineUnavailable):
            await chunks(pool, sibling("first", 0))
        one.revive()
        unread = pool.generate(sibling("unread", 0))
        await anext(aiter(unread))
        assert pool.snapshot().replicas[0].state == "on trial"
        async with asyncio.timeout(30):
            calls = [chunks(pool, sibling(f"later {number}", 0)) for number in range(40)]
            assert [text_of(stream) for stream in await asyncio.gather(*calls)] == [ANSWER] * 40
        assert pool.snapshot().replicas[0].state == "up"
        assert text_of([chunk async for chunk in unread])


@pytest.mark.parametrize("others", ["hang", "refuse"])
@virtual_time
async def test_a_probe_that_gets_no_answer_does_not_keep_a_pool_from_starting(others: FaultKind) -> None:
    """And none of its calls goes on at the engine when the others failed."""
    faults = [Fault(kind=others, calls={0}), Fault(kind="hang", calls={1, 2})]
    engine = Simulator(ANSWER, cost=COST, faults=faults)
    pool = Pool([engine])
    async with asyncio.timeout(200):
        await pool.capabilities()
    assert pool.snapshot().replicas[0].sharing == "computed"
    assert engine.counters().in_flight == 0
    assert text_of(await chunks(pool, sibling("one", 0))) == ANSWER
    await pool.close()


class Stepwise(Simulator):
    """Sends a chunk whenever it is told to."""

    def __init__(self, *chunks: Chunk) -> None:
        super().__init__()
        self.chunks = chunks
        self.go = asyncio.Event()

    async def generate(self, call: Call):  # type: ignore[no-untyped-def]
        for chunk in self.chunks:
            await self.go.wait()
            self.go.clear()
            yield chunk
        await asyncio.Event().wait()


@virtual_time
async def test_a_call_that_was_given_up_as_its_chunk_came_can_be_given_up_again() -> None:
    engine = Stepwise(Chunk("four", 1))
    async with pool_of([Member(engine, sharing=Sharing.NEVER)], attempts=1) as pool:
        stream = pool.generate(sibling("one", 0))
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(1)
        (flight,) = pool._replicas[0].flights
        engine.go.set()
        flight.interrupt("too late")
        assert (await reading).text == "four"
        async with asyncio.timeout(100):
            with pytest.raises(EngineTimeout, match="sent nothing for"):
                await anext(stream)


@virtual_time
async def test_text_of_no_tokens_is_void_too_when_its_call_starts_again() -> None:
    """Servers that tell the tokens of a completion may send text with none."""
    engine = Stepwise(Chunk("half", 0), Chunk("whole", 0, finish_reason="stop"))
    async with pool_of([Member(engine, sharing=Sharing.NEVER)]) as pool:
        reading = asyncio.create_task(chunks(pool, sibling("one", 0)))
        await asyncio.sleep(1)
        engine.go.set()
        await asyncio.sleep(1)
        (flight,) = pool._replicas[0].flights
        flight.interrupt("too slow")
        await asyncio.sleep(1)
        engine.go.set()
        await asyncio.sleep(1)
        engine.go.set()
        assert [chunk.restarted for chunk in await reading] == [False, True, False]


@pytest.mark.parametrize("others", [0, 1])
@virtual_time
async def test_a_pool_that_is_closed_while_it_starts_is_closed(others: int) -> None:
    late = Slow(ANSWER, name="late", cost=COST)
    late.seconds = 1e6
    pool = Pool([late, *simulators(others)])
    starting = asyncio.create_task(pool.capabilities())
    call = asyncio.create_task(chunks(pool, sibling("one", 0)))
    await asyncio.sleep(1)
    await pool.close()
    async with asyncio.timeout(5):
        for task in (starting, call):
            with pytest.raises(EngineUnavailable, match="was closed"):
                await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual_time
async def test_a_replica_that_is_always_full_costs_few_calls_a_round_trip() -> None:
    full = Simulator(ANSWER, name="full", cost=COST, faults=[Fault(kind="overload", seconds=5.0)])
    engines: list[Engine | Member] = [Member(full, sharing=Sharing.IN_FLIGHT), *simulators(1)]
    async with pool_of(engines) as pool:
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in range(100):
            assert text_of(await chunks(pool, sibling(f"{number}", 0))) == ANSWER
        assert 1 <= full.counters().started <= 2 + (clock() - began) / 5


@virtual_time
async def test_replicas_that_are_all_full_are_all_asked() -> None:
    full = [Fault(kind="overload", calls=range(6), seconds=1.0)]
    engines = [Simulator(ANSWER, name=f"s{n}", cost=COST, faults=full, cache_blocks=0) for n in range(2)]
    members = [Member(engine, sharing=Sharing.NEVER) for engine in engines]
    async with pool_of(members) as pool:
        with pytest.raises(Overloaded):
            await chunks(pool, sibling("one", 0))
        assert sum(engine.counters().started for engine in engines) == 4
        calls = [chunks(pool, sibling(f"{number}", 0)) for number in range(20)]
        assert len(await asyncio.gather(*calls, return_exceptions=True)) == 20
