# ruff: noqa: RUF001 -- the signs are what models write

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.equations import LONGEST, Mistake, wrong_comparison, wrong_equation


def why(mistake: Mistake | None) -> str:
    return mistake.why if mistake else ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "48 / 2 = 24, and 48 + 24 = 72",
        "48/2 = 24 + 48 = 72",
        "(2 + 3) * 4 = 20, so it is 20.",
        r"So \( 3 \times 4 = 12 \) and \(12 \div 4 = 3\).",
        "3 x 4 = 12 and 3 × 4 = 12",
        "5 - 8 = -3",
        "2^3 = 8 and 2 ** 3 = 8",
        "$5 * 3 = $15",
        "1,200 + 300 = 1,500",
        "10 / 3 = 3.33 and 20 / 3 = 6.66 and 20 / 3 = 6.67",
        "100 / 7 = 14 remainder 2",
        "20% * 50 = 10",
        "12 / 60 * 100 = 20%",
        "15 / 60 = 25%",
        "2x + 3 * 4 = 14",
        "y - 3 * 4 = 14",
        "f(3 + 4) = 9",
        "240 km / 3 h = 81 km/h",
        "10:30 - 9:15 = 1:16",
        "60 + 15% = 69",
        "3 * 4 = 12x",
        "3 * 4 = 13 * 1",
        "1/0 = 5",
        "2024-05-01 = 3",
        "1 1/2 + 1/2 = 2 and 1 1/2 + 2 1/2 = 4",
        "1.000 + 500 = 1.500 and 3,5 + 1,5 = 5 and 2,500 * 2 = 5",
        "10 + 5 = 3 mod 12, and 10 mod 3 + 1 = 2",
        "9 + 5 = 2 o'clock, 11 + 3 = 2 PM and 22 + 5 = 3 a.m.",
        "90 + 45 = 2 hours 15 minutes",
        "1 + 1 = 10 in binary",
        "19.99 * 3 = 60",
        "√16 + 3 = 7 and 0x10 + 1 = 17",
        "10 : 4 + 1 = 3.5",
        "Step 2 - 3 + 4 = 7",
        "Is 3 + 4 = 8? If 3 + 4 = 8, no. 3 + 4 = 8 is wrong.",
        "- Apples: 3 * 2 = 6\n- Pears: 4 * 2 = 8\n- 6 + 8 = 14",
        "Red: 12\n\n* 12 / 2 = 6",
        "So it is\n- 5 + 3 = -2",
        "2500 * 4 = 10 thousand, 500 * 3 = 1.5 liters, 1200 + 300 = 1.5 km",
        "50 * 4 = $2.00",
        "30 + 45 = 1 Stunde 15 Minuten, 40 + 40 = 1 hr 20 min, 7 + 7 = 2 Wochen",
        r"1000 \times 2 = 2\,000",
        "It is not true that 2 + 2 = 5.",
        "Suppose 5 * 3 = 16.",
        "Tim says 7 * 8 = 54. A common error is to compute: 5 + 3 * 2 = 16. Is 2 * 3 = 8 ✗?",
        "3 * 9 = 28 is a contradiction",
        "17 * 24 = 408, so 17 * 24 = 418 does not hold.",
        "80 + 40 = 1 m 20 cm, 50 + 75 = 1 dollar and 25 cents",
        "Working modulo 12, which means that we subtract twelve when it is needed, 7 + 8 = 3.",
        "In base 8, 7 + 1 = 10, and 5 XOR 3: 5 ^ 3 = 6",
    ],
)
def test_what_holds_or_is_no_equation_of_numbers_is_left_alone(text: str) -> None:
    assert wrong_equation(text) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It is 48 / 2 = 25.", "48 / 2 = 25 is wrong: it is 24"),
        ("120 - 45 = 85", "120 - 45 = 85 is wrong: it is 75"),
        (r"\[ 3 \times 4 = 13 \]", "3 * 4 = 13 is wrong: it is 12"),
        ("$5 * 3 = $16", "$5 * 3 = $16 is wrong: it is 15"),
        ("2 * (3 + 4) = 15", "2 * (3 + 4) = 15 is wrong: it is 14"),
        ("7 * 8 = 56, 56 + 4 = 61", "56 + 4 = 61 is wrong: it is 60"),
        ("10 / 3 = 3.43", "10 / 3 = 3.43 is wrong: it is 3.3333333333"),
        ("3 * 4 = 12.5", "3 * 4 = 12.5 is wrong: it is 12"),
        ("3 + 4 = 8, so", "3 + 4 = 8 is wrong: it is 7"),
        (r"so \(3 + 4 = 8\)", "3 + 4 = 8 is wrong: it is 7"),
        (r"3 + 4 = \boxed{8}", "3 + 4 = 8 is wrong: it is 7"),
        ("1.000 + 500 = 1.600", "1.000 + 500 = 1.600 is wrong: it is 501"),
        ("25 * 4 = 1", "25 * 4 = 1 is wrong: it is 100"),
        ("30 * 2 = 6000", "30 * 2 = 6000 is wrong: it is 60"),
        ("2.5 * 3 = 9", "2.5 * 3 = 9 is wrong: it is 7.5"),
        ("3 + 4 = 8\n- 2 + 2 = 4", "3 + 4 = 8 is wrong: it is 7"),
        (r"\$5 + \$3 = \$9", "$5 + $3 = $9 is wrong: it is 8"),
        ("**24 + 24 = 50**", "24 + 24 = 50 is wrong: it is 48"),
    ],
)
def test_a_wrong_equation_is_told_with_what_is_right(text: str, wrong: str) -> None:
    assert why(wrong_equation(text)) == wrong


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("It is 48 / 2 = 25.", "It is 48 / 2 = 24."),
        ("First 48 / 2 = 25 clips, then 48 + 25 = 73 clips.", "First 48 / 2 = 24 clips,"),
        ("26.2 * 1.61 = 42.0008 km in all", "26.2 * 1.61 = 42.182 km"),
        ("26.2 * 1.609 = 42.000008 km in all", ""),
        (r"\[ 3 \times 4 = 13 \]", r"\[ 3 \times 4 = 12"),
        (r"so \(3 \cdot 4 = \boxed{13}\) it is", r"so \(3 \cdot 4 = \boxed{12}"),
        ("$5 * 3 = $16 altogether", "$5 * 3 = $15 altogether"),
        ("3 x 4 = 13, so", "3 x 4 = 12,"),
        ("5 - 8 = 3", "5 - 8 = -3"),
        ("7 * 8 = 57 = 50 + 7", "7 * 8 = 56"),
        (r"So \boxed{48 / 2 = 25}", r"So \boxed{48 / 2 = 24}"),
        (r"\boxed{5 \times 3 = 16}", r"\boxed{5 \times 3 = 15}"),
        (r"\$5 \times 3 = \$16 in all", r"\$5 \times 3 = \$15"),
        (r"12 * 4 = \boxed{50}.", r"12 * 4 = \boxed{48}."),
        (r"12 * 4 = \boxed{50} apples.", r"12 * 4 = \boxed{48} apples."),
        ("10 / 3 = 3.43", "10 / 3 = 3.33"),
        ("10 / 4 = 4", "10 / 4 = 2.5"),
        ("48 / 2 = 25 but", "48 / 2 = 24"),
        ("20% * 50 = 11", ""),
        ("1.000 + 500 = 1.600", ""),
        ("2.500 * 3 = 7.600 Euro", ""),
        ("2^200 = 5", ""),
    ],
)
def test_a_wrong_equation_is_corrected_up_to_what_follows_from_it(text: str, corrected: str) -> None:
    found = wrong_equation(text)
    assert found is not None
    assert found.corrected(text) == corrected


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("0123456789 .,+-*/^()=%$x\\timesdiv:"), max_size=200))
def test_no_text_raises(text: str) -> None:
    found = wrong_equation(text)
    assert found is None or text[found.at] in "0123456789-$"


@pytest.mark.parametrize(
    "piece", ["1+", "(1+", "1 = ", "9" * 9 + "*", "((((", "1,", "1 x ", "2^", "9**9**9=1 "]
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.thread_time()
    wrong_equation(piece * (2 * LONGEST // len(piece)))
    assert time.thread_time() - begun < 20


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Clearly, 90 minutes is longer than 100 minutes.", "90 minutes is longer than 100 minutes is wrong"),
        ("100 minutes is longer than 90 minutes.", ""),
        ("1 hour is shorter than 50 minutes", "1 hour is shorter than 50 minutes is wrong"),
        ("3/8 is larger than 2/5", "3/8 is larger than 2/5 is wrong"),
        ("9.11 is larger than 9.9", "9.11 is larger than 9.9 is wrong"),
        ("$5 is less than $4.50", "$5 is less than $4.50 is wrong"),
        ("0.9 is larger than 0.11", ""),
        ("1 mile is longer than 1500 metres", ""),
        ("10 km is more than 5 kg", ""),
        ("Is 5 more than 6?", ""),
        ("5 is not more than 6", ""),
        ("If 5 is more than 6, then all is well", ""),
        ("It is wrong that 5 is more than 6", ""),
        ("the sum of 2 and 3 is larger than 4", ""),
        ("5 + 3 is more than 7", ""),
    ],
)
def test_comparisons_of_amounts_are_checked(text: str, wrong: str) -> None:
    assert why(wrong_comparison(text)) == wrong


def test_many_comparisons_take_no_time() -> None:
    begun = time.thread_time()
    wrong_comparison("5 is more than 4 and " * 5_000)
    wrong_comparison("9" * 20_000)
    wrong_comparison("9 is very " * 3_000)
    assert time.thread_time() - begun < 5


@pytest.mark.parametrize(
    "text",
    [
        "10 is no more than 12",
        "Neither is 5 more than 6",
        "The claim that 5 is more than 6 is untrue.",
        "5 is more than 6 → False",
        "Suppose 5 is more than 6.",
        "Twice 3 is more than 5.",
        "1 1/2 is more than 1.2",
        "1 3/4 is more than 1 1/2",
        "2 is less than 1 1/2 times 4",
        "5 is less than 3 times 4",
        "−5 is less than 3",
        "A negative 5 is less than 3.",
        "Chapter 3 is longer than 4.",
        "1.500 is more than 999",
        "It cannot be that 5 is more than 6.",
    ],
)
def test_a_comparison_that_is_not_plainly_stated_is_left_alone(text: str) -> None:
    assert not wrong_comparison(text)


@pytest.mark.parametrize(
    "text", ["So 3/8 is larger than 2/5.", "Since 90 minutes is longer than 100 minutes,", "5 is more than 6"]
)
def test_a_comparison_that_is_stated_and_wrong_is_found(text: str) -> None:
    assert wrong_comparison(text)
