import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("O(n log n)", r"O(n \log n)"),
    ("O(n^2)", "O(n²)"),
    ("O(n*log(n))", "O(n log n)"),
    ("O(N)", "O(n)"),
    ("Θ(n)", r"\Theta(n)"),
    ("O(n)", "linear time"),
    ("2:3:5", "4:6:10"),
    ("2:3:5", "2 to 3 to 5"),
    ("0xFF", "0xff"),
    ("0xFF", "FF"),
    ("0b1010", "1010"),
    ("0b1010", "0B1010"),
    ("0o17", "0O17"),
    ("v1.2.3", "1.2.3"),
    ("version 1.2.3", "1.2.3"),
    ("version 3.10", "3.10"),
    ("Python 3.10", "python 3.10"),
    ("v2.0", "version 2.0"),
    ("1010 (binary)", "1010 in binary"),
    ("1010_2", "1010₂"),
    ("1010_2", "0b1010"),
    ("FF hex", "0xFF"),
    ("chapter IV", "chapter 4"),
    ("No. 5", "number 5"),
    ("#5", "No. 5"),
    ("position 3", "position three"),
    ("step 3", "step three"),
    ("(B)", "B"),
    ("B.", "B"),
    ("option B", "B"),
    ("Option B", "(B)"),
    ("choice (C)", "C"),
    ("B) Paris", "B. Paris"),
    ("(B) Paris", "B: Paris"),
    ("option 3", "3"),
    ("(C) Paris", "C"),
    ("C. Paris", "C"),
    ("ff", "0xFF"),
)
DIFFERENT = (
    ("e^2", "2e"),
    ("O(log n)", "O(n log n)"),
    ("O(n)", "Ω(n)"),
    ("O(n)", "Θ(n)"),
    ("2:3:5", "2:5:3"),
    ("0xFF", "0xFE"),
    ("0b1010", "0b1011"),
    ("1.2.3", "1.2.4"),
    ("version 3.10", "version 3.1"),
    ("version 3.10", "3.1"),
    ("0o17", "0o71"),
    ("0x10", "0b10"),
    ("1.0", "1.0.0"),
    ("step 3", "step 4"),
    ("A", "A and B"),
    ("Option A", "Option B"),
    ("(B) Paris", "(B) London"),
    ("(B) Paris", "(C) Paris"),
    ("0xFF", "255"),
    ("0xFF", "0xFE"),
    ("0b11", "0x11"),
    ("version 3.10", "3.1"),
    ("version 3.10", "version 3.1"),
    ("Python 3.8", "Python 3.9"),
    ("Python 3.8", "Ruby 3.8"),
    ("1.2.3", "1.2"),
    ("(B) Paris", "(B) London"),
    ("B", "C"),
    ("B. Paris", "C"),
    ("option 3", "option 2"),
    ("option 3", "4"),
    ("step 3", "step 4"),
    ("O(n)", "O(m)"),
    ("O(n log n)", "O(log n)"),
    ("O(n^2)", "O(n2)"),
    ("O(n)", "o(n)"),
    ("2:3:5", "2:3:6"),
    ("10:20:30", "1:2:3"),
    ("ff", "0xfe"),
    ("C#", "C"),
    ("C", "C++"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
