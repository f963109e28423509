import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.judgement import affirms, judge_text, log_odds


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
    assert not affirms(log_odds(top), -3.0)
    assert not affirms(9.0, log_odds(top))


def test_a_judge_that_always_says_yes_convinces_nobody() -> None:
    assert not affirms(4.5, neutral=4.2)
    assert affirms(8.0, neutral=4.2)


def test_a_judge_that_always_says_no_is_heard_when_it_wavers() -> None:
    assert affirms(-0.8, neutral=-4.0)
    assert not affirms(-3.5, neutral=-4.0)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 20))
def test_who_leans_more_to_yes_affirms_no_less(odds: float, neutral: float, more: float) -> None:
    assert affirms(odds + more, neutral) >= affirms(odds, neutral)
