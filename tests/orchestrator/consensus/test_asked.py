"""Claims in the form that the question asks for."""

from __future__ import annotations

import time

import pytest

from orchestrator.consensus.asked import claim_for, form_of
from orchestrator.consensus.extraction import extract_claim

HEAVIER = "Which is heavier, a sack of wool or a bar of lead?"
PRESIDENT = "Who was the first president of Finland?"


def claimed(question: str, text: str) -> str | None:
    claim = claim_for(question, text)
    return None if claim is None else claim.text


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("How many legs does a crab have?", "any"),
        ("A van drives 150 km in 2 hours. What is its speed?", "any"),
        ("What is 12 % of 50?", "any"),
        ("In which year was Oslo founded?", "any"),
        ("When was Oslo founded?", "any"),
        ("What is the boiling point of ethanol?", "any"),
        ("Which is larger, 0.7 or 5/8?", "any"),
        ("Which number is prime: 21 or 23?", "any"),
        ("How many sheep are left? Explain briefly.", "any"),
        ("Wie viele Beine hat ein Krebs?", "any"),
        ("Quelle est la capitale du Pérou?", "any"),
        (HEAVIER, "words"),
        (PRESIDENT, "words"),
        ("Ann has 3 pears, Ben has 5. Who has more?", "words"),
        ("If the Nile were 20 % shorter, which river would be longest?", "words"),
        ("Is 91 prime?", "words"),
        ("What is the plural of ox?", "words"),
        ("Name a noble gas.", "words"),
        ("Why is 11 prime?", "prose"),
        ("Explain in one sentence why 11 is prime.", "prose"),
        ("What would be the price of 3 pens?", "any"),
        ("How is a pearl made?", "text"),
        ("What does HTTP 503 mean?", "text"),
        ("Who invented dynamite, and when?", "text"),
        ("Write a haiku about 2 rivers.", "prose"),
        ("", "any"),
    ],
)
def test_what_a_question_asks_for(question: str, form: str) -> None:
    assert form_of(question) == form


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        ("What is the plural of ox?", "The plural of ox is oxen.", "oxen"),
        ("What is the plural of ox?", 'The plural of "ox" is "oxen". It is one of 3 such nouns.', "oxen"),
        (
            "What is the capital of Peru?",
            "The capital of Peru is Lima, with about 10 million people.",
            "Lima",
        ),
        ("Who painted Guernica?", "Guernica was painted by Pablo Picasso in 1937.", "Pablo Picasso"),
        (
            "Who painted Guernica?",
            "Pablo Picasso painted Guernica between May and June 1937.",
            "Pablo Picasso",
        ),
        (PRESIDENT, "K. J. Ståhlberg was the first president, serving from 1919 to 1925.", "K. J. Ståhlberg"),
        (
            HEAVIER,
            "A bar of lead is heavier, because lead weighs 11.3 g per cubic centimetre.",
            "A bar of lead",
        ),
        (HEAVIER, "Lead: 11.3 g/cm³.\nTherefore, the bar of lead is heavier.", "the bar of lead"),
        (HEAVIER, "The bar of lead.\n\nIt weighs 12 kg.", "The bar of lead"),
        ("Which city is larger, Rome or Pisa?", "Rome is larger: it has 2.8 million people.", "Rome"),
        ("Which planet is the smallest?", "The smallest planet is Mercury, 4,879 km across.", "Mercury"),
        (
            "Name three noble gases.",
            "The 3 noble gases are helium, neon and argon.",
            "helium, neon and argon",
        ),
        ("Is 91 prime?", "No, 91 is not prime because 91 = 7 * 13.", "No"),
        ("Ann has 3 pears, Ben has 5. Who has more?", "Ben has more, 5 pears against 3.", "Ben"),
    ],
)
def test_a_question_about_words_gets_words(question: str, text: str, claim: str) -> None:
    assert claimed(question, text) == claim


@pytest.mark.parametrize(
    "text",
    [
        "11 is prime because its only divisors are 1 and itself.",
        "The number 11 cannot be divided evenly by 2, 3, 5 or 7.",
    ],
)
def test_a_sentence_that_is_asked_for_is_not_cut_down(text: str) -> None:
    question = "Explain in one sentence why 11 is prime."
    for said in (text, f"{text}\n\nAnswer: 11"):
        claim = claim_for(question, said, alone=True)
        assert claim is not None
        assert claim.text == text


def test_texts_that_are_compared_are_compared_by_what_they_conclude() -> None:
    text = "11 is prime because its only divisors are 1 and itself. So it is \\boxed{yes}"
    assert claimed("Why is 11 prime?", text) == "yes"
    assert claimed("How would you add 3 and 4?", "Count on from 3.\nAnswer: 7") == "7"


def test_of_a_long_text_that_is_asked_for_nothing_short_is_the_claim() -> None:
    text = "It rained for 40 days. " * 20
    assert claim_for("Why did the river flood?", text, alone=True) is None
    assert claimed("Who flooded?", text) is None


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many legs does a crab have?", "A crab has 10 legs."),
        ("A van drives 150 km in 2 hours. What is its speed?", "The speed is 150 / 2 = 75 km/h."),
        ("In which year was Oslo founded?", "Oslo was founded around 1040."),
        ("Wie viele Beine hat ein Krebs?", "Ein Krebs hat 10 Beine."),
        (HEAVIER, r"So it is \boxed{lead}"),
        (HEAVIER, "Answer: 11"),
        ("Which?", "The sum of both is 75."),
        ("", "The sum of both is 75."),
    ],
)
def test_what_is_marked_or_asked_for_as_a_figure_is_read_as_before(question: str, text: str) -> None:
    assert claim_for(question, text) == extract_claim(text)


def test_what_says_nothing_claims_nothing() -> None:
    assert claim_for(HEAVIER, "Lead is hea", truncated=True) is None
    assert claim_for(PRESIDENT, "") is None
    assert claim_for("Which is it?", "(B) the second", choices=("A", "B")) == extract_claim(
        "(B) the second", choices=("A", "B")
    )


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        (
            "A rectangle is 6 cm long and 4 cm wide. Give its perimeter and its area.",
            "Perimeter: 20 cm, area: 24 cm2",
            "Perimeter: 20 cm, area: 24 cm2",
        ),
        (
            "Give its perimeter and its area.",
            "I add the sides.\n\n- **Perimeter:** 20 cm\n- **Area:** 24 cm2.",
            "Perimeter: 20 cm, Area: 24 cm2",
        ),
        ("Give its perimeter and its area.", "Answer: Perimeter = 20 cm; area = 24 cm2", None),
        (
            "write 12 as a binary number and in roman numerals",
            "Binary: 1100, Roman: XII",
            "Binary: 1100, Roman: XII",
        ),
        ("Wie viele Tage hat der April, und wie viele der Mai?", "April: 30 Tage, Mai: 31 Tage", None),
        (
            "What is the opposite of 'early', and what is the plural of 'child'?",
            "Opposite: late, plural: children",
            None,
        ),
        (
            "What is the sum of 5 and 7, and what is their product?",
            "The sum is 12, and the product is 35.",
            None,
        ),
    ],
)
def test_no_part_of_an_answer_to_several_questions_is_lost(
    question: str, text: str, claim: str | None
) -> None:
    expected = claim or text.removeprefix("Answer: ").rstrip(".")
    for alone in (False, True):
        found = claim_for(question, text, alone=alone)
        assert found is not None
        assert found.text == expected


def test_what_a_question_gives_is_no_part_of_the_answer() -> None:
    given = "A car covers a distance of 180 km in 2 hours. What is its speed?"
    assert claimed(given, "I divide the distance: 180 km, by the time.\nSpeed: 90 km/h") == "90 km/h"


def test_a_program_is_the_answer_only_where_nothing_else_is_said() -> None:
    code = "def even(n):\n    return n % 2 == 0"
    bare, told = f"```python\n{code}\n```", f"Here it is:\n```python\n{code}\n```"
    for question in ("Write a Python function even(n).", "Schreibe eine Funktion even(n)."):
        found = [claim_for(question, text, alone=True) for text in (bare, told, "It is so. " * 20 + told)]
        assert [each and each.text for each in found] == [code, told, None]


@pytest.mark.parametrize("piece", ["what ", "1 ", ", which ", "and what ", "is "])
def test_a_question_as_long_as_may_be_asked_is_read_quickly(piece: str) -> None:
    begun = time.thread_time()
    form_of(piece * (200_000 // len(piece)) + "?")
    assert time.thread_time() - begun < 5.0


def test_a_text_that_asks_the_question_again_claims_nothing() -> None:
    question = "I forgot it. What is the capital of New Zealand?"
    assert claim_for(question, question) is None
    assert claim_for(question, "What is the capital of New Zealand?") is None
    assert claim_for(question, "Wellington") is not None


TIPS = "1. Prepare well. 2. Dress well. 3. Be on time."


@pytest.mark.parametrize("text", [TIPS, f"Answer: {TIPS}", f"**Answer:** {TIPS}", TIPS.replace(" 2", "\n2")])
def test_a_numbered_list_is_not_the_number_of_its_first_item(text: str) -> None:
    question = "Give me three tips for an interview."
    assert str(claim_for(question, text, alone=True)).count("well") == 2
    assert claim_for(question, f"{text} " + "And be ready to say why. " * 20, alone=True) is None
    found = claim_for(question, text)
    assert found is None or found.text != "1"


def test_a_long_text_is_looked_through_for_a_list_quickly() -> None:
    begun = time.thread_time()
    claim_for("Give tips.", "1. Well " + "and 2 more 2.) " * 12_000, alone=True)
    assert time.thread_time() - begun < 10


@pytest.mark.parametrize("text", ["Answer: 1", "1. 5", "It is 1.5 kg, and 2. is wrong."])
def test_a_number_is_no_list(text: str) -> None:
    assert claim_for("How many?", text, alone=True) is not None


@pytest.mark.parametrize(
    "question",
    ["Compare trains and planes for a trip: time, cost and comfort.", "Give me four tips for an interview."],
)
def test_a_text_that_was_asked_for_is_not_its_last_word(question: str) -> None:
    text = "A train takes three hours, and a plane takes two with the way to the airport. " * 5
    assert claim_for(question, f"{text}\n\nAnswer: Train", alone=True) is None
    assert form_of(question) == "prose"
    assert form_of("Compare them: which is larger?") != "prose"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many eggs are left?", r"\boxed{the answer}"),
        ("Who wrote Emma?", "Answer: the final answer"),
        ("Who wrote Emma?", "answer"),
        ("Is iron heavier than wood?", "yes or no"),
        ("Is iron heavier than wood?", "It depends."),
        ("Ist Eisen schwerer als Holz?", r"\boxed{It depends}"),
        ("How much does a car weigh?", "It depends on the model."),
        ("Which one?", r"\boxed{\text{the letter of the right choice}}"),
    ],
)
def test_what_gives_the_prompt_back_or_leaves_the_answer_open_claims_nothing(
    question: str, text: str
) -> None:
    assert claim_for(question, text) is None


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        ("What is a synonym of 'reply'?", "answer", "answer"),
        ("How do you say la respuesta in English?", "the answer", "the answer"),
        ("What decides whether it rains?", "It depends on the wind", "It depends on the wind"),
        ("Is iron heavier than wood?", "Yes", "yes"),
    ],
)
def test_an_answer_in_such_words_stays(question: str, text: str, claim: str) -> None:
    found = claim_for(question, text)
    assert found is not None
    assert found.text.casefold() == claim.casefold()


@pytest.mark.parametrize(
    "text",
    [
        "Distance: 180 km, time: 2 h, speed: 90 km/h",
        r"\boxed{Distance: 180 km, time: 2 h, speed: 90 km/h}",
        "Answer: Distance: 180 km, time: 2 h, speed: 90 km/h",
        "**Distance: 180 km, time: 2 h, speed: 90 km/h**",
    ],
)
def test_none_of_several_labels_is_lost(text: str) -> None:
    found = claim_for("What comes out for a car?", text)
    assert found is not None
    assert found.text == "Distance: 180 km, time: 2 h, speed: 90 km/h"
    (one,) = {claim_for("How fast?", f"{mark}Speed: 90 km/h") for mark in ("", "Answer: ")} - {None}
    assert one is not None
    assert one.text == "90 km/h"
