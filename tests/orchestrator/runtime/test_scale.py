"""Large graphs: no recursion, and nothing that grows faster than the graph."""

from __future__ import annotations

import time

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import user
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.values import Answer, Budget
from tests.orchestrator.runtime.harness import Journal, check, environment, play, settled_calls
from workers.calls import Completion
from workers.engines.simulator.engine import CostModel, Fault, Simulator

UNBOUNDED = Budget(calls=None, width=None)


async def chain(run: Run) -> Answer:
    node: Node[Completion] = run.generate("first")
    for _ in range(5_000):
        node = run.generate([user(node)])
    outcome = await node.settled()
    return Answer(type(outcome).__name__)


async def test_a_chain_of_5000_fails_at_once() -> None:
    engine = Simulator("ok", faults=[Fault(kind="refuse", calls=[0])])
    played = await play(chain, engine, budget=UNBOUNDED)
    assert played.answer == "Failed"
    assert engine.counters().started == 1
    assert played.settled("5000")["error"]["path"] == "0"


async def test_a_chain_of_5000_is_cancelled_from_either_end() -> None:
    async def body(run: Run) -> Answer:
        for end in (0, -1):
            nodes: list[Node[Completion]] = [run.generate("first")]
            for _ in range(5_000):
                nodes.append(run.generate([user(nodes[-1])]))
            nodes[end].cancel("not needed")
            assert all(node.outcome is not None for node in nodes)
        return Answer("done")

    engine = Simulator("ok")
    played = await play(body, engine, budget=UNBOUNDED, repeat=False)
    assert played.answer == "done"
    assert settled_calls(engine.counters())


async def test_a_chain_of_5000_runs_to_its_end() -> None:
    began = time.thread_time()
    played = await play(chain, Simulator("ok"), budget=UNBOUNDED, repeat=False)
    assert played.answer == "Succeeded"
    assert time.thread_time() - began < 20.0


async def test_10_000_nodes_at_once() -> None:
    async def body(run: Run) -> Answer:
        nodes = [run.generate(f"{number}") for number in range(10_000)]
        return Answer(str(len(await run.join(nodes))))

    engine = Simulator("ok", cost=CostModel(latency=2.0))
    journal = Journal()
    result = await Executor(Run, environment(engine, budget=UNBOUNDED), journal).execute(body, {})
    assert result.outcome is RunOutcome.ANSWERED
    assert result.answer == Answer("10000")
    check(journal.events)
    assert engine.counters().peak_in_flight > 1_000
    assert settled_calls(engine.counters())


async def test_ranks_are_not_computed_anew_for_every_node() -> None:
    """A long plan is under way while the planner goes on adding nodes whose inputs are there."""

    async def body(run: Run) -> Answer:
        first = run.generate("first")
        node = first
        for _ in range(2_000):
            node = run.generate([user(node)])
        await first
        for _ in range(2_000):
            await run.generate([user(first)])
        return Answer("done")

    began = time.thread_time()
    await play(body, Simulator("ok"), budget=UNBOUNDED, repeat=False)
    assert time.thread_time() - began < 10.0


async def test_deep_scopes() -> None:
    async def deeper(run: Run, left: int) -> int:
        return 1 + await run.spawn(deeper, left - 1) if left else 0

    async def body(run: Run) -> Answer:
        return Answer(str(await run.spawn(deeper, 2_000)))

    played = await play(body, budget=Budget(depth=None))
    assert played.answer == "2000"
