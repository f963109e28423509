# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    (r"x \ge 5", r"[5, \infty)"),
    (r"(5,\infty)", "x > 5"),
    ("x < -2 or x > 2", r"(-\infty,-2)\cup(2,\infty)"),
    ("[1, 4) ∪ (4, ∞)", "x ≥ 1, x ≠ 4"),
    ("the domain consists of all x ≥ 1 except x = 4", r"[1,4)\cup(4,\infty)"),
    ("x ≤ 3", "(-∞, 3]"),
    ("ℝ ∖ {3}", "x ≠ 3"),
    (r"\mathbb{R}\setminus\{0\}", "all real numbers except 0"),
    (r"(-\infty, -2) \cup (2, \infty)", "x < -2 or x > 2"),
)
DIFFERENT = (
    ("[1, 4) ∪ (4, ∞)", "[1, ∞)"),
    ("x ≥ 5", "(5, ∞)"),
    ("all real numbers except 3", "all real numbers except -3"),
    ("x < -2 or x > 2", "-2 < x < 2"),
    ("x < 2 or x > 3", "x < 2 or x ≥ 3"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
