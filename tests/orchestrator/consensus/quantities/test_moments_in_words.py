import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("4 July 1776", "July 4th, 1776"),
    ("the 4th of July 1776", "1776-07-04"),
    ("7 de junio de 1494", "June 7, 1494"),
    ("1. Mai 2023", "May 1, 2023"),
    ("1 мая 2023", "1 May 2023"),
    ("2023年5月1日", "2023-05-01"),
    ("Monday, 1 May 2023", "May 1, 2023"),
    ("Mon 1 May 2023", "1 May 2023"),
    ("Monday", "on Monday"),
    ("Mondays", "mondays"),
    ("May 2023", "2023-05"),
    ("March", "in March"),
    ("44 BC", "44 BCE"),
    ("from 44 BCE", "44 BC"),
    ("Jan 5", "5 January"),
    ("Sept. 5, 2020", "5 September 2020"),
    ("5/13/2020", "13 May 2020"),
    ("2020/05/13", "13.05.2020"),
    ("the 3rd of May", "3 May"),
    ("twenty-first of May", "21 May"),
    ("1/1000", "0.001"),
    ("Feb 29, 2024", "29 February 2024"),
    ("2024-02-29", "29.02.2024"),
)
DIFFERENT = (
    ("4 July", "7 April"),
    ("May 2023", "May 2024"),
    ("44 BC", "AD 44"),
    ("the 15th century", "the 1500s"),
    ("1 May 2023", "5 January 2023"),
    ("1990", "the 1990s"),
    ("May", "June"),
    ("March", "May"),
    ("Monday", "Friday"),
    ("in March", "on Monday"),
    (r"0.\overline{12}", "12/100"),
    ("May 5", "5/5"),
    ("Feb 28", "Feb 29"),
    ("Tuesday", "Thursday"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
