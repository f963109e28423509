import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.confidence import (
    LowestGroup,
    branch_confidence,
    inverse_entropy,
    least_probability,
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


def spelt(
    *tokens: str, probability: float = 0.5, **others: float
) -> list[tuple[str, float, dict[str, float]]]:
    """Tokens of one probability, each with the same alternatives."""
    top = {name: math.log(each) for name, each in others.items()}
    return [(token, math.log(probability), top) for token in tokens]


def test_an_answer_is_as_sure_as_the_least_sure_of_its_own_tokens() -> None:
    text = [
        *spelt("The capital is", probability=0.1),
        *spelt(" Wel", probability=0.8),
        *spelt("lington", "."),
    ]
    assert least_probability(text, "Wellington") == pytest.approx(0.5)
    assert least_probability(text, "Wel") == pytest.approx(0.8)
    assert least_probability(text, "Auckland") == pytest.approx(0.1), "not found as it was read: all count"
    assert least_probability(spelt("5", " or ", "5", probability=0.3), "5") == pytest.approx(0.3)


def test_a_letter_is_not_sought_in_a_word_behind_it() -> None:
    tokens = [*spelt("B", probability=0.4), *spelt(") ", "Bern", probability=0.99)]
    assert least_probability(tokens, "B") == pytest.approx(0.4)


def test_another_spelling_of_a_token_is_the_same_answer() -> None:
    assert least_probability(spelt("Green", green=0.3, Red=0.2), "Green") == pytest.approx(0.8)
    assert least_probability(spelt("Che", "etah", cheetah=0.3), "Cheetah") == pytest.approx(0.5)
    assert least_probability(spelt("Che", c=0.3, Cheese=0.2), "Cheetah") == pytest.approx(0.5)
    assert least_probability(spelt("Green", Green=0.5), "Green") == pytest.approx(0.5), (
        "it is not counted twice"
    )


def test_how_sure_an_answer_is_may_be_unknown() -> None:
    assert least_probability([], "x") is None
    assert least_probability([("x", math.nan, {})], "x") is None
    assert least_probability([("x", 0.5, {})], "x") is None
    assert least_probability([(" ", -1.0, {})], "") is None
    assert least_probability([("x", -math.inf, {})], "x") == 0.0
