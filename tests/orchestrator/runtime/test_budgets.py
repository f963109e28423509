"""Each bound ends a run with an outcome of its own, the best answer so far, and nothing left running."""

from __future__ import annotations

import asyncio

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.values import Answer, Budget
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, environment, play, resume, settled_calls
from tests.workers.virtual_time import virtual_time
from workers.engines.simulator.engine import CostModel, Simulator

TEN_TOKENS = "forty characters, which are ten tokens ok"


def engine() -> Simulator:
    return Simulator(TEN_TOKENS, cost=CostModel(decode_tokens_per_s=10))


async def one_after_another(run: Run) -> Answer:
    for number in range(20):
        text = (await run.generate("hello")).text
        answer = Answer(f"{number}: {text}")
        run.propose(lambda answer=answer: answer)  # type: ignore[misc]
    return Answer("all of them")


async def all_at_once(run: Run) -> Answer:
    run.propose(lambda: Answer("nothing yet"))
    await run.join([run.generate(f"{number}") for number in range(20)])
    return Answer("all of them")


async def deeper(run: Run) -> Answer:
    run.propose(lambda: Answer(f"depth {run.budget.depth}"))
    return await run.spawn(deeper)


def limited(played: Played, limit: str) -> str:
    assert (played.result.outcome, played.result.limit) == (RunOutcome.LIMITED, limit)
    assert played.result.answer is not None
    assert played.result.failure is None
    return played.result.answer.text


@virtual_time
async def test_calls() -> None:
    simulator = engine()
    played = await play(one_after_another, simulator, budget=Budget(calls=3))
    assert limited(played, "calls") == f"2: {TEN_TOKENS}"
    assert played.result.spent.calls == simulator.counters().started == 3


@virtual_time
async def test_calls_at_once_do_not_overdraw() -> None:
    simulator = engine()
    played = await play(all_at_once, simulator, budget=Budget(calls=3))
    assert limited(played, "calls") == "nothing yet"
    assert played.result.spent.calls == 3
    assert simulator.counters().started <= 3
    assert settled_calls(simulator.counters())


@virtual_time
async def test_width() -> None:
    simulator = engine()
    played = await play(all_at_once, simulator, budget=Budget(width=3))
    assert limited(played, "width") == "nothing yet"
    assert simulator.counters().started <= 3
    assert (await play(one_after_another, engine(), budget=Budget(width=1))).answer == "all of them"


@virtual_time
async def test_depth() -> None:
    played = await play(deeper, engine(), budget=Budget(depth=3))
    assert limited(played, "depth") == "depth 3"
    assert len(played.paths(EventType.NODE_ADDED)) == 4


@virtual_time
async def test_tokens() -> None:
    simulator = engine()
    played = await play(one_after_another, simulator, budget=Budget(tokens=45))
    limited(played, "tokens")
    usage = played.result.spent.usage
    assert 45 <= usage.prompt_tokens + usage.completion_tokens <= 60
    assert settled_calls(simulator.counters())


@virtual_time
async def test_tokens_are_counted_while_they_stream() -> None:
    async def body(run: Run) -> Answer:
        await run.generate("hello")
        return Answer("whole")

    simulator = Simulator("word " * 1000, cost=CostModel(decode_tokens_per_s=10))
    played = await play(body, simulator, budget=Budget(tokens=20), repeat=False)
    assert (played.result.outcome, played.result.limit) == (RunOutcome.LIMITED, "tokens")
    assert played.failure.startswith("budget_exhausted: ")
    assert simulator.counters().completion_tokens <= 25


@virtual_time
async def test_the_deadline() -> None:
    simulator = engine()
    played = await play(one_after_another, simulator, budget=Budget(seconds=2.5))
    assert limited(played, "seconds") == f"1: {TEN_TOKENS}"
    assert 2.4 < asyncio.get_running_loop().time() < 2.6
    assert simulator.counters().aborted == 1


@virtual_time
async def test_a_resumed_run_has_spent_what_it_spent_before() -> None:
    budget = Budget(tokens=45)
    played = await play(one_after_another, engine(), budget=budget)
    for length in range(1, len(played.events)):
        resumed = await resume(
            one_after_another, played.events[:length], environment(engine(), budget=budget)
        )
        assert limited(resumed, "tokens")
        usage = resumed.result.spent.usage
        assert usage.prompt_tokens + usage.completion_tokens <= 60


@virtual_time
async def test_an_offer_that_raises_is_no_answer() -> None:
    async def body(run: Run) -> Answer:
        run.propose(lambda: Answer(str(1 // 0)))
        await run.generate("hello")
        return Answer("done")

    played = await play(body, engine(), budget=Budget(calls=0))
    assert played.result.outcome is RunOutcome.LIMITED
    assert played.result.answer is None
    assert played.failure.startswith("budget_exhausted: ")


@virtual_time
async def test_planners_see_what_is_left() -> None:
    async def child(run: Run) -> Answer:
        await run.generate("hello")
        return Answer(f"{run.budget.calls} {run.budget.depth}")

    async def body(run: Run) -> Answer:
        return await run.spawn(child)

    assert (await play(body, engine(), budget=Budget(calls=5, depth=4))).answer == "4 3"
