from __future__ import annotations

import time

import pytest

from orchestrator.runtime.values import Question
from planners.shapes import form_of, shows


@pytest.mark.parametrize(
    ("text", "computes"),
    [
        ("What is 17 percent of 250?", True),
        ("What is 17 * 3?", True),
        ("A train travels 240 km in three hours. What is its average speed?", True),
        ("How many minutes are there in 3.5 hours?", True),
        ("Ann has a dozen eggs and eats half of them. What is left?", True),
        ("How often does the letter e occur in greenery?", True),
        ("Which is larger, 5/9 or 4/7?", True),
        ("What is the probability of rain?", True),
        ("how many r's are there in raspberry?", True),
        ("Wie viele e sind in Seerose?", True),
        ("¿Cuántas letras tiene la palabra ventana?", True),
        ("how many grams is half a kilo", True),
        ("A sprinter runs 36 km/h. How many metres per second is that?", True),
        ("If today is Wednesday, what day is it in 10 days?", True),
        ("What day of the week is 10 days after Wednesday?", True),
        ("Which day is 100 days after Tuesday?", True),
        ("What weekday comes two weeks before Friday?", True),
        ("On which day did Wednesday's child lose 2 teeth?", False),
        ("What happened on Black Monday, the day in 1987?", False),
        ("Who wrote Sunday Bloody Sunday by U2, and on which day did it happen?", False),
        ("Wie viele Einwohner hat Bern?", False),
        ("How tall is Mount Everest?", False),
        ("What is the capital of New Zealand?", False),
        ("How many strings does a violin have?", False),
        ("Who was the 16th president of the United States?", False),
        ("In which year did the second world war end?", False),
    ],
)
def test_what_shows_a_computation(text: str, computes: bool) -> None:
    assert (shows(Question(text)) != "nothing") is computes


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Is 51 a prime number?", "yes or no"),
        ("A film begins at 18:40 and lasts 2.5 hours. Does it end before nine?", "yes or no"),
        ("Do spiders have six legs?", "yes or no"),
        ("If all cats purr, do some cats purr?", "yes or no"),
        ("Is it true or not?", "yes or no"),
        ("Is a whale a fish or a mammal?", "other"),
        ("Can you name the capital of Peru?", "other"),
        ("Which is heavier?", "other"),
        ("Name three rivers.", "other"),
    ],
)
def test_the_form_of_the_answer(text: str, form: str) -> None:
    assert form_of(Question(text)) == form


def test_choices_have_letters_whatever_the_question_looks_like() -> None:
    assert form_of(Question("Is it so?", choices=("yes", "no"))) == "choice"


@pytest.mark.parametrize("piece", ["a ", "how many ", "!.", "if "])
def test_a_long_text_is_read_quickly(piece: str) -> None:
    begun = time.thread_time()
    question = Question(piece * (100_000 // len(piece)))
    assert form_of(question) == "other"
    shows(question)
    assert time.thread_time() - begun < 5


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("Do you sell caviar?", "yes or no"),
        ("Are you open?", "yes or no"),
        ("Can you tell me who wrote it?", "other"),
        ("Would you name the capital?", "other"),
    ],
)
def test_what_is_asked_of_you_is_for_yes_or_no_unless_it_is_a_request(question: str, form: str) -> None:
    assert form_of(Question(question)) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("How far is it and how long does it take?", "several"),
        ("How far is it? And how long does it take?", "several"),
        ("A square has side 3. Find its area and its perimeter.", "several"),
        ("What do they cost together, and how much change do I get from 20 euros?", "several"),
        ("How many apples and how many pears are there altogether?", "other"),
        ("In all, how many boys and how many girls are there?", "other"),
        ("What is the difference between 9 and 4 and what is their sum?", "several"),
        ("Quel est le prix de 3 pommes et quel est le prix de 2 poires?", "several"),
        ("Which is larger, the sum of its angles and its sides?", "other"),
        ("What is the sum of its length and its width?", "other"),
        ("What is the difference between what Anna and what Ben paid?", "other"),
        ("If you know what 3 is and what 4 is, what is their sum?", "other"),
        ("Tom asked: 'How old are you?' She said 12. How old is she in 3 years?", "other"),
        ("She left at 5 and when she came it was 7. How long did it take?", "other"),
        ("Was kosten 3 Äpfel und was kosten 2 Birnen zusammen?", "other"),
        ("Really? What is 5 + 5?", "other"),
    ],
)
def test_several_parts_are_asked_for_only_where_a_question_has_them(text: str, form: str) -> None:
    assert form_of(Question(text)) == form
