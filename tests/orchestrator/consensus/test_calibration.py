import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.calibration import (
    auroc,
    calibrate,
    isotonic,
    reliability,
    threshold,
)
from orchestrator.consensus.shares import share_at_most


def examples(n: int, seed: int = 1) -> tuple[list[float], list[bool]]:
    """Scores between 0 and 1 that are right with the probability 1 - score."""
    rng = random.Random(seed)
    scores = [rng.random() for _ in range(n)]
    return scores, [rng.random() > score for score in scores]


def test_a_calibration_finds_the_probabilities() -> None:
    scores, right = examples(800)
    fitted = calibrate(scores, right, rising=False)
    for score in (0.1, 0.5, 0.9):
        assert fitted.probability(score) == pytest.approx(1 - score, abs=0.15)
    assert fitted.calibration_error < 0.1
    assert fitted.auroc == pytest.approx(5 / 6, abs=0.03)
    low, high = fitted.auroc_interval
    assert low < 5 / 6 < high


def test_a_threshold_keeps_its_risk_on_fresh_examples_and_says_what_bears_it_out() -> None:
    least, held_out = threshold(*examples(800), rising=False, risk=0.2)
    assert least is not None
    assert held_out is not None
    assert held_out.examples == 400
    assert held_out.upper == share_at_most(held_out.wrong, held_out.accepted) <= 0.2
    fresh = [label for score, label in zip(*examples(4000, seed=2), strict=True) if score <= least]
    assert 1 - sum(fresh) / len(fresh) <= 0.2
    fitted = calibrate(*examples(800), rising=False)
    assert fitted.accepts(least, least)
    assert not fitted.accepts(least + 0.01, least)


def test_too_little_data_gives_no_threshold() -> None:
    assert threshold([1.0] * 40, [True] * 40, rising=True, risk=0.1) == (None, None)
    least, held_out = threshold([1.0] * 120, [True] * 120, rising=True, risk=0.1)
    assert least == 1.0
    assert held_out is not None
    assert (held_out.accepted, held_out.wrong) == (60, 0)


def test_a_threshold_that_only_looked_good_is_not_borne_out() -> None:
    dealt = random.Random(0).sample(range(400), 400)  # as the halves are dealt
    lucky = set(dealt[::2])
    right = [at in lucky or at % 3 > 0 for at in range(400)]
    least, held_out = threshold([1.0] * 400, right, rising=True, risk=0.1)
    assert least is None
    assert held_out is not None
    assert held_out.upper > 0.25


def test_a_threshold_seldom_allows_more_than_the_risk_although_many_are_tried() -> None:
    # The surest score is never wrong, the least sure one half the time.
    risk_at = [at / 40 for at in range(21)]
    risk_up_to = [sum(risk_at[: at + 1]) / (at + 1) for at in range(21)]
    thresholds = []
    for seed in range(40):
        rng = random.Random(seed)
        scores = [rng.randrange(21) for _ in range(300)]
        right = [rng.random() >= risk_at[score] for score in scores]
        thresholds.append(threshold(scores, right, rising=False, risk=0.2)[0])
    given = [int(found) for found in thresholds if found is not None]
    assert len(given) > 20
    assert sum(risk_up_to[found] > 0.2 for found in given) <= 2


def test_too_few_or_one_sided_examples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 20 .* there are 5, 3 right and 2 wrong"):
        calibrate([0.1] * 5 + [None] * 20 + [math.nan], [True] * 3 + [False] * 23, rising=False)
    with pytest.raises(ValueError, match="5 of them right and 5 wrong; there are 40, 36 right and 4 wrong"):
        calibrate([0.1] * 40, [True] * 36 + [False] * 4, rising=True)
    with pytest.raises(ValueError, match="3 scores for 2 labels"):
        calibrate([0.1] * 3, [True] * 2, rising=False)


def test_a_score_that_tells_nothing_gives_the_share_that_is_right() -> None:
    fitted = calibrate([1.0] * 40, [True] * 30 + [False] * 10, rising=True)
    assert fitted.auroc == 0.5
    assert fitted.knots == ((1.0, 31 / 42),)
    assert fitted.probability(0.2) == fitted.probability(2.0) == 31 / 42


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
