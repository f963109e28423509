import pytest

from orchestrator.consensus.quantities.imaginary import read_complex
from tests.orchestrator.consensus.pairs import said


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{-4}", "2i"),
        ("i^2", "-1"),
        ("3 - 4j", "3 - 4i"),
        (r"\frac{1}{i}", "-i"),
        (r"\frac{1+i}{1-i}", "i"),
        ("(1+i)^2", "2i"),
        (r"e^{i\pi}", "-1"),
        (r"e^{i\pi/2}", "i"),
        ("5 + 0i", "5"),
        ("i + 1", "1 + i"),
    ],
)
def test_complex_numbers_of_one_value_are_the_same(left: str, right: str) -> None:
    assert said(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("3 + 4i", "3 - 4i"),
        ("2i", "2"),
        ("i", "-i"),
        (r"\sqrt{-4}", "2"),
        (r"e^{i\pi}", "1"),
        ("i^2", "1"),
        ("3i + 4j", "4i + 3j"),
        ("3i + 4j", "7i"),
        (r"\frac{1}{2i}", r"\frac{i}{2}"),
        (r"\frac{3}{4i}", r"\frac{3i}{4}"),
    ],
)
def test_those_of_two_values_are_not(left: str, right: str) -> None:
    assert not said(left, right)


@pytest.mark.parametrize(
    "text", ["5", "in", "2 + 3x", "i = 2", "sqrt(-2)", "1/(i - i)", "i^999999", "i" * 60, "(" * 40 + "i"]
)
def test_other_texts_are_none(text: str) -> None:
    assert read_complex(text) is None
