"""Predictions of what votes take, beside votes that are then held, in the time of a simulator.

80 votes are seen for each row, of narrow ones 320: the tolerance is what chance alone makes likely.
"""

from __future__ import annotations

import pytest

from benchmarks.forecasts import compare

MEAN, P90 = 0.15, 0.3


@pytest.mark.slow
def test_predictions_come_true() -> None:
    rows = compare(40, 2, widths=(1, 2, 4, 16))
    assert [(row.rule, row.width) for row in rows] == [
        (rule, width) for rule in ("fixed", "beta") for width in (1, 2, 4, 16)
    ]
    for row in rows:
        for name, error in row.errors():
            assert abs(error) < (P90 if name.endswith("p90") else MEAN), (row, name)
