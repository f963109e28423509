import pytest

from orchestrator.consensus.quantities.operations import in_signs
from tests.orchestrator.consensus.pairs import said


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("the square root of 49", "7"),
        ("cube root of 27", "3"),
        ("cube root of -8", "-2"),
        ("square of 7", "49"),
        ("5 squared", "25"),
        ("two cubed", "8"),
        ("factorial of 5", "120"),
        ("5 factorial", "120"),
        ("2 to the power of 5", "32"),
        ("2 raised to the power 8", "256"),
        ("two to the tenth power", "1024"),
        ("ten to the minus three", "0.001"),
        ("pow(2, 10)", "1024"),
        ("nCr(6, 2)", "15"),
        ("math.perm(6, 2)", "30"),
        ("9!!", "945"),
        (r"\binom{4}{2}\binom{3}{1}", "18"),
        (r"2\binom{4}{2}", "12"),
        ("^{6}C_{2}", "15"),
    ],
)
def test_an_operation_is_its_value_and_not_its_operand(words: str, value: str) -> None:
    assert said(words, value)
    operand = next(word for word in ("49", "27", "7", "5", "2", "9") if word in words or word == "9")
    assert not said(words, operand)


@pytest.mark.parametrize(
    "text", ["5 km squared", "to the right", "square root of x", "from 2 to the 8th", "5"]
)
def test_other_texts_stay(text: str) -> None:
    assert in_signs(text) == text
