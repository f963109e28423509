"""Whole completions whose last figure alone does not tell what they say."""

import pytest

from tests.orchestrator.consensus.pairs import joined


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The mean is 5 and the median is 4.", "The mean is 3 and the median is 4."),
        ("The mean is 5 and the median is 4.", "The mean is 4 and the median is 5."),
        ("The length is 5 cm; the width is 3 cm.", "The length is 6 cm; the width is 3 cm."),
        ("Tom is 12 years old and Ann is 8 years old.", "Tom is 10 years old and Ann is 8 years old."),
        ("There are 6 ways to make 11.", "There are 4 ways to make 11."),
        ("You need 3 coins to get to 40.", "You need 4 coins to get to 40."),
        ("We find 7 pairs that sum to 15.", "We find 8 pairs that sum to 15."),
        ("There are 3 integers whose square is under 5.", "There are 5 integers whose square is under 5."),
        ("k must exceed 12.", "k = 12"),
        ("The total exceeds 100.", "The total is 100."),
        ("k never exceeds 10.", "k > 10"),
        ("Pages 10 through 15.", "Pages 12 through 15."),
        ("The compound is Ca(OH)2.", "The compound is Mg(OH)2."),
        ("It is Al2(SO4)3.", "It is Fe2(SO4)3."),
        ("The ion is Na+.", "The ion is Na-."),
        ("The value is the square root of 49.", "The value is 49."),
        ("The result is 9!!.", "The result is 9."),
        ("It is nCr(6, 2).", "It is nPr(6, 2)."),
        ("Work:\n1) 2+2=4\n2) 4*3=12\n\\(x = 12\\)", "Work:\n1) 2+2=4\n2) 4*3=12\n\\(x = 21\\)"),
        ("(a) 5\n(b) 7", "(a) 6\n(b) 7"),
        ("The odds against are 4 to 1.", "The odds in favor are 4 to 1."),
        ("The roots are 2 and -3.", "The roots are 2 and 3."),
        ("The chances are 50/50.", "The probability is 1."),
        ("It returns [].", "It returns {}."),
        ("So B is correct.", "So C is correct."),
        ("x is positive.", "x is non-negative."),
    ],
)
def test_what_differs_before_the_last_figure_differs(left: str, right: str) -> None:
    assert not joined(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The mean is 5 and the median is 4.", "The median is 4 and the mean is 5."),
        ("Alice gets 10 and Bob gets 15.", "Bob gets 15 and Alice gets 10."),
        ("The area is 12 and the perimeter is 14, so the sum is 26.", "26"),
        ("We divide by 2 to get 5.", "5"),
        ("There are 6 ways to make 11.", "6"),
        ("Of the 30 students, 12 play chess.", "12 students play chess."),
        ("k must not exceed 12.", "k <= 12"),
        ("You must be 18 or older.", "You must be at least 18."),
        ("x is not greater than 5.", "x ≤ 5"),
        ("x is positive.", "x > 0"),
        ("Chapters 3 through 7.", "Chapters 3-7."),
        ("The formula is Fe(OH)3.", "The formula is Fe(OH)₃."),
        ("The ion is SO4^2-.", "The ion is SO₄²⁻."),
        ("The reaction is 2H2 + O2 -> 2H2O.", "The reaction is 2H₂ + O₂ → 2H₂O."),
        ("The odds against are 4 to 1.", "The probability is 20%."),
        ("The odds in favour are 3:2.", "The probability is 60%."),
        ("There's a 1-in-20 chance.", "The chance is 5 percent."),
        ("It is a fifty-fifty chance.", "The probability is 0.5."),
        ("The ratio of boys to girls is 3:4.", "The ratio of boys to girls is 3 to 4."),
        ("The roots are 1, 2 and 3.", "The roots are 3, 2 and 1."),
        ("Without a doubt it is 12.", "12"),
        ("It's 42.", "42"),
        ("The statement is not true.", "The statement is false."),
        ("The function isn't continuous.", "The function is not continuous."),
        ("The error is one millionth.", "The error is 1e-6."),
        ("So B is correct.", "B"),
        ("Therefore:\n\n> 42", "42"),
        ("\\[ x = 12 \\tag{1} \\]", "x = 12"),
        ("The function returns an empty list.", "The function returns []."),
    ],
)
def test_the_same_in_another_form_is_the_same(left: str, right: str) -> None:
    assert joined(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The eigenvalues are 2, 2 and 3.", "The eigenvalues are 2, 3 and 3."),
        (r"\boxed{50 - 50}", r"\boxed{0.5}"),
        (r"\boxed{\frac{50}{50}}", r"\boxed{0.5}"),
        ("The odds against rain are -1:1.", r"\boxed{5}"),
        (r"\boxed{2 to the 8th}", r"\boxed{256}"),
    ],
)
def test_what_is_no_set_chance_or_power_is_read_for_none(left: str, right: str) -> None:
    assert not joined(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The eigenvalues are 1, 1 and 3.", r"\boxed{1, 1, 3}"),
        ("The ratio of boys to girls is 3 to 4.", r"\boxed{3:4}"),
    ],
)
def test_values_that_repeat_and_ratios_in_words_are_what_they_are_in_signs(left: str, right: str) -> None:
    assert joined(left, right)
