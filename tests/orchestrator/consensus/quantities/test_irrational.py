import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"2\pi", "2π"),
    ("2*pi", "2π"),
    ("sqrt(2)", r"\sqrt{2}"),
    ("√2", r"\sqrt{2}"),
    ("3√2", r"3\sqrt{2}"),
    ("sqrt(18)", "3*sqrt(2)"),
    (r"5\sqrt{2}\text{ cm}", "5√2 cm"),
    (r"25\pi \text{ cm}^2", "25π cm²"),
    ("25π square centimeters", r"25\pi cm^2"),
    (r"\frac{\pi}{3}", "π/3"),
)
DIFFERENT = (
    (r"2\sqrt3", r"3\sqrt2"),
    (r"2\pi", r"\pi^2"),
    ("2π", "6.28"),
    ("25π cm", "25π cm^2"),
    (r"\sqrt{2}", "1.4142"),
    (r"\pi", "3.14"),
    ("25π cm", "25π cm²"),
    ("25π", "25"),
    ("√12", "√13"),
    ("2√3", "3√2"),
    ("2√3 cm", "2√3 m"),
    ("π/3", "π/4"),
    ("π/3", "60"),
    ("sqrt(8)", "sqrt(2)"),
    (r"\sqrt{50}\text{ cm}^2", r"5\sqrt2\text{ cm}"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
