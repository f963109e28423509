"""Whole completions that differ in one thing are two answers, and those that do not are one."""

import time

import pytest

from orchestrator.consensus.extraction import extract_claim
from tests.orchestrator.consensus.pairs import joined


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The code prints `'5'`.", "It prints 5."),
        ('Output: `"5"`', "Output: 5"),
        ("The output is `Hello`.", "The output is `hello`."),
        ("`myVar`", "`myvar`"),
        ("`x = 5`", "`x == 5`"),
        ("You need Python 3.10.", "3.1"),
        ("The latest release is 3.10.", "The latest release is 3.1."),
        ("Requires Python >= 3.10.", "Requires Python >= 3.1."),
        ("Es ist 5 mal so viel.", "5"),
        ("La respuesta es 5 veces más.", "La respuesta es 5."),
        ("答案是5倍。", "答案是5。"),
        ("답은 5배입니다.", "답은 5입니다."),
        ("比5多。", "5"),
        ("Die Antwort: 5 mehr.", "5"),
        ("Twice as many: 5", "5"),
        ("twice 5", "5"),
        ("half of 8", "8"),
        ("5 squared", "5"),
        ("He ran 5 km in the morning.", "He ran 5 km."),
        ("It hardly costs 5 dollars.", "It costs 5 dollars."),
        ("Mg", "mg"),
        ("The formula is CO.", "The formula is co."),
        ("2 of 3 left", "2/3"),
        ("2/3 remain.", "2/3"),
        ("3 out of 4 fail", "3 out of 4 pass"),
        ("before 1900", "after 1900"),
        ("after 5 pm", "5 pm"),
        ("vor 1900", "nach 1900"),
        ("the early 1900s", "the late 1900s"),
        ("It opened in spring 1990.", "It opened in autumn 1990."),
        ("5年前", "5"),
        ("il y a 5 ans", "dans 5 ans"),
        ("maximum 5", "minimum 5"),
        ("max(3, 5)", "min(3, 5)"),
        ("x ≡ 3 (mod 7)", "x ≡ 3 (mod 5)"),
        ("4 R 3", "3 R 4"),
        ("La réponse est 5 millions.", "La réponse est 5 milliards."),
        ("Ответ: 5 тысяч.", "Ответ: 5 миллионов."),
        ("Die Antwort lautet 1.234.", "Die Antwort lautet 1,234."),
        ("moins de 5", "plus de 5"),
        ("(A) and (C)", "(A)"),
        ("The answer is (B). Hmm, actually (C).", "(B)"),
        ("The chance of no rain is 30%.", "The chance of rain is 30%."),
    ],
)
def test_one_thing_that_matters_keeps_two_completions_apart(left: str, right: str) -> None:
    assert not joined(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The output is `Hello`.", "Output: Hello"),
        ("255 in hexadecimal is `ff`.", "FF"),
        ("**`map`**", "map"),
        ("`[1, 2]`", "[1, 2]"),
        ("The latest release is 3.10.", "Version 3.10"),
        ("The minimum Python version is 3.10.", "3.10"),
        ("答案是5倍。", "5 times as much"),
        ("Er warf die Münze 5 mal.", "5"),
        ("Twice 5 is 10.", "10"),
        ("NO", "no"),
        ("PARIS", "Paris"),
        ("The maximum is 5.", "5"),
        ("3 (mod 7)", "3"),
        ("4 remainder 3", "4 R 3"),
        ("12 apples remain.", "12"),
        ("8 in the morning", "8 am"),
        ("The train leaves at 5 pm.", "5 pm"),
        ("La réponse est 5 millions.", "5000000"),
        ("Die Antwort ist 1.234,5.", "1234.5"),
    ],
)
def test_what_does_not_matter_keeps_none_apart(left: str, right: str) -> None:
    assert joined(left, right)


@pytest.mark.parametrize(
    "piece", ["1", "1/2 left ", "比5 ", "5 mal so ", "hace 5 ", "before ", "`a", "f(", "5 R "]
)
def test_a_long_text_is_read_in_linear_time(piece: str) -> None:
    began = time.thread_time()
    extract_claim("Die Antwort ist nicht " + piece * (60_000 // len(piece)))
    assert time.thread_time() - began < 5
