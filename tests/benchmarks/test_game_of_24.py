"""Puzzles of 24 are solved exactly, and only all four numbers, each used once, are right."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from benchmarks import countdown
from benchmarks.game_of_24 import Puzzle, puzzles, solution
from benchmarks.verifiers import verifier
from workers.errors import ToolError


def test_as_many_hands_have_a_solution_as_is_known() -> None:
    hands = list(combinations_with_replacement(range(1, 11), 4))  # up to 13, it is 1362 of 1820
    assert (sum(solution(hand) is not None for hand in hands), len(hands)) == (566, 715)


@pytest.mark.parametrize("numbers", [(3, 3, 8, 8), (1, 5, 5, 5), (4, 4, 10, 10), (1, 3, 4, 6)])
def test_solutions_that_need_fractions_are_found(numbers: tuple[int, ...]) -> None:
    found = solution(numbers)
    assert found is not None
    assert Puzzle(numbers, found).is_right(found)


def test_hands_without_a_solution_have_none() -> None:
    assert solution((1, 1, 1, 1)) is None
    assert solution((13, 13, 13, 13)) is None
    assert solution((2, 3), target=6) == "2 * 3"
    assert solution((2, 3), target=7) is None


def test_the_same_seed_gives_the_same_puzzles_first_and_each_once() -> None:
    assert puzzles(5) == puzzles(9)[:5]
    assert puzzles(5) != puzzles(5, seed=2)
    assert len({each.numbers for each in puzzles(60)}) == 60
    assert all(each.is_right(each.solution) for each in puzzles(60))
    assert "Make 24 from the numbers " in puzzles(1)[0].text


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("8 / (3 - 8/3)", True),
        ("It is \\boxed{\\frac{8}{3 - 8/3}} = 24.", True),
        ("8 * 3", False),  # two are left
        ("8 * 3 * (8 / 8) - 3 + 3", False),
        ("8 * 3 + 3 - 3 * 8 / 8", False),
        ("8 + 8 + 3 + 3", False),
        ("24", False),
        ("", False),
    ],
)
def test_all_four_numbers_are_used_once(answer: str, right: bool) -> None:
    assert Puzzle((3, 3, 8, 8), "").is_right(answer) is right


async def test_a_verifier_knows_puzzles_by_their_text() -> None:
    (one,), (other, *_) = puzzles(1), countdown.puzzles(3)
    judge = verifier([one, other])
    assert await judge.invoke([one.text, one.solution]) is True
    assert await judge.invoke([one.text, "24"]) is False
    assert await judge.invoke([other.text, other.solution]) is True
    with pytest.raises(ToolError, match="no puzzle that is known"):
        await judge.invoke(["What is 1 + 1?", "2"])
