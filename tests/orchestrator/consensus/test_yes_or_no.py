"""Questions for yes or no."""

from __future__ import annotations

import pytest

from orchestrator.consensus.asked import form_of as form_of_claim
from orchestrator.consensus.yes_or_no import asks_yes_or_no
from orchestrator.runtime.values import Question
from planners.shapes import form_of
from planners.signs import Kind, shown


@pytest.mark.parametrize(
    "question",
    [
        "Do you sell caviar?",
        "Are you open on Sundays?",
        "Is 51 a prime number?",
        "Is it true or not?",
        "If all cats purr, do some cats purr?",
        "A film begins at 18:40 and lasts 2.5 hours. Does it end before nine?",
        "Ist 51 eine Primzahl?",
        "Gibt es einen Fluss namens Elbe?",
        "Est-ce que Paris est en France ?",
        "Est-il vrai que l'eau bout ?",
        "¿Es Madrid la capital de España?",
        "¿Hay agua en Marte?",
        "È Roma la capitale d'Italia?",
        "É Lisboa a capital?",
    ],
)
def test_all_who_ask_know_a_question_for_yes_or_no(question: str) -> None:
    sign = shown(Question(question))
    assert asks_yes_or_no(question)
    assert form_of(Question(question)) == "yes or no"
    assert form_of_claim(question) == "words"
    assert sign is not None
    assert sign.kind is Kind.SHORT


@pytest.mark.parametrize(
    "question",
    [
        "Is a whale a fish or a mammal?",
        "Ist ein Wal ein Fisch oder ein Säugetier?",
        "Can you name the capital of Peru?",
        "Was ist die Hauptstadt von Peru?",
        "Which is heavier?",
        "Name three rivers.",
        "Is this a statement.",
        "",
    ],
)
def test_other_questions_are_not_for_yes_or_no(question: str) -> None:
    assert not asks_yes_or_no(question)
    assert form_of(Question(question)) == "other"


@pytest.mark.parametrize("question", ["Do you like poems?", "Do you think it is art?", "Are you happy?"])
def test_what_only_one_person_can_say_shows_no_short_answer(question: str) -> None:
    assert shown(Question(question)) is None
