# ruff: noqa: RUF001 (people and models write these characters)

from __future__ import annotations

import pytest

from benchmarks import countdown, game_of_24
from orchestrator.runtime.values import Question
from planners.puzzles import Puzzle, puzzle_in

FREELY = Puzzle(8, (2, 3, 5), True, True)


@pytest.mark.parametrize(
    ("text", "puzzle"),
    [
        ("Use the numbers 4, 7, 8 and 8 to make 24.", Puzzle(24, (4, 7, 8, 8))),
        ("Using 3, 5 and 7 exactly once each, get 22.", Puzzle(22, (3, 5, 7), all_of_them=True)),
        ("Reach 100 with 25, 50, 75, 100, 3, 6.", Puzzle(100, (25, 50, 75, 100, 3, 6))),
        ("How can I make 24 out of 1, 5, 5, 5?", Puzzle(24, (1, 5, 5, 5))),
        ("Make 24 using all of 3, 3, 8, 8.", Puzzle(24, (3, 3, 8, 8), all_of_them=True)),
        ("Make 9 from 1, 2 and 3; you may reuse numbers.", Puzzle(9, (1, 2, 3), freely=True)),
        ("Make 7 from 1, 2 and 4. Use each at most once.", Puzzle(7, (1, 2, 4))),
        ("Make 7 from 1, 2 and 4, without repeating any.", Puzzle(7, (1, 2, 4))),
        (
            "Make 24 from 2, 3 and 5. Use each number as many times as you like.",
            Puzzle(24, (2, 3, 5), True, True),
        ),
        ("Make 8 from 2, 3 and 5. Each may be used any number of times.", Puzzle(8, (2, 3, 5), freely=True)),
        ("Make 30 from 1, 5 and 6. You may use each number no more than once.", Puzzle(30, (1, 5, 6))),
        ("Make 30 from 1, 5 and 6. You may use each number only once.", Puzzle(30, (1, 5, 6))),
        ("Make 30 from 1, 5 and 6. Use each number, but you don't have to use all.", Puzzle(30, (1, 5, 6))),
        ("Make 9 from 1, 2 and 3. No number may be used more than once.", Puzzle(9, (1, 2, 3))),
        ("Make 9 from 1, 2 and 3. You cannot use any number more than once.", Puzzle(9, (1, 2, 3))),
        ("Make 9 from 1, 2 and 3. Numbers can't be repeated.", Puzzle(9, (1, 2, 3))),
        ("Make 9 from 1, 2 and 3 without using any number more than once.", Puzzle(9, (1, 2, 3))),
        ("Make 24 from 4, 6, 8 and 8, using each number once and only once.", Puzzle(24, (4, 6, 8, 8), True)),
        ("Once again, make 24 from 4, 7, 8 and 8. I have tried many times.", Puzzle(24, (4, 7, 8, 8))),
        ("Make 8 from 2, 3 and 5. Do not use others, but use each as often as you like.", FREELY),
        ("Make 10 from 1, 3 and 6, where each is used at most once.", Puzzle(10, (1, 3, 6))),
        ("Here are cards. Can you make 24 from 4, 7, 8 and 8? How?", Puzzle(24, (4, 7, 8, 8))),
    ],
)
def test_the_target_and_the_numbers_are_read(text: str, puzzle: Puzzle) -> None:
    assert puzzle_in(Question(text)) == puzzle


@pytest.mark.parametrize(
    "text",
    [
        "Make 12 muffins from 2 eggs, 300 g of flour and 3 spoons of sugar.",
        "How do I make 20 from 2, 3 and 5 dollar bills?",
        "A shop sells 12, 15 and 20 apples. How many more to get 50?",
        "Make a table from the numbers 1, 2 and 3.",
        "Make 3 from 1 and 2.",
        "What is the mean of 12, 8 and 9?",
        "I get 5 of 12, 8 and 9 points. What is left?",
        "Get 10% from 1, 2 and 3.",
        "What is the fewest number of coins needed to make 63 from 1, 5, 10 and 25?",
        "In how many ways can you make 100 from 5, 10, 25 and 50?",
        "What is the smallest number of stamps to make 30 using 1, 10 and 25?",
        "What is the probability to get 7 with 1, 2, 3, 4, 5 and 6?",
        "How many subsets come from 1, 2, 3, 4, 5 that come to 7?",
        "Which of these do not equal 10 with 1, 2 and 3?",
        "I scored with 10, 20 and 30, so in total they reach 60. What was my best shot?",
        "Use the digits 1, 2, 3 and 4 to make 46.",
        "Example: make 24 from 4, 4, 6 and 8: (4+8)*(6-4). Now make 24 from 2, 3, 5 and 12.",
        "Make 24 from 4, 7, 8 and 8. Make 10 from 4, 7, 8 and 8.",
    ],
)
def test_other_questions_are_none(text: str) -> None:
    assert puzzle_in(Question(text)) is None


def test_a_question_with_choices_is_answered_by_one_of_them() -> None:
    assert puzzle_in(Question("Make 24 from 1, 5, 5, 5.", choices=("5 * 5 - 1 ** 5", "no"))) is None


@pytest.mark.parametrize(
    "said",
    [
        "(9+8)",
        "8 + 9",
        "8 + 9 = 17",
        r"\(9 + 8\)",
        "9 + 8.",
        "It is impossible.",
        "x + 8",
        "17 / 0",
        "8 * 9\n8 + 9",
        "12 - 8 = 4, 8 + 9 = 17",
        "1 " * 1_000,
    ],
)
def test_solutions_and_what_cannot_be_computed_have_no_fault(said: str) -> None:
    assert Puzzle(17, (12, 8, 9)).fault(said) == ""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("9 × (12 - 10)", "9 * (12 - 10) comes to 18, not to the 17 that is asked for"),
        ("12 − 8 ÷ 8", "12 - 8 / 8 comes to 11, not to the 17 that is asked for"),
        ("12 - 8 + 9 = 17", "12 - 8 + 9 comes to 13, not to the 17 that is asked for"),
        (
            "You can use:\n(12 - 8) * 9\nThis makes 17.",
            "(12 - 8) * 9 comes to 36, not to the 17 that is asked for",
        ),
        ("47", "it comes to 47, not to the 17 that is asked for"),
        ("17", "17 does not use the given numbers as is asked"),
        ("12 + 5", "12 + 5 does not use the given numbers as is asked"),
        ("8 + 8 + 1", "8 + 8 + 1 does not use the given numbers as is asked"),
    ],
)
def test_what_misses_the_target_says_why(said: str, why: str) -> None:
    assert Puzzle(17, (12, 8, 9)).fault(said) == why


def test_all_numbers_or_the_same_ones_again_count_as_is_asked() -> None:
    assert Puzzle(17, (12, 8, 9), all_of_them=True).fault("8 + 9")
    assert not Puzzle(16, (12, 8, 9), freely=True).fault("8 + 8")
    assert Puzzle(16, (12, 8, 9), freely=True).fault("8 + 7 + 1")


def test_generated_puzzles_are_read_and_their_solutions_pass() -> None:
    for each in countdown.puzzles(60, seed=5):
        puzzle = puzzle_in(Question(each.text))
        assert puzzle == Puzzle(each.target, each.numbers)
        assert not puzzle.fault(each.solution)
    for game in game_of_24.puzzles(20, seed=5):
        puzzle = puzzle_in(Question(game.text))
        assert puzzle == Puzzle(24, game.numbers, all_of_them=True)
        assert not puzzle.fault(game.solution)


def test_long_texts_are_read_in_no_time() -> None:
    assert puzzle_in(Question("make 24 from " + "1, " * 40_000)) is None
    assert puzzle_in(Question("using the numbers " * 10_000)) is None
    assert puzzle_in(Question("make 24 from 1, 2, 3" + " " * 100_000 + "x")) is not None
    assert puzzle_in(Question("make 24 from 1, 2, 3" + " " * 900 + "x")) is None
    assert Puzzle(1, (1, 2, 3)).fault("(" * 100_000) == ""
