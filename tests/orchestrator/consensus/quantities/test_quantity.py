from fractions import Fraction
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.equivalence import compare, read_form
from orchestrator.consensus.quantities import parse_quantity, same_quantity

WORDS = {0: "zero", 7: "seven", 13: "thirteen", 20: "twenty", 42: "forty-two", 90: "ninety"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", Fraction(2469, 2)),
        ("-3", Fraction(-3)),
        ("\N{MINUS SIGN}3", Fraction(-3)),
        ("$-5", Fraction(-5)),
        ("2 1/2", Fraction(5, 2)),
        ("1.5e-3", Fraction(3, 2000)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        ("two hundred and six", Fraction(206)),
        ("three hundred thousand", Fraction(300_000)),
        ("two thirds", Fraction(2, 3)),
        ("half", Fraction(1, 2)),
        ("three and a half", Fraction(7, 2)),
    ],
)
def test_reads(text: str, value: Fraction) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert quantity.value == value


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "x^2",
        "3x",
        "10, 20",
        "(1,2)",
        "five six",
        "1/0",
        "1e99999",
        "10:30",
        "1.2.3",
        "",
        "a",
        "third",
    ],
)
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert parse_quantity(text) is None


@given(st.sampled_from(sorted(WORDS)))
def test_words_equal_digits(number: int) -> None:
    words, digits = parse_quantity(WORDS[number]), parse_quantity(str(number))
    assert words is not None
    assert digits is not None
    assert same_quantity(words, digits)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_whole_numbers_are_equal_only_if_they_are(a: int, b: int) -> None:
    left, right = parse_quantity(f"{a:,}"), parse_quantity(str(b))
    assert left is not None
    assert right is not None
    assert same_quantity(left, right) == (a == b)


@given(st.integers(1, 10**4), st.integers(2, 10**4), st.integers(3, 9))
def test_a_correct_rounding_is_the_fraction_and_a_wrong_one_is_not(
    above: int, below: int, digits: int
) -> None:
    share = Fraction(above, below)
    rounded = round(share, digits)
    if rounded < Fraction(1, 10) or share.denominator == 1:
        return
    exact = parse_quantity(f"{above}/{below}")
    right = parse_quantity(f"{float(rounded):.{digits}f}")
    wrong = parse_quantity(f"{float(rounded + Fraction(2, 10**digits)):.{digits}f}")
    assert exact is not None
    assert right is not None
    assert wrong is not None
    assert same_quantity(exact, right)
    assert not same_quantity(exact, wrong)


@given(st.text(max_size=60))
def test_any_text_is_read_without_failing(text: str) -> None:
    quantity = parse_quantity(text)
    assert quantity is None or same_quantity(quantity, quantity)


HOSTILE = [
    "9^{9^{9^9}}",
    "1000000000!",
    "5" + "!" * 70,
    "(" * 5000 + "1" + ")" * 5000,
    "1" * 100_000,
    "9" * 79 + "^9",
    "1e99999999999",
    "10^{99999999999}",
    "C(100000,50000)",
    "a or " * 2000,
    "x=1, " * 3000,
    "1," * 50_000,
    "five " * 1000,
    "1 " + "trillion " * 8,
    "C(1000,500) to 5 Pm^4",
    "5 " + "km " * 20,
    "5 " + "square " * 10 + "m",
    "5 " + "Pm^4 " * 10,
    "-" * 300,
    "1-" * 40 + "1",
    "not " * 20 + "5",
    "\\frac{" * 50,
    "1'" * 30,
    "1 in 0",
    "0:0",
    "0 to 0",
    "\ud800 5",
    "± ± 5",
    "5 of " * 15 + "them",
    "a to " * 24,
    "1:" * 60,
    "5 and " * 20,
    "5 or more " * 12,
    "odds " * 24,
    "between " * 15,
    "an increase of " * 8,
    "x > 5 or " * 12,
    "(1,2) \N{UNION} " * 14,
    "all real numbers except " + "1, " * 30,
    "[[" + "1," * 400 + "]]",
    "\\begin{pmatrix}" + "1&2\\\\" * 200 + "\\end{pmatrix}",
    "[" * 100 + "]" * 100,
    "{'a': " * 30 + "1" + "}" * 30,
    "tausend" * 10,
    "vingt " * 12,
    "H2O + " * 20 + "→ H2O",
    "quarter past " * 5,
    "from 9 am to " * 5,
    "999P500",
    "999999999√999983",
    "O(" * 30 + ")" * 30,
    "a.b." * 40,
    "$ " * 150,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_read_in_little_time(text: str) -> None:
    began = thread_time()
    form = read_form(text)
    assert compare(form, form) == ("exact", True)
    compare(form, read_form("5"))
    assert thread_time() - began < 1  # most take less than a hundredth
