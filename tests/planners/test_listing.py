from __future__ import annotations

import pytest

from orchestrator.runtime.values import Question
from planners.listing import MOST_ASKED, list_words, number_asked


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
    ("text", "words"),
    [
        ("Give me tips for sleeping well", "tips"),
        ("Which risks has a flight?", "Which risks"),
        ("how to save money", "how to"),
        ("how to bake bread", ""),
        ("Comment économiser de l'argent ?", "Comment économiser"),
        ("Comment faire du pain ?", ""),
        ("Suggest a name", ""),
        ("What is the capital of Italy?", ""),
    ],
)
def test_words_for_points_are_found(text: str, words: str) -> None:
    assert list_words(text) == words


def test_hostile_questions_take_time_in_proportion_to_their_length() -> None:
    for text in (
        "how does " * 30_000,
        "two " * 50_000,
        "give me the " * 20_000,
        "what are " * 30_000,
        "7" * 99_999,
    ):
        list_words(text[:2000])
        number_asked(Question(text))
