from __future__ import annotations

import pytest

from planners.conditions import LONGEST_CONDITION, conditions
from workers.errors import ToolError


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("> 100 km", [(">", "100 km")]),
        ("is no more than 5", [("<=", "5")]),
        ("greater than or equal to 5", [(">=", "5")]),
        ("before 12 May 1999", [("<", "12 May 1999")]),
        ("between 5 and 7", [(">=", "5"), ("<=", "7")]),
        ("5 or fewer", [("<=", "5")]),
        ({"more_than": 5}, [(">", 5)]),
        (["not", 5], [("!=", 5)]),
    ],
)
def test_signs_and_limits(written: object, read: list[tuple[str, object]]) -> None:
    assert conditions(written) == read


@pytest.mark.parametrize("written", ["5", "> 5 or < 3", "heavy", None, 5, "> " + "5" * LONGEST_CONDITION])
def test_what_is_no_single_condition_is_refused(written: object) -> None:
    with pytest.raises(ToolError, match="give a sign and a value"):
        conditions(written)
