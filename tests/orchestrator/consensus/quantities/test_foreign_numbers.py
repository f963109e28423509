import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("3 people per km²", "3 people/km²"),
    ("fünf", "5"),
    ("cinq", "5"),
    ("cinco", "5"),
    ("пять", "5"),
    ("五", "5"),
    ("zwölf", "12"),
    ("vingt", "20"),
    ("einundzwanzig", "21"),
    ("trois cents", "300"),
    ("cinque", "5"),
    ("quinze", "15"),
    ("sieben", "seven"),
    ("treinta y dos", "32"),
    ("十二", "12"),
    ("quarante-deux", "42"),
    ("zweiundvierzig", "42"),
    ("dos mil", "2000"),
    ("tausend", "1000"),
    ("сорок два", "42"),
    ("四十二", "42"),
    (r"20\text{元}", "20 yuan"),
)
DIFFERENT = (
    ("cinq", "6"),
    ("Sole", "1"),
    ("zwölf", "zwanzig"),
    ("einundzwanzig", "zwölf"),
    ("quince", "5"),
    ("quarante-deux", "quatre-vingt-deux"),
    ("trois cents", "3 cents"),
    ("fünfzehn", "fünfzig"),
    ("двенадцать", "двадцать"),
    ("7 тетрадей", "8 notebooks"),
    ("7 тетрадей", "7 km"),
    ("7 тетрадей", "7 яблок"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
