"""What a terminal shows of a run that has no answer to rely on."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from orchestrator.cli.live import Display
from orchestrator.cli.printing import print_solution, tasks_table, trace_tree
from orchestrator.runtime.environment import RunOutcome
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from planners.vote import vote
from storage.opening import open_store
from storage.tasks import TaskStatus
from storage.trace import Trace
from workers.engines.simulator.engine import Simulator

WHY = "3 of 3 branches gave no answer: 3 without an answer that can be used"


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=300, color_system="truecolor", force_terminal=True, highlight=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


async def test_an_undecided_run_is_shown_as_such_wherever_runs_are_shown(console: Console) -> None:
    request = TaskRequest.model_validate({"query": "?", "planner": "vote", "options": {"n": 3}})
    async with await open_store("memory") as store:
        service = Service(store, Simulator(""), planners={"vote": vote}, settings=Settings())
        solution = await service.solve(request)
        task, trace = await store.get(solution.trace_id), await Trace.read(store, solution.trace_id)
        events = [event async for event in store.read(solution.trace_id)]
    assert (solution.outcome, solution.undecided, solution.confidence) == (RunOutcome.UNDECIDED, WHY, None)
    assert (task.status, task.outcome, trace.outcome) == (TaskStatus.SUCCEEDED, "undecided", "undecided")
    assert (solution.calibrated, str(solution)) == (None, "")
    print_solution(console, solution)
    assert WHY in shown(console)
    display = Display(console)
    for event in events:
        display.view.take(event)
    for what in (tasks_table([task]), trace_tree(trace), display):
        before = len(shown(console))
        console.print(what)
        assert "undecided" in shown(console)[before:]
    assert "\x1b[1;33mundecided" in shown(console)
