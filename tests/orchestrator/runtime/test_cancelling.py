"""Cancelling reaches the engine, what needs the node, and what only it needed."""

from __future__ import annotations

import asyncio

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import Journal, environment, play, settled_calls
from tests.workers.virtual_time import virtual_time
from workers.engines.simulator.engine import CostModel, Simulator

SLOW = CostModel(latency=1.0, decode_tokens_per_s=10)


def slow_engine() -> Simulator:
    return Simulator("forty characters, which are ten tokens ok", cost=SLOW)


@virtual_time
async def test_what_needs_it_and_what_only_it_needed_goes_too() -> None:
    async def body(run: Run) -> Answer:
        only, shared = run.generate("only"), run.generate("shared")
        middle = run.generate([user(only, shared)], label="middle")
        run.merge(str, middle)
        other = run.generate([user(shared)])
        middle.cancel("enough")
        return Answer((await other).text)

    engine = slow_engine()
    played = await play(body, engine)
    outcomes = [played.outcome(path) for path in ("0", "1", "2", "3", "4")]
    assert outcomes == ["cancelled", "succeeded", "cancelled", "cancelled", "succeeded"]
    assert played.settled("0")["reason"] == "only 2 needed it"
    assert played.settled("3")["reason"] == "its input 2 was cancelled"
    assert (engine.counters().started, engine.counters().finished) == (2, 2)


@virtual_time
async def test_what_somebody_waits_for_stays() -> None:
    async def body(run: Run) -> Answer:
        waited = run.generate("waited for")

        async def reader(own: Run) -> str:
            return (await waited).text

        reading = run.spawn(reader)
        needy = run.generate([user(waited, run.generate("first"))])
        await run.merge(len, [])
        trigger = run.generate("trigger", max_tokens=1)
        await trigger
        needy.cancel()
        return Answer(await reading)

    assert (await play(body, slow_engine())).answer.startswith("forty")


@virtual_time
async def test_who_has_been_cancelled_waits_no_more() -> None:
    """A scope that is gone does not keep alive what it waited for."""

    async def body(run: Run) -> Answer:
        source = run.generate("source")

        async def reader(own: Run) -> str:
            return (await source).text

        reading = run.spawn(reader)
        needy = run.merge(str, source)
        await run.generate("trigger", max_tokens=1)
        reading.cancel()
        needy.cancel()
        return Answer(repr(source))

    assert (await play(body, slow_engine())).answer == "<generate 0 cancelled>"


@virtual_time
async def test_cancelled_calls_are_aborted_and_their_tokens_counted() -> None:
    async def body(run: Run) -> Answer:
        first = run.generate("first", max_tokens=5)
        second = run.generate("second")
        await first
        second.cancel("the first was enough")
        return Answer("done")

    engine = slow_engine()
    played = await play(body, engine)
    counters = engine.counters()
    assert (counters.started, counters.finished, counters.aborted) == (2, 1, 1)
    assert played.result.spent.cancelled_tokens == counters.wasted_tokens >= 4
    assert played.result.spent.usage.completion_tokens == counters.completion_tokens


@virtual_time
async def test_tokens_of_calls_that_end_too_late_are_counted() -> None:
    """They end in the very moment in which the first makes the planner cancel them."""

    async def body(run: Run) -> Answer:
        nodes = [run.generate(f"{number}") for number in range(4)]
        async for _ in run.arrivals(nodes):
            break
        return Answer("done")

    engine = slow_engine()
    played = await play(body, engine)
    assert played.result.spent.usage.completion_tokens == engine.counters().completion_tokens == 44
    assert played.result.spent.cancelled_tokens == 33


@virtual_time
async def test_a_cancelled_scope_takes_its_nodes_along() -> None:
    async def grandchild(run: Run) -> None:
        await run.generate("deep")

    async def child(run: Run) -> None:
        await run.join([run.spawn(grandchild), run.spawn(grandchild)])

    async def body(run: Run) -> Answer:
        node = run.spawn(child)
        await run.generate("short", max_tokens=1)
        node.cancel("no more")
        return Answer("done")

    engine = slow_engine()
    played = await play(body, engine)
    assert {played.outcome(path) for path in ("0", "0.0", "0.1", "0.0.0", "0.1.0")} == {"cancelled"}
    assert engine.counters().aborted == 2


@virtual_time
async def test_what_a_scope_leaves_open_is_cancelled_at_its_end() -> None:
    async def child(run: Run) -> str:
        run.generate("left open")
        return "gone"

    async def body(run: Run) -> Answer:
        gone = await run.spawn(child)
        run.generate("open too")
        return Answer(gone)

    engine = slow_engine()
    played = await play(body, engine)
    assert played.settled("0.0")["reason"] == played.settled("1")["reason"] == "its scope has ended"
    assert settled_calls(engine.counters())


@virtual_time
async def test_arrivals_leave_cancelled_nodes_out() -> None:
    async def body(run: Run) -> Answer:
        before, during, kept = (run.generate(text) for text in ("before", "during", "kept"))
        before.cancel()
        arrivals = run.arrivals([before, during, kept])
        during.cancel()
        return Answer(" ".join([node.path async for node in arrivals]))

    assert (await play(body, slow_engine())).answer == "2"


@virtual_time
async def test_a_user_can_cancel_a_run() -> None:
    async def body(run: Run) -> Answer:
        run.propose(lambda: Answer("so far"))
        return Answer((await run.generate("hello")).text)

    engine, journal = slow_engine(), Journal()
    executor = Executor(Run, environment(engine), journal)
    asyncio.get_running_loop().call_later(0.5, executor.interrupt, "cancelled")
    result = await executor.execute(body, {})
    assert (result.outcome, result.limit) == (RunOutcome.CANCELLED, "cancelled")
    assert result.answer == Answer("so far")
    assert engine.counters().aborted == 1
    assert asyncio.get_running_loop().time() == 0.5


@virtual_time
async def test_cancelling_waits_for_nothing() -> None:
    async def body(run: Run) -> Answer:
        return Answer((await run.generate("hello")).text)

    engine = Simulator("ok", cost=CostModel(latency=30.0))
    executor = Executor(Run, environment(engine), Journal())
    running = asyncio.create_task(executor.execute(body, {}))
    await asyncio.sleep(0.01)
    assert engine.counters().in_flight == 1
    executor.interrupt("cancelled")
    assert (await running).outcome is RunOutcome.CANCELLED
    assert asyncio.get_running_loop().time() == 0.01
    assert engine.counters().aborted == 1
