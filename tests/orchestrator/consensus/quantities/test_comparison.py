# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    (r"\pm\sqrt{2}", r"\sqrt{2}, -\sqrt{2}"),
    ("x > 5", "5 < x"),
    (r"-3 \le x < 2", "[-3, 2)"),
    (r"\{1,2,3\}", "{3, 2, 1}"),
    (r"x \in (2, 5)", "2 < x < 5"),
    ("x = 2 and y = 3", "(x, y) = (2, 3)"),
    ("(2, 3)", "x = 2, y = 3"),
    ("x=2,y=3", r"x=2 \text{ and } y=3"),
    ("x ≠ 3", r"x \neq 3"),
    ("2, 3, and 5", "2, 3, 5"),
    ("odds of 3:1", "3 to 1"),
    ("3:1 odds", "3 to 1"),
    ("3-to-1", "3:1"),
    ("4:2", "2:1"),
    ("2:1", "2 to 1"),
    ("1:1", "1 to 1"),
    ("[1, 2, 3]", "[1,2,3]"),
    ("(1, 2)", "(1,2)"),
    ("3-1", "3–1"),
    ("3 - 1", "3-1"),
    ("3:1", "3 : 1"),
    ("{1, 2, 3}", "{3, 2, 1}"),
    ("the 15th century", "the fifteenth century"),
    ("third place", "3rd place"),
    ("the 100th", "hundredth"),
    ("the 2nd one", "second"),
    ("x ∈ {1, 2}", "x = 1 or x = 2"),
    ("a ratio of 2 to 3", "2:3"),
    ("(3, -2)", "x = 3 and y = -2"),
)
DIFFERENT = (
    (r"\pm 3", "3"),
    ("x = 3 or x = -3", "x = 3"),
    ("x > 5", "x < 5"),
    ("(2,5)", "[2,5]"),
    ("{1,2}", "{1,2,3}"),
    (r"x \in (2,5)", r"x \in [2,5)"),
    ("2, 3", "2, 3, 5"),
    ("x=2,y=3", "x=3,y=2"),
    ("{2,3}", "(2,3)"),
    ("1 in 5", "1 to 5"),
    ("3:1", "1:3"),
    ("odds of 3 to 1", "3/4"),
    ("[1,2]", "(1,2)"),
    ("[1,2,3]", "{1,2,3}"),
    ("3-1", "1-3"),
    ("[1, 2]", "[1, 2, 3]"),
    ("the 15th century", "the 16th century"),
    ("05/06/2020", "06/05/2020"),
    ("3rd", "3"),
    ("first", "last"),
    ("second", "2 seconds"),
    ("a third", "third"),
    ("21st", "21"),
    ("1 and 2", "1 or 2"),
    ("x > 5", "(5, 7)"),
    ("x ≠ 3", "x = 3"),
    ("52 ± 3", "49 to 54"),
    ("52 ± 3 km", "52 ± 3 m"),
    ("1 ± 2", "3"),
    ("x = 1 ± 2", "x = 3"),
    ("2, 3", "{2, 4}"),
    ("(2,3)", "x=3, y=2"),
    ("(2,3)", "[2,3]"),
    ("a = 1, c = 2", "(1, 2)"),
    ("a third", "the third"),
    ("[1, '2']", "[1, 2]"),
    ("1 and 2", "(1, 2)"),
    ("between 3 and 5", "(3, 5)"),
    ("3 < x < 5", "3 to 5"),
    ("45 pens and 10 pads", "10 pens and 45 pads"),
    ("45 pens and 10 pads", "55"),
    ("3-1", "1-3"),
    ("second", "2nd place finish of 3"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
