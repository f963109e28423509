"""What every method must survive: a process that dies after any event, a strict replay, and a fork."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Question
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.opening import open_store
from tests.planners.conftest import Played, Recorder, play
from workers.engines.simulator.engine import Simulator
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

MOST = 12
"""Kills that are tried; of longer runs, so many that are spread over all of it."""


async def killed_anywhere(
    planner: Planner,
    question: Question | str,
    engine: Callable[[], Simulator],
    *,
    tools: Iterable[Tool] = (),
    **options: Any,
) -> Played:
    """Run; then, for what the journal held after each result, let another process go on from there.

    It must end as the first did, begin no call whose result is stored, and what both have written must
    replay strictly. The replies of ``engine`` must not depend on what was asked of it before.
    """
    asked = Question(question) if isinstance(question, str) else question
    played = await play(planner, asked, engine(), tools=tools, **options)
    arguments = planner.validate(options)
    settled = [at for at, event in enumerate(played.events, 1) if event.data.get("external")]
    assert settled, "nothing was asked"
    for length in settled[:: max(1, len(settled) // MOST)]:
        simulator = engine()
        environment = Environment(simulator, await simulator.capabilities(), Toolbox(tools))
        journal, record = Recorder(), Record(played.events[:length])
        executor = Executor(Run, environment, journal, record=record, next_seq=length)
        resumed = await executor.execute(lambda run: planner(run, asked, **arguments), {})
        assert (resumed.outcome, resumed.answer) == (played.result.outcome, played.result.answer), length
        stored = sum(
            event.path in played.nodes(NodeKind.GENERATE) and bool(event.data.get("external"))
            for event in played.events[:length]
        )
        assert simulator.counters().started <= resumed.spent.calls - stored, length
        whole = Record([*played.events[:length], *journal.events])
        strict = Executor(Run, replace(environment, engine=None), Recorder(), record=whole)
        repeated = await strict.execute(lambda run: planner(run, asked, **arguments), {})
        assert repeated.answer == resumed.answer, length
    return played


async def forked(
    planner: Planner,
    query: str,
    engine: Simulator,
    *,
    at: str,
    change: Change,
    tools: Iterable[Tool] = (),
    context: str = "",
    **options: Any,
) -> tuple[Solution, Solution]:
    """Run, and run again with one node changed; both replay strictly. Returns both solutions."""
    async with await open_store("memory") as store:
        service = Service(store, engine, toolbox=Toolbox(tools), planners={planner.name: planner})
        asked = {"query": query, "context": context, "planner": planner.name, "options": options}
        first = await service.solve(parse(asked))
        fork = await service.fork(first.trace_id, at=at, change=change)
        await service.replay(fork.trace_id)
        await service.replay(first.trace_id)
        return first, fork
