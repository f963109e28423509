"""What the agents that act step by step share: they resume anywhere, fork, and leave trouble to the trace."""

from __future__ import annotations

from random import Random

import pytest

from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from planners.acting import fitted
from planners.calls import calls
from planners.react import STOPS, react
from planners.schemas import described
from storage.opening import open_store
from tests.planners.conftest import Recorder, play
from tests.planners.people import age
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

CAN = Capabilities("simulator", function_calls=True)
QUESTION = "How old are Ann and Bob together?"


def model(call: Call, _: Random) -> str:
    """Looks Ann and Bob up, then gives both ages as they were told."""
    told = [s.text for s in call.prompt.segments if s.role == "tool" or s.text.startswith("<result>")]
    ages = [text.removeprefix("<result>\n").removesuffix("\n</result>\n") for text in told]
    if call.functions:
        both = (
            f'<tool_call>{{"name": "age", "arguments": {{"name": "{n}"}}}}</tool_call>'
            for n in ("Ann", "Bob")
        )
        return f"Answer: {' + '.join(ages)}" if ages else "\n".join(both)
    assert call.sampling.stop == STOPS
    return f'finish("{" + ".join(ages)}")' if len(ages) == 2 else f'age("{("Ann", "Bob")[len(ages)]}")'


AGENTS = pytest.mark.parametrize("planner", [react, calls], ids=lambda planner: planner.name)


@AGENTS
async def test_a_run_that_was_killed_anywhere_goes_on_to_the_same_answer(planner: Planner) -> None:
    played = await play(planner, QUESTION, Simulator(model, claims=CAN), tools=[age])
    assert played.answer.claim == "30 + 45"
    world = Environment(engine=Simulator(model, claims=CAN), capabilities=CAN, toolbox=Toolbox([age]))
    for cut in range(1, len(played.events)):
        executor = Executor(Run, world, Recorder(), record=Record(played.events[:cut]), next_seq=cut)
        result = await executor.execute(lambda run: planner(run, Question(QUESTION)), {})
        assert result.answer == played.answer, f"resumed after event {cut}"


@AGENTS
async def test_a_fork_with_another_result_is_another_answer(planner: Planner) -> None:
    async with await open_store("memory") as store:
        service = Service(
            store,
            Simulator(model, claims=CAN),
            toolbox=Toolbox([age]),
            planners={planner.name: planner},
            settings=Settings(),
        )
        request = TaskRequest.model_validate({"query": QUESTION, "planner": planner.name})
        solution = await service.solve(request)
        events = [event async for event in store.read(solution.trace_id)]
        first = next(e.path for e in events if e.data.get("kind") == NodeKind.TOOL)
        fork = await service.fork(solution.trace_id, at=first, change=Change(value=31))
        assert (await service.replay(solution.trace_id)).result.answer is not None
    assert (solution.answer, fork.answer) == ("30 + 45", "31 + 45")
    assert fork.usage.calls < solution.usage.calls, "what does not depend on it was not asked again"


def test_a_tool_is_described_on_a_line() -> None:
    @tool
    async def look(at: str, times: int = 1) -> str:
        """Look
        there."""
        return at

    assert described(look) == "- look(at: string, times: integer (optional)): Look there."
    assert fitted(look, {"at": 5, "times": 2, "other": 1}) == {"at": "5", "times": 2, "other": 1}
    assert fitted(look, {"at": [1]}) == {"at": [1]}
