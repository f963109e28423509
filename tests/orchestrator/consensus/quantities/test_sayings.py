import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("no solution", r"\emptyset"),
    ("no solutions", "There is no solution"),
    (r"\varnothing", "the empty set"),
    ("no real solutions", "no real solution"),
    ("all real numbers", r"\mathbb{R}"),
    ("all real numbers", r"(-\infty, \infty)"),
    ("undefined", "The slope is undefined"),
    ("infinite", "infinity"),
    (r"\infty", "infinity"),
    ("infinitely many solutions", "infinitely many"),
    ("O(1)", "constant time"),
    ("''", '""'),
    ("[]", "an empty list"),
    ("{}", "{ }"),
    ('""', "an empty string"),
    ("No solution", "no solution."),
    ("not possible", "impossible"),
    ("it is impossible", "impossible"),
    ("cannot be determined", "can't be determined"),
    ("diverges", "it diverges"),
    ("does not converge", "diverges"),
    ("does not exist", "DNE"),
    ("doesn't exist", "does not exist"),
    ("limit does not exist", "does not exist"),
    ("prime", "it is prime"),
    ("even", "it is even"),
    ("a tie", "draw"),
)
DIFFERENT = (
    ("no solution", "infinitely many solutions"),
    ("no real solutions", "no solution"),
    ("all real numbers", "all positive real numbers"),
    ("infinity", "-infinity"),
    ("undefined", "0"),
    (r"\emptyset", "{0}"),
    ("[]", "[0]"),
    ("[]", "None"),
    ("''", "' '"),
    ("''", "None"),
    ("null", "undefined"),
    ("{}", "[]"),
    ("possible", "impossible"),
    ("converges", "diverges"),
    ("does not converge", "converges"),
    ("even", "odd"),
    ("exists", "does not exist"),
    ("not even", "even"),
    ("no solution", "undefined"),
    ("prime", "composite"),
    ("x ≠ 3", "all real numbers"),
    ("no solution", "no real solutions"),
    ("undefined", "does not exist"),
    ("impossible", "possible"),
    ("infinitely many", "infinity"),
    ("∞", "-∞"),
    ("diverges", "converges"),
    ("even", "odd"),
    ("an empty list", "an empty string"),
    ("none of them", "all of them"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
