"""What the rule says of right, wrong and abstaining answers of each kind, traps among them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import programs
from benchmarks.everyday import KINDS, Question, load
from benchmarks.grading import Verdict, grade

QUESTIONS = {each.id: each for each in load()}
EXAMPLES = Path(__file__).parent / "data" / "graded_answers.jsonl"


def examples(kind: str) -> Iterator[tuple[Question, str, str]]:
    """A question of that kind, an answer to it, and what it is."""
    for line in map(json.loads, EXAMPLES.read_text(encoding="utf-8").splitlines()):
        if QUESTIONS[line["id"]].kind == kind:
            for verdict in Verdict:
                for answer in line.get(verdict, ()):
                    yield QUESTIONS[line["id"]], answer, verdict


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the examples is a program that never ends."""
    monkeypatch.setattr(programs, "CPU_SECONDS", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_each_kind(kind: str) -> None:
    known = list(examples(kind))
    assert {verdict for *_, verdict in known} >= {Verdict.RIGHT, Verdict.WRONG}
    mistaken = [
        (question.id, answer, judged)
        for question, answer, verdict in known
        if (judged := grade(question, answer)) != verdict
    ]
    assert mistaken == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_answer_is_right_however_it_is_marked(kind: str) -> None:
    for question in (each for each in QUESTIONS.values() if each.kind == kind):
        gold = question.gold
        marked = [gold, f"**{gold}**.", f"Let us see.\n\nAnswer: {gold}", f"So it is \\boxed{{{gold}}}."]
        if kind == "code":
            marked = [f"Here it is:\n```python\n{gold}\n```\nIt works."]
        assert [each for each in marked if grade(question, each) is not Verdict.RIGHT] == []


def test_the_other_answers_of_a_question_are_wrong() -> None:
    pairs = [(each, other) for each in QUESTIONS.values() for other in each.others]
    assert len(pairs) > 100
    assert [(each.id, other) for each, other in pairs if grade(each, other) is not Verdict.WRONG] == []


@pytest.mark.parametrize(
    ("outcome", "answerable", "unanswerable"),
    [
        ("undecided", Verdict.ABSTAINED, Verdict.RIGHT),
        ("abstained", Verdict.ABSTAINED, Verdict.RIGHT),
        ("failed", Verdict.WRONG, Verdict.WRONG),
        ("limited", Verdict.WRONG, Verdict.WRONG),
    ],
)
def test_the_outcome_of_a_run_counts(outcome: str, answerable: Verdict, unanswerable: Verdict) -> None:
    assert grade(QUESTIONS["fact-1"], "Canberra", outcome) is answerable
    assert grade(QUESTIONS["unanswerable-1"], "12", outcome) is unanswerable
    assert grade(QUESTIONS["fact-1"], None, outcome) is answerable


def test_a_long_answer_is_judged_by_what_it_marks() -> None:
    working = "One may think of many cities, such as Sydney, Melbourne and Perth. " * 10
    assert grade(QUESTIONS["fact-1"], f"{working}\n\nAnswer: Canberra") is Verdict.RIGHT
    assert grade(QUESTIONS["fact-1"], f"{working}\n\nAnswer: Perth") is Verdict.WRONG
    assert grade(QUESTIONS["fact-1"], f"{working} Canberra is one of them.") is Verdict.WRONG
