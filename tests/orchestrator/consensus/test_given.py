"""Which of several figures answers, where the question is known."""

from __future__ import annotations

import pytest

from orchestrator.consensus.asked import claim_for

PUMPS = "If 3 identical pumps empty a pool in 8 hours, how long do 4 of these pumps take?"
WIDGETS = "If 5 machines take 5 minutes to make 5 widgets, how long do 100 machines take to make 100 widgets?"
TRAIN = "A train covers 240 km in 3 hours. How far does it go in 5 hours?"
WALL = "How many workers finish the wall in 10 days?"


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        (PUMPS, "So, 4 pumps will empty the pool in 6 hours.", "6 hours"),
        (PUMPS, "It takes 4 pumps 6 hours to empty the pool.", "6 hours"),
        (PUMPS, "Therefore, it will take 6 hours for 4 pumps to empty the pool.", "6 hours"),
        (WIDGETS, "It would take 100 machines 5 minutes to make 100 widgets.", "5 minutes"),
        (WIDGETS, "It takes 5 minutes for 100 machines to make 100 widgets.", "5 minutes"),
        (WIDGETS, "100 machines take 100 minutes to make 100 widgets.", "100 minutes"),
        (TRAIN, "The train goes 400 km in 5 hours.", "400 km"),
        (WALL, "6 workers finish the wall in 10 days.", "6 workers"),
        ("How much do 3 kg cost if 1 kg costs $2?", "3 kg cost $6.", "$6"),
        (
            "How long do 2 men need for 3 rooms?",
            "2 men need 1 hour 30 minutes for 3 rooms.",
            "1 hour 30 minutes",
        ),
    ],
)
def test_the_figure_that_the_question_does_not_give_is_the_claim(
    question: str, text: str, claim: str
) -> None:
    found = claim_for(question, text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many days are in 3 weeks?", "3 weeks have 21 days and 2 weeks have 14 days."),
        ("How far apart are the 2 towns after 3 hours?", "The 2 towns are 50 km apart before 3 hours."),
        ("How long do 4 pumps take?", "3 pumps take 6 hours."),
        ("How long do 4 pumps take?", "4 pumps do not take 6 hours."),
        ("Should I buy 15 or 21 apples?", "Buy 15 apples with 6 to spare."),
    ],
)
def test_where_more_than_one_figure_is_new_or_something_turns_it_the_sentence_counts(
    question: str, text: str
) -> None:
    found = claim_for(question, text)
    assert found is not None
    assert found.text == text.rstrip(".")


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        ("How many more inhabitants has Rome than Bern?", "Rome has 5 more inhabitants.", "5 inhabitants"),
        ("How many more eggs are there?", "Answer: 12 more", "12"),
        ("How many more eggs has Ann than Bob?", "Ann has 5 fewer eggs.", "5 fewer eggs"),
        ("How many eggs has Ann?", "Ann has 5 more eggs.", "5 more eggs"),
    ],
)
def test_a_comparison_that_is_asked_for_is_no_part_of_the_claim(question: str, text: str, claim: str) -> None:
    found = claim_for(question, text)
    assert found is not None
    assert found.text == claim


def test_long_texts_are_read_in_no_time() -> None:
    assert claim_for("How long do 4 pumps take?", "4 pumps " * 20_000 + ".") is not None


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ('The message is: "6 hours".\n\nThe final answer is:', "6 hours"),
        ('The length is 6".', '6"'),
    ],
)
def test_the_end_of_a_quotation_is_no_part_of_a_claim(text: str, claim: str) -> None:
    found = claim_for("How long is it?", text)
    assert found is not None
    assert found.text == claim
