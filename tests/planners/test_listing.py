# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import pytest

from orchestrator.runtime.values import Question
from planners.listing import MOST_ASKED, list_sign, number_asked


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Give me 6 tips for a job interview", 6),
        ("Name five ways to save water.", 5),
        ("What are the top 10 books of the century?", 10),
        ("top ten beaches in Portugal", 10),
        ("List three good reasons to learn Latin", 3),
        ("3 to 5 ideas for a rainy day", 5),
        ("Suggest seven cities for a weekend", 7),
        ("Give at least 4 examples of irony", 4),
        ("Nenne mir 5 Vorteile von Solarstrom", 5),
        ("Nenne drei Flüsse", 3),
        ("Donne-moi trois conseils pour mieux dormir", 3),
        ("Dame cinco razones para viajar", 5),
        ("给我5个学习英语的建议", 5),
        ("请列出三个好的理由", 3),
        ("英語を勉強するコツを5つ", 5),
        ("150 ideas for gifts", MOST_ASKED),
    ],
)
def test_the_number_asked_for(text: str, number: int) -> None:
    assert number_asked(Question(text)) == number


@pytest.mark.parametrize(
    "text",
    [
        "How can I sleep better?",
        "What can I do with a 9 year old in Rome?",
        "Give me 5 minutes",
        "Describe the war in 3 sentences",
        "Name 1 reason",
        "Tips for a trip of 14 days with 2 children",
        "Which advantages has version 3.5?",
        "Why do 3 spiders have 24 legs?",
        "Give 200 words on tips for sleep",
        "Is $5 enough for tips?",
    ],
)
def test_other_numbers_are_none_of_points(text: str) -> None:
    assert number_asked(Question(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "What are the benefits of regular exercise?",
        "How to deal with a noisy neighbour?",
        "What are some good habits for students?",
        "Compare cats with dogs as pets.",
        "What if the Sun were twice as large?",
        "Welche Vorteile hat ein Fahrrad?",
        "Quels sont les avantages du vélo ?",
        "¿Cuáles son las ventajas de leer?",
        "学习编程有什么好处？",
    ],
)
def test_a_question_for_a_list_shows_it(text: str) -> None:
    assert list_sign(Question(text))


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Italy?",
        "How to sort a list in Python?",
        "What are the advantages of `foo_bar()` here?",
        "Write a poem about the benefits of tea",
        "How many ways to sit are there?",
        "I know the benefits of tea and its drawbacks. " * 8 + "Who brought it to Europe?",
    ],
)
def test_other_questions_do_not(text: str) -> None:
    assert list_sign(Question(text)) == ""


def test_choices_are_no_list() -> None:
    assert list_sign(Question("What are the benefits of tea?", choices=("a", "b"))) == ""


def test_hostile_questions_take_time_in_proportion_to_their_length() -> None:
    for text in (
        "how does " * 30_000,
        "two " * 50_000,
        "give me the " * 20_000,
        "what are " * 30_000,
        "7" * 99_999,
    ):
        list_sign(Question(text))
        number_asked(Question(text))
