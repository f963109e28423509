import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.judgement import MARGIN, affirms, judge_prompt, log_odds


def test_pairs_share_the_examples_and_those_of_a_question_more() -> None:
    first, second = judge_prompt("Where?", "Paris", "London"), judge_prompt("Where?", "Rome", "Oslo")
    elsewhere = judge_prompt("Whence?", "Paris", "London")
    assert first.segments[:-1] == second.segments[:-1]
    assert first.segments[:-2] == elsewhere.segments[:-2]
    assert first.segments[-2].text == "Question: Where?\n"
    assert first.segments[-1].text == "First answer: Paris\nSecond answer: London\nSame?"
    assert [message["role"] for message in first.messages()[-3:]] == ["user", "assistant", "user"]


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
    assert affirms(4.2 + MARGIN, neutral=4.2)


def test_a_judge_that_wavers_convinces_nobody() -> None:
    assert not affirms(MARGIN - 0.1, neutral=-8.0)
    assert affirms(MARGIN, neutral=-8.0)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 20))
def test_who_leans_more_to_yes_affirms_no_less(odds: float, neutral: float, more: float) -> None:
    assert affirms(odds + more, neutral) >= affirms(odds, neutral)


def test_what_a_server_calls_impossible_is_read_as_very_improbable() -> None:
    assert log_odds({"Yes": -1.0, "Maybe": -9999.0}) == 9998.0
    assert log_odds({"No": -1.0, "Maybe": -9999.0}) == -9998.0
    assert log_odds({"Yes": -9999.0, "No": -9999.0}) is None
