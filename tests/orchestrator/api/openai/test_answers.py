"""What a client reads as the answer, from what a planner came to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestrator.api.openai.answers import content_of
from orchestrator.api.openai.chunks import pieces
from orchestrator.runtime.environment import RunOutcome
from orchestrator.tasks.solution import ClusterCount, Solution, Timings, TokenUsage


def solution(text: str, answer: str, *, voted: bool = False) -> Solution:
    return Solution(
        answer=answer,
        text=text,
        outcome=RunOutcome.ANSWERED,
        clusters=(ClusterCount(claim=answer, count=3),) if voted else (),
        planner="vote",
        usage=TokenUsage(prompt=1, cached=0, completion=1, cancelled=0, calls=1),
        timings=Timings(queued=0, run=1),
        trace_id="t",
    )


CASES: list[tuple[str, str, bool, str]] = [
    ("6 · 7 = 42.\n\\boxed{42}", "42", True, "6 · 7 = 42.\n\nAnswer: 42"),
    ("\\boxed{42}", "42", True, "Answer: 42"),
    ("So $$\\boxed{42}$$.", "42", True, "So\n\nAnswer: 42"),
    ("6 · 7 = 42.\n\\boxed{42}", "42", False, "6 · 7 = 42.\n\\boxed{42}"),
    ("print(6 * 7)", "42", True, "print(6 * 7)\n\nAnswer: 42"),
    ("It is 42, as 6 · 7 is.", "42", False, "It is 42, as 6 · 7 is.\n\nAnswer: 42"),
    ("It costs 1,234 francs.", "1234", False, "It costs 1,234 francs.\n\nAnswer: 1234"),
    ("It costs 1,234.", "1,234", False, "It costs 1,234."),
    ("The capital is Bern.", "bern", False, "The capital is Bern."),
    ("Dear Ann,\n\nall is well.", "Dear Ann,\n\nall is well.", False, "Dear Ann,\n\nall is well."),
    ("", "42", True, "Answer: 42"),
]


@pytest.mark.parametrize(("text", "answer", "voted", "content"), CASES, ids=range(len(CASES)))
def test_a_content_has_its_reasoning_and_ends_with_the_answer(
    text: str, answer: str, voted: bool, content: str
) -> None:
    assert content_of(solution(text, answer, voted=voted)) == content
    if re.fullmatch(r"[\d,]+", answer):  # as evaluators read it
        assert re.findall(r"\d[\d,]*", content)[-1].replace(",", "") == answer.replace(",", "")


def test_json_is_left_as_it_is_and_a_short_answer_is_given_alone() -> None:
    made = solution('{"a": [1, 2]}', "2", voted=True)
    assert content_of(made, json=True) == '{"a": [1, 2]}'
    assert content_of(made, form="answer") == "2"


def test_what_stops_early_gets_no_answer_that_was_cut_off() -> None:
    assert content_of(solution("One.", "Three"), stop=("Two",)) == "One."
    assert content_of(solution("One. Two.", "x", voted=True), stop=("Two",)) == "One."


@pytest.mark.parametrize(
    "text", ["", " ", "a", "a b" * 400, "x" * 1_000, "ä\n\n𝄞 " * 99, "\n" * 100], ids=range(7)
)
def test_pieces_are_the_whole_text(text: Any) -> None:
    assert "".join(pieces(text)) == text
