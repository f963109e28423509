from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import TaskFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.answers import LONGEST_DISSENT, LONGEST_REASONING, MOST_DISSENT
from orchestrator.runtime.values import Answer, Cluster, Dissent, Question
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Calibrated, Solution
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


@planner("formal")
async def formal(run: Run, question: Question) -> Answer:
    """Answer in LaTeX, with a number that was computed."""
    half, third = r"\frac{1}{2} \text{ cup}", "0.3333333333"
    clusters = (Cluster(half, 2), Cluster(third, 1))
    dissent, shown = (Dissent(third, 1, "It is 1/3."),), {third: "0.3333"}
    return Answer(half, half, clusters=clusters, dissent=dissent, shown=shown)


@planner("misshown")
async def misshown(run: Run, question: Question) -> Answer:
    """Show a claim as a number."""
    return Answer("7", shown={"7": 8})  # type: ignore[dict-item]


async def run(name: str, query: str = "x") -> tuple[Solution, str]:
    async with await open_store("memory") as store:
        found = {each.name: each for each in (explaining, wrong, formal, misshown)}
        service = Service(store, Simulator(""), planners=found)
        solution = await service.solve(TaskRequest(query=query, planner=name))
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


async def test_people_are_shown_answers_without_latex_and_with_useful_digits() -> None:
    solution, journal = await run("formal")
    assert (solution.answer, str(solution)) == ("1/2 cup", "1/2 cup")
    assert [(each.claim, each.count) for each in solution.clusters] == [("1/2 cup", 2), ("0.3333", 1)]
    assert [each.claim for each in solution.dissent] == ["0.3333"]
    assert "frac" in journal
    assert '0.3333"' not in journal


async def test_who_asks_for_latex_is_shown_it() -> None:
    solution, _ = await run("formal", "How do I write half a cup in LaTeX?")
    assert solution.answer == r"\frac{1}{2} \text{ cup}"


async def test_a_claim_that_is_shown_as_no_text_is_an_error_of_the_planner() -> None:
    with pytest.raises(TaskFailed, match="shown for a claim is an int; it must be a str"):
        await run("misshown")


@pytest.mark.parametrize(
    ("right", "alike", "line"),
    [
        (54, 88, "answers like this were right in 54 of 88 questions, so about 90 % of the time"),
        (399, 400, "answers like this were right in 399 of 400 questions, so about 90 % of the time"),
        (1, 400, "answers like this were right in 1 of 400 questions, so about 90 % of the time"),
        (5, 5, "answers like this were right in 5 of 5 questions, so about 90 % of the time"),
        (1, 1, "the one labelled answer like this was right"),
        (0, 1, "the one labelled answer like this was wrong"),
        (None, None, "answers like this were right 90 % of the time (212 questions)"),
    ],
)
def test_how_often_answers_like_it_were_right(right: int | None, alike: int | None, line: str) -> None:
    told = Calibrated(
        probability=0.9, risk=0.1, within_risk=True, questions=212, evidence="x", right=right, alike=alike
    )
    assert str(told) == line
