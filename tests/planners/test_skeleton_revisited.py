"""What a process that dies and a fork do to runs of ``skeleton``."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Question
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from planners.skeleton import skeleton
from storage.opening import open_store
from tests.planners.conftest import BARE, Recorder, play
from tests.planners.test_skeleton import AT_ODDS, LAPTOP, QUESTION, each_point, writer
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox


def engine() -> Simulator:
    return Simulator(each_point(AT_ODDS, anew="The laptop lasts a day here, too."), claims=BARE)


async def test_a_run_that_was_killed_goes_on_and_pays_nothing_twice() -> None:
    played = await play(skeleton, LAPTOP, engine(), route="always")
    arguments = skeleton.validate({"route": "always"})
    settled = [at for at, event in enumerate(played.events, 1) if event.data.get("external")]
    assert len(settled) == 5  # outline, points, the one that is written anew
    for done, length in enumerate(settled, 1):
        simulator = engine()
        environment = Environment(simulator, BARE, Toolbox([]))
        journal, record = Recorder(), Record(played.events[:length])
        executor = Executor(Run, environment, journal, record=record, next_seq=length)
        resumed = await executor.execute(lambda run: skeleton(run, Question(LAPTOP), **arguments), {})
        assert resumed.answer == played.answer
        assert simulator.counters().started == 5 - done
        whole = Record([*played.events[:length], *journal.events])
        strict = Executor(Run, replace(environment, engine=None), Recorder(), record=whole)
        repeated = await strict.execute(lambda run: skeleton(run, Question(LAPTOP), **arguments), {})
        assert repeated.answer == resumed.answer


async def test_a_fork_with_another_verdict_of_the_router_writes_no_points() -> None:
    async with await open_store("memory") as store:
        simulator = Simulator(writer())
        service = Service(store, simulator, toolbox=Toolbox([]), planners={"skeleton": skeleton})
        first = await service.solve(parse({"query": QUESTION, "planner": "skeleton"}))
        calls = simulator.counters().started
        fork = await service.fork(first.trace_id, at="0", change=Change(value="C"))
        assert fork.answer == "Sleep more"
        assert simulator.counters().started - calls == 1 == fork.usage.calls
        await service.replay(fork.trace_id)
        await service.replay(first.trace_id)
