from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import TaskFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.answers import LONGEST_DISSENT, LONGEST_REASONING, MOST_DISSENT
from orchestrator.runtime.values import Answer, Dissent, Question
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.opening import open_store
from workers.engines.simulator.engine import Simulator

OLD: dict[str, Any] = {
    "answer": "72",
    "text": "So 72",
    "outcome": "answered",
    "planner": "vote",
    "usage": {"prompt": 1, "cached": 0, "completion": 1, "cancelled": 0, "calls": 1},
    "timings": {"queued": 0.0, "run": 1.0},
    "trace_id": "1m8",
}


@planner("explaining")
async def explaining(run: Run, question: Question) -> Answer:
    """Explain at length."""
    dissent = tuple(Dissent(str(number), 1, "y" * 5_000) for number in range(20))
    return Answer("7", "7", reasoning="x" * 50_000, dissent=dissent, basis="two\nkinds agree")


@planner("wrong")
async def wrong(run: Run, question: Question) -> Answer:
    """Disagree with nobody."""
    return Answer("7", dissent=("8",))  # type: ignore[arg-type]


async def run(name: str) -> tuple[Solution, str]:
    async with await open_store("memory") as store:
        service = Service(store, Simulator(""), planners={"explaining": explaining, "wrong": wrong})
        solution = await service.solve(TaskRequest(query="x", planner=name))
        return solution, json.dumps([dict(event.data) async for event in store.read(solution.trace_id)])


def test_a_solution_that_was_stored_before_it_was_explained_is_read() -> None:
    solution = Solution.model_validate(OLD)
    assert (solution.trust, solution.unsure, solution.reasoning, solution.dissent) == ("", False, "", ())


async def test_what_explains_an_answer_is_bounded_and_not_in_the_journal() -> None:
    solution, journal = await run("explaining")
    assert solution.trust == "two kinds agree"
    assert len(solution.reasoning) == LONGEST_REASONING
    assert {len(each.text) for each in solution.dissent} == {LONGEST_DISSENT}
    assert len(solution.dissent) == MOST_DISSENT
    assert '"claim": "7"' in journal
    assert "kinds agree" not in journal
    assert "xxxx" not in journal


async def test_a_planner_that_explains_wrongly_is_told_what_would_be_right() -> None:
    with pytest.raises(TaskFailed, match=r"dissent\[0\] is a str; it must be a Dissent"):
        await run("wrong")


def test_the_schema_of_the_api_has_what_explains_an_answer() -> None:
    properties = Solution.model_json_schema()["properties"]
    assert {"trust", "unsure", "reasoning", "dissent"} <= properties.keys()
    assert all("description" in properties[name] for name in ("trust", "unsure", "reasoning", "dissent"))
