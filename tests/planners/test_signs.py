"""The kind of answer that a question asks for, by its words: never a list where one answer is right."""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import time

import pytest

from orchestrator.runtime.values import Question
from planners.signs import CHOICES, Kind, computation_in, shown


def kind(text: str) -> Kind | None:
    sign = shown(Question(text))
    return sign.kind if sign else None


@pytest.mark.parametrize(
    "text",
    [
        "What is 17 * 23?",
        "How many tips should I leave on 50 dollars?",
        "Write 3/8 as a decimal",
        "please convert 5 miles to km",
        "Round 2.71828 to one decimal place",
        "15 percent of 80?",
        "What are the factors of 24?",
        "A bus drives 90 km in two hours and 12 people get on. What is its speed?",
        "Was ist 9 mal 8?",
        "Combien font 6 fois 7 ?",
        "¿Cuánto es el 10 % de 90?",
        "Quante settimane ci sono in un anno?",
    ],
)
def test_a_computation_has_one_answer(text: str) -> None:
    assert kind(text) is Kind.SHORT
    assert shown(Question(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Who wrote Hamlet?",
        "what is the capital of Norway",
        "Can you tell me what the currency of India is?",
        "When did the war end?",
        "In which city is the Prado?",
        "Is a whale a fish?",
        "Which of the two is a bird: bat, owl?",
        "Which is longer, a mile or a kilometre?",
        "Give me the capital of Peru",
        "List the prime numbers below 30",
        "Write down all even numbers between 3 and 9",
        "Name the five Great Lakes",
        "Who discovered the benefits of penicillin?",
        "Is it one of the advantages of glass that it can be recycled, yes or no?",
        "What are the colours of the French flag?",
        "True or false: tips are taxed.",
        "What are factors of tides? A) the moon B) the wind C) the fish",
        "Wer malte die Sternennacht?",
        "Welche Farbe hat Chlorophyll?",
        "Quelle est la capitale du Pérou ?",
        "¿Quién pintó el Guernica?",
        "Qual è la capitale della Spagna?",
    ],
)
def test_a_fact_has_one_answer(text: str) -> None:
    assert kind(text) is Kind.SHORT


@pytest.mark.parametrize(
    "text",
    [
        "Write a poem about the advantages of rain",
        "a short story about three wishes, please",
        "Could you translate 'how many' to German?",
        "Explain why ice floats in one sentence",
        "Give the benefits of tea in two sentences",
        "Why is the grass green?",
        "How does a lock work?",
        "How do I peel an orange?",
        "how to bake a cake",
        "What is osmosis?",
        "How to sort a list in Python?",
        "What are the advantages of `foo_bar()` here?",
        "Who was Cleopatra? Tell it as a story.",
        "Warum ist der Schnee weiß?",
        "Écris une lettre à mon voisin",
        "¿Por qué flota el hielo?",
        "Traduci in francese: buongiorno",
    ],
)
def test_a_text_is_written_as_a_whole(text: str) -> None:
    assert kind(text) is Kind.WHOLE


@pytest.mark.parametrize(
    "text",
    [
        "What are the benefits of regular exercise?",
        "What are the pros of living in a city?",
        "How to deal with a noisy neighbour?",
        "What are some good habits for students?",
        "Compare cats with dogs as pets.",
        "What if the Sun were twice as large?",
        "top 10 museums of Rome",
        "Suggest five names for a boat",
        "Welche Vorteile hat ein Fahrrad?",
        "Quels sont les avantages du vélo ?",
        "¿Cuáles son las ventajas de leer?",
        "学习编程有什么好处？",
    ],
)
def test_points_make_a_list(text: str) -> None:
    assert kind(text) is Kind.LIST


@pytest.mark.parametrize(
    "text",
    [
        "What do you make of Rome and Paris?",
        "Should I buy a house?",
        "Do you think that robots dream?",
        "I went home.",
        "",
        "What are the pros? Who pays? When does it begin?",
    ],
)
def test_other_words_show_nothing(text: str) -> None:
    assert shown(Question(text)) is None


def test_choices_have_one_answer_whatever_is_asked() -> None:
    for text in ("What are the benefits of tea?", "Write the right form.", "Why?"):
        assert shown(Question(text, choices=("a", "b"))) is CHOICES


def test_a_long_text_is_judged_by_what_it_asks() -> None:
    told = "I know the benefits of tea and its drawbacks. " * 8
    assert kind(f"{told}Who brought it to Europe?") is Kind.SHORT
    assert kind(f"{told}What are some ways to make it?") is Kind.LIST


def test_what_a_question_brings_itself_needs_no_tool() -> None:
    def is_given(text: str) -> bool:
        sign = shown(Question(text))
        assert sign is not None
        return sign.given

    for text in ("What is 3 + 4?", "Ann has 3 cats and buys 2. How many has she?", "Write a poem"):
        assert is_given(text)
    for text in ("How many people live in Rome?", "Who leads Peru?", "Convert 5 euros to dollars"):
        assert not is_given(text)
    assert not is_given("Write a poem about today's news")


def test_the_words_of_a_computation_are_told() -> None:
    assert computation_in(Question("What is 17 * 23?")) == "17 * 2"
    assert computation_in(Question("Ann has 3. How many are left?")) == "How many"
    assert computation_in(Question("Who wrote Hamlet?")) == ""


def test_hostile_questions_take_time_in_proportion_to_their_length() -> None:
    began = time.thread_time()
    for text in (
        "how does " * 30_000,
        "two " * 50_000,
        "give me the " * 20_000,
        "what are " * 30_000,
        "7" * 99_999,
        "1 " * 50_000,
        "please " * 30_000,
        "A) B) " * 20_000,
        "in a simple " * 20_000,
        "a_" * 50_000,
        "`" * 99_999,
        "\n" * 99_999,
    ):
        shown(Question(text))
    assert time.thread_time() - began < 20
