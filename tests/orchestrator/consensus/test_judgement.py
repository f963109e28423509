import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.judgement import Entailment, judge_text, judged_same, log_odds, same_meaning

# What an entailment model can say of a pair in each direction, and whether the two then mean the same.
OUTCOMES: list[tuple[Entailment, Entailment, bool, bool]] = [
    ("entailment", "entailment", True, True),
    ("entailment", "neutral", False, True),
    ("neutral", "entailment", False, True),
    ("neutral", "neutral", False, False),
    ("entailment", "contradiction", False, False),
    ("contradiction", "contradiction", False, False),
]


@pytest.mark.parametrize(("forward", "backward", "strict", "loose"), OUTCOMES)
def test_meaning_is_entailment_both_ways(
    forward: Entailment, backward: Entailment, strict: bool, loose: bool
) -> None:
    assert same_meaning(forward, backward) is strict
    assert same_meaning(forward, backward, strict=False) is loose


def test_all_pairs_of_a_question_share_their_prefix() -> None:
    first, second = judge_text("Where?", "Paris", "London"), judge_text("Where?", "Rome", "Oslo")
    assert first[0] == second[0]
    assert "Where?" in first[0]
    assert first[1].splitlines()[:2] == ["First answer: Paris", "Second answer: London"]


def test_log_odds_add_up_spellings() -> None:
    top = {"Yes": math.log(0.3), " yes": math.log(0.3), "No": math.log(0.2), "Maybe": math.log(0.1)}
    assert log_odds(top) == pytest.approx(math.log(3))
    assert log_odds({"Yes": math.log(0.9), "Maybe": math.log(0.1)}) == pytest.approx(math.log(9))


@pytest.mark.parametrize(
    "top", [{}, {"Perhaps": -0.1}, {"Yes": float("nan")}, {"Yes": -math.inf, "No": -0.1}]
)
def test_an_unreadable_reply_is_unknown(top: dict[str, float]) -> None:
    assert log_odds(top) is None
    assert not judged_same(log_odds(top), 9.0, -3.0)


def test_a_judge_that_always_says_yes_convinces_nobody() -> None:
    assert not judged_same(4.0, 4.5, neutral=4.2)
    assert judged_same(9.0, 8.0, neutral=4.2)


def test_a_judge_that_always_says_no_is_heard_when_it_wavers() -> None:
    assert judged_same(-0.5, -0.8, neutral=-4.0)
    assert not judged_same(-3.9, -3.5, neutral=-4.0)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-20, 20))
def test_the_verdict_is_symmetric(forward: float, backward: float, neutral: float) -> None:
    assert judged_same(forward, backward, neutral) == judged_same(backward, forward, neutral)
