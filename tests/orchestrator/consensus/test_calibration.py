import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.calibration import (
    Calibration,
    auroc,
    calibrate,
    isotonic,
    reliability,
    wilson_upper,
)


def examples(n: int, seed: int = 1) -> tuple[list[float], list[bool]]:
    """Scores between 0 and 1 that are right with the probability 1 - score."""
    rng = random.Random(seed)
    scores = [rng.random() for _ in range(n)]
    return scores, [rng.random() > score for score in scores]


def test_a_calibration_finds_the_probabilities() -> None:
    scores, right = examples(800)
    fitted = calibrate(scores, right, signal="normalised entropy", rising=False)
    for score in (0.1, 0.5, 0.9):
        assert fitted.probability(score) == pytest.approx(1 - score, abs=0.15)
    assert fitted.calibration_error < 0.1
    assert fitted.auroc == pytest.approx(5 / 6, abs=0.03)
    low, high = fitted.auroc_interval or (0, 0)
    assert low < 5 / 6 < high
    assert fitted.probability(None) is None
    assert fitted.probability(float("nan")) is None


def test_a_threshold_keeps_the_risk_below_its_bound() -> None:
    scores, right = examples(800)
    fitted = calibrate(scores, right, signal="entropy", rising=False)
    threshold = fitted.threshold(0.1)
    assert threshold is not None
    fresh_scores, fresh_right = examples(4000, seed=2)
    accepted = [label for score, label in zip(fresh_scores, fresh_right, strict=True) if score <= threshold]
    assert 1 - sum(accepted) / len(accepted) < 0.12
    assert fitted.threshold(0.0) is None


def test_it_survives_json() -> None:
    fitted = calibrate(*examples(200), signal="entropy", rising=False)
    assert Calibration.from_json(fitted.to_json()) == fitted
    with pytest.raises(ValueError, match="not a calibration"):
        Calibration.from_json('{"signal": "entropy"}')


def test_all_right_has_no_auroc_and_no_certainty() -> None:
    fitted = calibrate([0.0] * 20, [True] * 20, signal="entropy", rising=False)
    assert fitted.auroc is None
    assert fitted.auroc_interval is None
    assert (fitted.probability(0.0) or 1) < 1


def test_undefined_scores_are_left_out_and_too_few_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 examples with a defined score, got 5"):
        calibrate([0.1] * 5 + [None] * 9, [True] * 14, signal="entropy", rising=False)
    with pytest.raises(ValueError, match="3 scores for 2 labels"):
        calibrate([0.1] * 3, [True] * 2, signal="entropy", rising=False)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_isotonic_never_falls(pairs: list[tuple[int, bool]]) -> None:
    knots = isotonic([score for score, _ in pairs], [label for _, label in pairs])
    shares = [share for _, share in knots]
    assert shares == sorted(shares)
    assert all(0 < share < 1 for share in shares)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_ordered_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [float(score) for score, _ in pairs], [label for _, label in pairs]
    good = [score for score, label in pairs if label]
    bad = [score for score, label in pairs if not label]
    found = auroc(scores, labels)
    if not good or not bad:
        assert found is None
    else:
        wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
        assert found == pytest.approx(wins / len(good) / len(bad))


def test_reliability_groups_hold_every_example() -> None:
    curve = reliability([0.1] * 7 + [0.9] * 3, [False] * 7 + [True] * 3, bins=5)
    assert [each.count for each in curve] == [7, 3]
    assert curve[1].observed == 1.0


def test_wilson() -> None:
    assert wilson_upper(0, 10) == pytest.approx(0.2775, abs=1e-3)
    assert wilson_upper(10, 10) == pytest.approx(1.0)
