"""Intervals of shares, and statements that are checked against counts."""

from __future__ import annotations

import pytest

from orchestrator.consensus.shares import checked, share_at_most, share_interval, smoothed, wilson_upper


def test_the_upper_bound_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert share_at_most(0, 29) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert share_at_most(2, 60) == pytest.approx(0.1012, abs=1e-4)
    assert share_at_most(0, 0) == share_at_most(7, 7) == 1.0


def test_wilson() -> None:
    assert wilson_upper(0, 10) == pytest.approx(0.2775, abs=1e-3)
    assert wilson_upper(10, 10) == pytest.approx(1.0)


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert share_interval(8, 10) == pytest.approx((0.4439, 0.9748), abs=1e-4)
    assert share_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert share_interval(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_no_finite_count_gives_certainty() -> None:
    assert smoothed(0, 0) == 0.5
    assert 0 < smoothed(0, 9) < smoothed(9, 9) < 1


def test_what_is_stated_is_held_against_what_came_of_it() -> None:
    high, low = checked([0.9] * 10 + [0.2] * 10, [True] * 9 + [False] + [True] * 9 + [False])
    assert (high.stated, high.right, high.count, high.within) == (0.9, 9, 10, True)
    assert (low.stated, low.right, low.count, low.within) == (0.2, 9, 10, False)
    with pytest.raises(ValueError, match="zip"):
        checked([0.5], [])
