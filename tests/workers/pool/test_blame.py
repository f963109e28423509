"""Whose fault a failed call is: a request's own is told at once, and takes no replica from the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest

from tests.workers.pool.harness import ANSWER, COST, chunks, pool_of, sibling, text_of
from tests.workers.virtual_time import elapsed, virtual_time
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Health
from workers.engines.simulator.engine import Simulator
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineFailed,
    EngineInterrupted,
    EngineProtocolError,
    ModelUnavailable,
    Overloaded,
    QuotaExhausted,
    WorkerError,
)
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool


class Failing(Simulator):
    """Starts like others, then raises what ``fails`` returns for a call."""

    def __init__(
        self,
        name: str = "one",
        fails: Callable[[Call], WorkerError | None] | None = None,
        places: int | None = None,
    ) -> None:
        super().__init__(ANSWER, name=name, cost=COST, max_concurrency=places)
        self.fails = fails or (lambda call: None)
        self.well = True
        self.asked: list[str] = []

    async def health(self) -> Health:
        return Health(self.well, "" if self.well else f"{self.name} is sick")

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.asked.append(call.family or "")
        if (error := self.fails(call)) is not None:
            raise error
        async for chunk in super().generate(call):
            yield chunk


def at(family: str, make: Callable[[], WorkerError]) -> Callable[[Call], WorkerError | None]:
    return lambda call: make() if call.family == family else None


def broken() -> WorkerError:
    return EngineFailed("one answered HTTP 500: Internal Server Error")


def alone(*engines: Simulator) -> list[Member]:
    return [Member(engine, sharing=Sharing.IN_FLIGHT) for engine in engines]


def states(pool: Pool) -> list[str]:
    return [replica.state for replica in pool.snapshot().replicas]


@virtual_time
async def test_a_request_at_which_the_only_replica_fails_is_at_fault_and_others_go_on() -> None:
    engine = Failing(fails=at("long", broken))
    async with pool_of(alone(engine)) as pool:
        others = [asyncio.create_task(chunks(pool, sibling(f"{n}", 0))) for n in range(8)]
        with pytest.raises(CallRejected, match=r"HTTP 500: Internal Server Error \(at this request alone, 3"):
            await chunks(pool, sibling("long", 0))
        assert asyncio.get_running_loop().time() < 2
        assert engine.asked.count("long") == 3
        assert states(pool) == ["up"]
        assert [text_of(stream) for stream in await asyncio.gather(*others)] == [ANSWER] * 8
        assert await elapsed(chunks(pool, sibling("next", 0))) < 2


@virtual_time
async def test_branches_of_one_question_count_as_one_request() -> None:
    """They differ in their seeds alone, so that all of them fail says nothing about the replica."""
    engine = Failing(fails=at("long", broken))
    async with pool_of(alone(engine)) as pool:
        results = await asyncio.gather(
            *(chunks(pool, sibling("long", 0)) for _ in range(16)), return_exceptions=True
        )
        assert all(isinstance(result, CallRejected) for result in results)
        assert states(pool) == ["up"]
        assert text_of(await chunks(pool, sibling("next", 0))) == ANSWER


@virtual_time
async def test_calls_of_one_task_count_as_one_request() -> None:
    """The question is in the prompts of all of them."""
    engine = Failing(fails=lambda call: broken() if call.task == "bad" else None)
    async with pool_of(alone(engine)) as pool:
        calls = [chunks(pool, replace(sibling(f"{n}", 0), task="bad")) for n in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, CallRejected) for result in results)
        assert states(pool) == ["up"]
        assert text_of(await chunks(pool, replace(sibling("next", 0), task="good"))) == ANSWER


@virtual_time
async def test_a_request_that_fails_on_two_replicas_is_at_fault() -> None:
    engines = [Failing(name, at("long", broken)) for name in "abc"]
    async with pool_of(alone(*engines)) as pool:
        with pytest.raises(CallRejected, match=r"2 times: . and . answers others"):
            await chunks(pool, sibling("long", 0))
        assert sum(len(engine.asked) for engine in engines) == 2
        assert states(pool) == ["up"] * 3


@virtual_time
async def test_a_replica_that_fails_at_everything_is_left_out() -> None:
    bad, good = Failing("bad", lambda call: broken()), Failing("good")
    async with pool_of(alone(bad, good)) as pool:
        for number in range(12):
            assert text_of(await chunks(pool, sibling(f"{number}", 0))) == ANSWER
        assert states(pool) == ["down", "up"]
        assert len(bad.asked) < 8


@virtual_time
async def test_a_replica_that_fails_at_the_only_question_there_is_loses_it_too() -> None:
    """What another replica answers was not the question's fault."""
    bad, good = Failing("bad", lambda call: broken()), Failing("good")
    async with pool_of(alone(bad, good)) as pool:
        for _ in range(12):
            assert text_of(await chunks(pool, sibling("same", 0))) == ANSWER
        assert states(pool) != ["up", "up"]
        assert len(bad.asked) < 8


@virtual_time
async def test_a_replica_that_fails_and_says_that_it_is_sick_is_left_out_at_once() -> None:
    engine = Failing(fails=lambda call: None if engine.well else broken())
    async with pool_of(alone(engine)) as pool:
        engine.well = False
        waiting = asyncio.create_task(chunks(pool, sibling("one", 0)))
        await asyncio.sleep(5)
        assert states(pool) == ["down"]
        assert len(engine.asked) == 1
        engine.well = True
        assert text_of(await waiting) == ANSWER


@virtual_time
async def test_a_failure_that_passes_costs_nobody_an_answer() -> None:
    engine = Failing()
    engine.fails = lambda call: broken() if engine.asked.count(call.family or "") < 3 else None
    async with pool_of(alone(engine)) as pool:
        calls = [chunks(pool, sibling("same", 0)), chunks(pool, sibling("same", 0))]
        assert [text_of(stream) for stream in await asyncio.gather(*calls)] == [ANSWER] * 2


@virtual_time
async def test_a_replica_that_has_answered_nothing_for_long_leaves_the_fault_open() -> None:
    engine = Failing(fails=lambda call: broken())
    async with pool_of(alone(engine)) as pool:
        await asyncio.sleep(600)
        with pytest.raises(EngineFailed) as caught:
            await chunks(pool, sibling("one", 0))
        assert caught.value.retryable


@pytest.mark.parametrize("error", [QuotaExhausted("nothing left"), AccessRefused("the key was refused")])
@virtual_time
async def test_an_account_that_is_refused_is_not_asked_again_for_some_seconds(error: WorkerError) -> None:
    refused = True
    engine = Failing(fails=lambda call: error if refused else None)
    async with pool_of(alone(engine)) as pool:
        for number in range(20):
            with pytest.raises(type(error), match=str(error)):
                assert await elapsed(chunks(pool, sibling(f"{number}", 0))) == 0
        assert len(engine.asked) == 1
        snapshot, health = pool.snapshot().replicas[0], await pool.health()
        assert snapshot.detail == str(error)
        assert health.ok  # it works, though not for us
        assert str(error) in health.detail
        refused = False
        await asyncio.sleep(6)
        assert text_of(await chunks(pool, sibling("later", 0))) == ANSWER


@virtual_time
async def test_what_waits_for_an_account_that_is_refused_ends_with_it() -> None:
    engine = Failing(fails=at("last", lambda: QuotaExhausted("nothing left")), places=1)
    async with pool_of(alone(engine)) as pool:
        running = asyncio.create_task(chunks(pool, sibling("first", 0)))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(chunks(pool, sibling("last", n))) for n in range(5)]
        assert text_of(await running) == ANSWER
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, QuotaExhausted) for result in results)
        assert engine.asked == ["first", "last"]


@virtual_time
async def test_another_account_takes_over() -> None:
    empty, full = Failing("empty", lambda call: QuotaExhausted("nothing left")), Failing("full")
    async with pool_of(alone(empty, full)) as pool:
        for number in range(10):
            assert text_of(await chunks(pool, sibling(f"{number}", 0))) == ANSWER
        assert len(empty.asked) == 1


@virtual_time
async def test_a_wait_for_longer_than_the_pool_has_patience_is_told_at_once() -> None:
    engine = Failing(fails=lambda call: Overloaded("wait", retry_after=3_600.0))
    async with pool_of(alone(engine)) as pool:
        with pytest.raises(Overloaded) as caught:
            await chunks(pool, sibling("one", 0))
        assert caught.value.retry_after == 3_600
        assert asyncio.get_running_loop().time() < 2
        assert states(pool) == ["up"]


@virtual_time
async def test_a_wait_that_was_told_is_kept_and_one_that_was_not_grows() -> None:
    for told, least in ((True, 6.0), (False, 14.0)):
        error = Overloaded("full", retry_after=2.0, told=told)
        engine = Failing(fails=at("one", lambda error=error: error))  # type: ignore[misc]
        async with pool_of(alone(engine)) as pool:
            began = asyncio.get_running_loop().time()
            with pytest.raises(Overloaded):
                await chunks(pool, sibling("one", 0))
            assert len(engine.asked) == 4
            assert least <= asyncio.get_running_loop().time() - began < 1.3 * least


class Starting(Simulator):
    """Raises errors at its first starts."""

    def __init__(self, *errors: WorkerError) -> None:
        super().__init__(ANSWER, cost=COST)
        self.errors = [*errors]

    async def capabilities(self) -> Capabilities:
        if self.errors:
            raise self.errors.pop(0)
        return await super().capabilities()


@pytest.mark.parametrize(
    "errors",
    [[Overloaded("loading", retry_after=1.0, told=False)] * 3, [EngineFailed("HTTP 500")] * 2],
)
@virtual_time
async def test_a_start_waits_for_room_and_for_a_failure_to_pass(errors: list[WorkerError]) -> None:
    async with pool_of([Starting(*errors)]) as pool:
        assert text_of(await chunks(pool, sibling("one", 0))) == ANSWER


@pytest.mark.parametrize(
    "error",
    [Overloaded("wait", retry_after=3_600.0), QuotaExhausted("nothing left"), EngineFailed("HTTP 500")],
)
@virtual_time
async def test_a_start_that_cannot_succeed_soon_fails_at_once(error: WorkerError) -> None:
    pool = Pool([Starting(*[error] * 9)])
    with pytest.raises(type(error)):
        await pool.capabilities()
    assert asyncio.get_running_loop().time() < 2
    await pool.close()


@virtual_time
async def test_a_request_for_which_nothing_is_found_takes_no_replica_from_the_others() -> None:
    """Servers say 404 of a model that they do not have, and gateways of whatever a request names."""
    engine = Failing(fails=at("lost", lambda: ModelUnavailable("one answered HTTP 404: no such thing")))
    async with pool_of(alone(engine)) as pool:
        for _ in range(4):
            with pytest.raises(ModelUnavailable, match="no such thing"):
                await chunks(pool, sibling("lost", 0))
            assert text_of(await chunks(pool, sibling("next", 0))) == ANSWER
        assert states(pool) == ["up"]
        assert engine.asked.count("lost") == 4


@virtual_time
async def test_a_replica_that_has_lost_its_model_is_spared_from_the_second_request_on() -> None:
    bad, good = Failing("bad", lambda call: ModelUnavailable("no model")), Failing("good")
    async with pool_of(alone(bad, good)) as pool:
        for number in range(8):
            assert text_of(await chunks(pool, sibling(f"{number}", 0))) == ANSWER
        assert len(bad.asked) == 2
        assert states(pool) == ["down", "up"]


@pytest.mark.parametrize(
    "make",
    [lambda: EngineInterrupted("one broke off"), lambda: EngineProtocolError("not an event: '<html>'")],
)
@virtual_time
async def test_a_request_whose_answers_break_off_or_are_nonsense_takes_no_replica_from_the_others(
    make: Callable[[], WorkerError],
) -> None:
    """All calls of a task count as one, however many of its branches fail at once."""
    engine = Failing(fails=lambda call: make() if call.task == "bad" else None)
    async with pool_of(alone(engine)) as pool:
        calls = [chunks(pool, replace(sibling(f"{n}", 0), task="bad")) for n in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, CallRejected) for result in results)
        assert "(at this request alone, 3 times: one answers others)" in str(results[0])
        assert states(pool) == ["up"]
        assert await elapsed(chunks(pool, replace(sibling("next", 0), task="good"))) < 2


@virtual_time
async def test_a_stream_that_two_of_three_replicas_break_off_is_finished_by_the_third() -> None:
    """A restart of replicas one after the other breaks off long completions, and is not their fault."""
    engines = [Failing(name) for name in "abc"]
    broken_off: list[str] = []

    def once_at_two(name: str) -> Callable[[Call], WorkerError | None]:
        def fails(call: Call) -> WorkerError | None:
            if len(broken_off) == 2:
                return None
            broken_off.append(name)
            return EngineInterrupted(f"{name} broke off")

        return fails

    for engine in engines:
        engine.fails = once_at_two(engine.name)
    async with pool_of(alone(*engines)) as pool:
        assert text_of(await chunks(pool, sibling("long", 0))) == ANSWER
        assert len({*broken_off}) == 2


@virtual_time
async def test_a_rate_limit_that_asks_for_no_wait_is_not_hammered() -> None:
    engine = Failing(fails=lambda call: Overloaded("slow down", retry_after=0.0))
    async with pool_of(alone(engine)) as pool:
        with pytest.raises(Overloaded):
            await chunks(pool, sibling("one", 0))
        took = asyncio.get_running_loop().time()
    assert len(engine.asked) == 4
    assert took > 0.3
