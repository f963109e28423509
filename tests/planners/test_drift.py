# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import pytest

from planners.drift import compared, drift_between

QUESTION = "Should a student buy a laptop or a tablet?"


@pytest.mark.parametrize(
    ("question", "things"),
    [
        (QUESTION, ("laptop", "tablet")),
        ("Compare cats and dogs as pets", ("cats", "dogs")),
        ("Compare cats and dogs.", ("cats", "dogs")),
        ("What is the difference between a compiler and an interpreter?", ("compiler", "interpreter")),
        ("Which is better, tea or coffee?", ("tea", "coffee")),
        ("Is it better to live in a city or in a village?", ("city", "village")),
        ("Tell me of rivers, lakes and seas.", ()),
        ("iPhone vs. Android", ("iphone", "android")),
        ("Was ist besser: das Auto oder die Bahn?", ("auto", "bahn")),
        ("How can I sleep better?", ()),
    ],
)
def test_what_a_question_compares(question: str, things: tuple[str, ...]) -> None:
    assert compared(question) == things


def test_points_that_prefer_different_things_in_one_respect_contradict_each_other() -> None:
    points = {
        1: ("Battery", "The laptop has a longer battery life than the tablet."),
        2: ("Weight", "Tablets are lighter, so they are carried more easily."),
        3: ("On the road", "A tablet offers better battery life for a day out."),
        4: ("Power", "A laptop has the faster processor."),
    }
    drift = drift_between(points, QUESTION)
    assert drift.contradicting == ((1, 3),)
    assert drift.later == {3: (1, "contradicts")}
    points[3] = ("On the road", "A tablet has the worse battery life.")
    assert drift_between(points, QUESTION) == drift_between({1: points[1]}, QUESTION)


def test_what_is_denied_is_not_judged() -> None:
    points = {
        1: ("Battery", "The laptop has a longer battery life."),
        2: ("Road", "The tablet has no longer battery life."),
    }
    assert not drift_between(points, QUESTION).contradicting


def test_repeated_wording_and_repeated_headings_are_seen() -> None:
    said = "Go to bed at the same hour every evening, even at weekends."
    points = {
        1: ("Keep hours", said),
        2: ("Be regular", f"Above all, {said.lower()}"),
        3: ("Walk", "Move by day."),
        4: ("walk", "Fresh air helps as well."),
    }
    drift = drift_between(points, "How can I sleep better?")
    assert drift.repeated == ((1, 2), (3, 4))
    assert drift.overlap == 1.0
    assert drift.later == {2: (1, "repeats"), 4: (3, "repeats")}


def test_the_words_of_the_question_are_no_repetition() -> None:
    question = "What are the benefits of a daily walk in the park at noon?"
    points = {
        1: ("Heart", "A daily walk in the park at noon trains it."),
        2: ("Mood", "A daily walk in the park at noon lifts it."),
    }
    assert not drift_between(points, question).repeated


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    points = {1: ("一", "每天晚上在同一时间上床睡觉。"), 2: ("二", "最好每天晚上在同一时间上床睡觉。")}
    assert drift_between(points, "怎样睡得更好？").repeated == ((1, 2),)


def test_many_long_points_are_compared_in_time() -> None:
    points = {index: ("h", f"{index} word " * 400) for index in range(64)}
    drift_between(points, "a or b" * 5_000)
