"""Answers are judged strictly, costs are the trace's, and a run that was interrupted goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anabranch import Answer, Client, Question, Run, planner, user
from benchmarks import dag
from benchmarks.costs import costs_of
from benchmarks.dag import CONTESTANTS, Contestant, is_right, rows_of, table
from benchmarks.intervals import paired_bootstrap, wilson
from benchmarks.multi_hop import questions
from benchmarks.paragraphs import MOST, NOTHING, Collection, search_tool
from benchmarks.runs import find
from workers.engines.simulator.engine import Simulator


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("12,480", "12480", True),
        ("12480 inhabitants", "12480", True),
        ("Rulawick.", "Rulawick", True),
        ("three", "3", True),
        ("1248", "12480", False),
        ("112480", "12480", False),
        ("Rulawick has more, as Semora has 12480", "Rulawick", False),
        ("Rulawick or Semora", "Rulawick", False),
        ("Ada", "Ada Brenn", False),
        ("", "3", False),
    ],
)
def test_only_what_means_the_same_is_right(answer: str, gold: str, right: bool) -> None:
    assert is_right(answer, gold) is right


def test_a_search_finds_the_paragraphs_with_the_rare_words() -> None:
    made = questions()
    collection = Collection([text for question in made for text in question.paragraphs])
    for question in made:
        named = [word.strip(",.?") for word in question.text.split()]
        for paragraph in question.paragraphs:
            subject = next((word for word in named if f"{word} " in paragraph[:40] and word[0].isupper()), "")
            if len(subject) > 5:
                assert paragraph in collection.search(subject)
    seat = next(each for each in made if each.kind == "filter_argmax")
    town = seat.text.partition(" seat in ")[2].split()[0]
    found = collection.search(f"companies with their seat in {town}")
    assert len(found) <= MOST
    assert sum(f"seat in {town}" in each for each in found) == 3
    assert collection.search("Xyzzy") == []


async def test_the_tool_says_so_when_nothing_is_found() -> None:
    search = search_tool(["The depot Drakohold holds 3 lamps.", "The depot Jinobay holds 4 lamps."])
    assert await search.invoke({"query": "lamps in Jinobay"}) == "The depot Jinobay holds 4 lamps."
    assert await search.invoke({"query": "Vilnius"}) == NOTHING


def test_intervals() -> None:
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(7, 10) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    assert paired_bootstrap([True, False], [True, False]) == (0, (0, 0))
    mean, (low, high) = paired_bootstrap([True] * 30 + [False] * 10, [False] * 40)
    assert mean == 0.75
    assert 0.55 < low < 0.68
    assert 0.82 < high < 0.93
    with pytest.raises(ValueError, match="no question"):
        paired_bootstrap([], [])


def test_costs_are_those_of_the_trace() -> None:
    @planner("two_and_one")
    async def two_and_one(run: Run, question: Question) -> Answer:
        """Two calls at once over the same text, then one over the longer of their answers."""
        shared = "shared " * 200
        short = run.generate([user(shared, "short")], max_tokens=4)
        long = run.generate([user(shared, "long")], max_tokens=9)
        run.decide("two_and_one", "direct", {"reason": "step 3 of 12 failed"})
        last = await run.generate([user(shared, "last of ", short, " and ", long)], max_tokens=2)
        return Answer(last.text)

    simulator = Simulator("word" * 50)
    with Client(engine=simulator, database="memory") as client:
        solution = client.solve("?", planner=two_and_one)
        costs = costs_of(client.trace(solution.trace_id))
    assert (costs.calls, costs.tools, costs.completion, costs.critical) == (3, 0, 15, 11)
    assert costs.prompt == solution.usage.prompt > 3 * 350
    assert costs.computed == costs.prompt - solution.usage.cached
    assert 350 < costs.ideal < 390  # the shared text once, and the ends
    assert costs.ideal <= costs.computed < costs.ideal + 3 * 16  # a cache has whole blocks
    assert costs.decisions == ("two_and_one direct: step N of N failed",)


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    assert dag.main(["--engine", "simulator", "--json", *arguments]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.err


def test_what_was_interrupted_goes_on_and_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "dag.jsonl"), "--planners", "direct", "vote")
    report, said = measured(capsys, "--questions", "2", *out)
    assert [row["questions"] for row in report["rows"]] == [2, 2]
    assert said.count(": right") == 4
    report, said = measured(capsys, "--questions", "3", *out)
    assert said.count(": right") == 2
    lines = [json.loads(line) for line in (tmp_path / "dag.jsonl").read_text().splitlines()]
    assert [(each["question"], each["planner"]) for each in lines] == [
        (number, name) for number in range(3) for name in ("direct", "vote")
    ]
    direct, vote = report["rows"]
    assert (direct["right"], vote["right"], direct["calls"]) == (1, 1, 1)
    assert vote["against"]["direct"] == [0, [0, 0]]
    assert vote["critical"] == direct["critical"] < vote["completion"]
    report, said = measured(capsys, "--questions", "3", "--seed", "2", *out)
    assert said.count(": right") == 6  # other questions


def test_a_planner_that_does_not_exist_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [each for each in CONTESTANTS if each.planner in ("direct", "vote")]
    monkeypatch.setattr(dag, "CONTESTANTS", (Contestant("oracle", has_material=True), *there))
    report, said = measured(capsys, "--questions", "1", "--out", str(tmp_path / "dag.jsonl"))
    assert [row["planner"] for row in report["rows"]] == ["direct", "vote"]
    assert "oracle is left out: no planner is called 'oracle'" in said


def test_all_planners_that_there_are_end_on_an_engine_that_says_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, _ = measured(capsys, "--questions", "2", "--out", str(tmp_path / "dag.jsonl"))
    there = [each.planner for each in CONTESTANTS if find(each.planner)]
    assert [row["planner"] for row in report["rows"]] == there
    assert all(row["failed"] == 0 for row in report["rows"])


def run_of(
    name: str, question: int, *, right: bool, outcome: str = "answered", **more: Any
) -> dict[str, Any]:
    costs = {"prompt": 100, "computed": 30, "ideal": 20, "completion": 40, "critical": 10, "calls": 2}
    return {
        "planner": name, "question": question, "kind": "sum", "outcome": outcome, "right": right,
        "seconds": 1.0, "costs": {**costs, "decisions": ["llm_compiler direct: the plan is invalid"]}, **more,
    }  # fmt: skip


def test_the_table_tells_what_is_lost_and_why() -> None:
    runs = [run_of("direct", at, right=True) for at in range(4)]
    runs += [run_of("llm_compiler", at, right=at == 3) for at in range(2, 4)]
    runs += [run_of("llm_compiler", 9, right=False, outcome="undecided", undecided="all 4 branches differ")]
    runs += [run_of("llm_compiler", 10, right=False, outcome="failed", error="tool_error", costs=None)]
    direct, compiler = rows_of(runs)
    assert (compiler.questions, compiler.right, compiler.undecided, compiler.failed) == (4, 0.25, 1, 1)
    assert compiler.against["direct"][0] == -0.5  # over the two questions that both have answered
    assert compiler.computed_over_ideal == 1.5
    assert compiler.decisions["llm_compiler direct: the plan is invalid"] == 3
    shown = table([direct, compiler])
    assert "| direct | 4 | 100 [51, 100] |" in shown
    assert "- 3 times llm_compiler direct: the plan is invalid" in shown
    assert "- 1 times undecided: all N branches differ" in shown
