import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.confidence import (
    LowestGroup,
    branch_confidence,
    inverse_entropy,
    token_confidence,
    token_entropy,
    token_scores,
)


def test_token_confidence_is_minus_the_mean_of_the_largest() -> None:
    assert token_confidence([-1.0, -3.0, -100.0], k=2) == 2.0
    assert token_confidence([]) is None
    assert token_confidence([-1.0, float("nan")]) is None
    assert token_confidence([-1.0, -math.inf]) is None
    assert token_confidence([-1.7e308, -1.7e308]) is None
    assert token_entropy([-1.0, -1.7e308]) is None


def test_token_entropy_of_equal_alternatives_is_the_log_of_their_number() -> None:
    assert token_entropy([math.log(0.2)] * 4) == pytest.approx(math.log(4))
    assert token_entropy([0.0]) == 0.0
    assert token_entropy([0.1]) is None


def test_a_branch_with_a_position_that_is_unknown_has_no_scores() -> None:
    half = [math.log(0.5)] * 2
    assert token_scores([half, half]) == ([0.6931, 0.6931], [0.6931, 0.6931])
    assert token_scores([half, []]) == ([], [])
    assert token_scores([half, [float("nan")]]) == ([], [])


def test_inverse_entropy_trusts_nothing_unknown() -> None:
    assert inverse_entropy([0.5, 1.5]) == pytest.approx(1.0)
    assert inverse_entropy([]) == 0.0


def test_scores_of_a_branch() -> None:
    tokens = [1.0, 1.0, 5.0, 5.0, 3.0, 3.0]
    assert branch_confidence(tokens, "lowest", window=2) == 1.0
    assert branch_confidence(tokens, "tail", window=2) == 3.0
    assert branch_confidence(tokens, "mean") == 3.0
    assert branch_confidence(tokens, "bottom", window=2) == 1.0
    assert branch_confidence([], "mean") is None
    assert branch_confidence([1.0, float("nan")]) is None


@given(st.lists(st.floats(0, 50), min_size=1, max_size=60), st.integers(1, 20))
def test_the_running_score_ends_as_the_whole_one(tokens: list[float], window: int) -> None:
    meter = LowestGroup(window=window)
    for token in tokens:
        meter.add(token)
    if len(tokens) < window:
        assert meter.value is None
    else:
        whole = min(fmean(tokens[at : at + window]) for at in range(len(tokens) - window + 1))
        assert meter.value == pytest.approx(whole, abs=1e-9)
        assert branch_confidence(tokens, window=window) == pytest.approx(whole, abs=1e-9)


def test_alternatives_that_are_all_impossible_have_no_entropy() -> None:
    assert token_entropy([-9999.0, -9999.0]) is None
    assert token_entropy([0.0, -9999.0]) == 0.0
