"""Puzzles need as many numbers as they say, and only a computation of the target is right."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

from fractions import Fraction

import pytest

from benchmarks.countdown import LEVELS, is_right, puzzles, reachable

NUMBERS, TARGET = (3, 5, 2, 7), 16


def test_puzzles_need_as_many_numbers_as_their_level_says() -> None:
    for puzzle in puzzles(9):
        given, needed = LEVELS[puzzle.level]
        assert len(puzzle.numbers) == given
        assert is_right(puzzle.solution, puzzle.numbers, puzzle.target)
        fewest = min(
            subset.bit_count()
            for subset, values in reachable(puzzle.numbers).items()
            if Fraction(puzzle.target) in values
        )
        assert fewest == needed
        assert f"Make {puzzle.target} from the numbers {puzzle.numbers[0]}, " in puzzle.text


def test_the_same_seed_gives_the_same_puzzles_first() -> None:
    assert puzzles(4) == puzzles(6)[:4]
    assert puzzles(4) != puzzles(4, seed=2)


def test_everything_that_two_numbers_can_come_to() -> None:
    assert set(reachable((4, 2))[0b11]) == {6, 2, -2, 8, Fraction(2), Fraction(1, 2)}


@pytest.mark.parametrize(
    "answer",
    [
        "(3 + 5) * 2",
        "(3+5)*2 = 16",
        "16 = (3 + 5) × 2.",
        "$(3+5)\\times 2 = 8 \\times 2 = 16$",
        "It is \\boxed{\\left(3 + 5\\right) \\cdot 2}.",
        "**(3+5)*2**",
        "`2 * (3 + 5)`",
        "- (3+5)*2",
        "Let us see: 3 + 5 is 8.\nAnswer: (3 + 5) x 2",
        "The expression (3+5)*2 uses 3, 5 and 2, and makes 16!",
        "[3 + 5] * 2",
    ],
)
def test_a_computation_of_the_target_from_the_numbers_is_right(answer: str) -> None:
    assert is_right(answer, NUMBERS, TARGET)


@pytest.mark.parametrize(
    "answer",
    [
        "16",
        "16 = 16",
        "The target is 16.",
        "8 * 2",
        "16 + 0",
        "3 * 5 + 1",
        "(3 + 5) * (7 - 5)",
        "3 + 3 + 5 + 5",
        "2 ** (7 - 3)",
        "2^(7-3)",
        "**2**(7-3)**",
        "(3 + 5) * 2 // 1",
        "3 + 5 = 8\n8 * 2 = 16",
        "3 + 5 = 8, 8 * 2 = 16",
        "(3 + 5) * 2 or 3 * 5 + 1",
        "(3 + 5) * 2 = 17",
        "3 + 5 + 7 = 16",
        "int(3 + 5) * 2",
        "abs(3 + 5) * 2",
        "(3 + 5) * 2.0",
        "35 - 7 * 2",
        "3 5 + 2",
        "((3 + 5) * 2",
        "7 / (5 - 3 - 2)",
        "__import__('os')",
        "٣+٥+7+2",
        "1" * 5000 + "+1",
        "(" * 5000,
        "",
        "I cannot do it.",
    ],
)
def test_nothing_else_is(answer: str) -> None:
    assert not is_right(answer, NUMBERS, TARGET)


def test_fractions_are_computed_exactly() -> None:
    assert is_right("8 / (3 - 8 / 3)", (8, 3, 8, 3), 24)
    assert is_right("8 ÷ (3 − 8 ÷ 3)", (8, 3, 8, 3), 24)
    assert is_right("\\boxed{\\frac{8}{3 - \\frac{8}{3}}}", (8, 3, 8, 3), 24)
    assert not is_right("8 / (3 - 8 / 3)", (8, 3, 3), 24)
    assert not is_right("10 / 3 * 9 / 3", (10, 3, 9), 10)


def test_a_given_number_by_itself_computes_nothing() -> None:
    assert not is_right("12 = 12", (12, 3), 12)
    assert is_right("12 = 12 * 3 / 3", (12, 3, 3), 12)
