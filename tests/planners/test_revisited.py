"""What a process that dies, a fork and other planners do to runs of ``auto`` and ``cascade``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from orchestrator.planning import candidates as surveying
from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Question
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from planners.auto import ROUTER, auto
from planners.cascade import cascade
from storage.opening import open_store
from storage.store import Store
from tests.planners.conftest import Recorder, play
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

OPEN = "What do you make of Rome and Paris?"
ROLES = Capabilities("simulator", roles=frozenset({"large"}))


def engine() -> Simulator:
    """It routes to a vote, disagrees with itself in a first round, and agrees once answers are shown."""

    def say(call: Call, rng: Random) -> str:
        asked = call.prompt.messages()[-1]["content"]
        if ROUTER in asked:
            return "C" if "C: with one short" in asked else "B"
        if call.role == "large" or "Earlier attempts" in asked:
            return r"\boxed{10}"
        return rf"\boxed{{{7 + (call.sampling.seed or 0) % 3}}}"

    return Simulator(say, claims=ROLES)


CASES: list[tuple[Planner, dict[str, Any]]] = [
    (auto, {"without": ["cascade"]}),
    (auto, {}),
    (cascade, {"n": 4, "ahead": True}),
]


@pytest.mark.parametrize(("planner", "options"), CASES)
async def test_a_run_that_was_killed_goes_on_and_pays_nothing_twice(
    planner: Planner, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = await play(planner, OPEN, engine(), **options)
    arguments = planner.arguments(options)
    settled = [at for at, event in enumerate(played.events, 1) if event.data.get("external")]
    for length in settled:
        # The process that goes on has other planners installed, unless it has to ask.
        monkeypatch.setattr(surveying, "installed_planners", lambda: ["direct"])
        simulator = engine()
        environment = Environment(simulator, ROLES, Toolbox([]))
        journal, record = Recorder(), Record(played.events[:length])
        executor = Executor(Run, environment, journal, record=record, next_seq=length)
        resumed = await executor.execute(lambda run: planner(run, Question(OPEN), **arguments), {})
        assert resumed.outcome is played.result.outcome
        assert simulator.counters().started <= resumed.spent.calls
        whole = Record([*played.events[:length], *journal.events])
        strict = Executor(Run, replace(environment, engine=None), Recorder(), record=whole)
        repeated = await strict.execute(lambda run: planner(run, Question(OPEN), **arguments), {})
        assert repeated.answer == resumed.answer


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


async def test_a_fork_chooses_among_the_same_planners(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = engine()
    service = Service(store, simulator, toolbox=Toolbox([]), planners={"auto": auto})
    first = await service.solve(parse({"query": OPEN, "planner": "auto"}))
    calls = simulator.counters().started
    monkeypatch.setattr(surveying, "installed_planners", list)
    fork = await service.fork(first.trace_id, at="1", change=Change(value="A"))
    assert simulator.counters().started - calls == 1 == fork.usage.calls  # direct, in place of the cascade
    await service.replay(fork.trace_id)
    await service.replay(first.trace_id)
