"""The Game of 24: four numbers from 1 to 13, each to be used exactly once, that are to make 24.

Puzzles are generated, solved and judged exactly, with fractions: 3, 3, 8 and 8 make 24 by 8 / (3 - 8 / 3).
What counts as an answer is told in :mod:`benchmarks.countdown`; here it must use all four numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from benchmarks import countdown
from benchmarks.countdown import bracketed, results

TARGET = 24
HIGHEST = 13
GIVEN = 4


@dataclass(frozen=True, slots=True)
class Puzzle:
    """The numbers in rising order, and an expression that makes 24 of them."""

    numbers: tuple[int, ...]
    solution: str

    @property
    def text(self) -> str:
        """The question."""
        *before, last = map(str, self.numbers)
        return (
            f"Make {TARGET} from the numbers {', '.join(before)} and {last}. You may add, subtract, "
            "multiply, divide and use brackets. Use each of the four numbers exactly once, and no other "
            "number. Answer with one expression alone, without an equals sign."
        )

    def is_right(self, answer: str) -> bool:
        """Whether an answer solves it."""
        return countdown.is_right(answer, self.numbers, TARGET, all_of_them=True)


def puzzles(count: int, seed: int = 1) -> list[Puzzle]:
    """So many puzzles that have a solution. The same seed gives the same ones, however many are asked."""
    found: dict[tuple[int, ...], Puzzle] = {}
    rng = random.Random(f"24/{seed}")
    while len(found) < count:
        numbers = tuple(sorted(rng.choices(range(1, HIGHEST + 1), k=GIVEN)))
        solved = None if numbers in found else solution(numbers)
        if solved is not None:
            found[numbers] = Puzzle(numbers, solved)
    return list(found.values())


def solution(numbers: Sequence[int], target: int = TARGET) -> str | None:
    """An expression that makes the target, above 0, of all the numbers; None if there is none."""
    for part, rest in _splits(tuple(sorted(numbers))):
        if len(part) > len(rest):
            continue  # the other order of the same two is enough
        made = _made(rest)
        for a, one in _made(part).items():
            for b, form in _missing(a, Fraction(target)):
                if b in made:
                    return form.format(a=bracketed(one), b=bracketed(made[b]))
    return None


def _missing(a: Fraction, target: Fraction) -> Iterator[tuple[Fraction, str]]:
    """The numbers ``b`` that make the target with ``a``, and how."""
    yield target - a, "{a} + {b}"
    yield a - target, "{a} - {b}"
    yield target + a, "{b} - {a}"
    if a:
        yield target / a, "{a} * {b}"
        yield a / target, "{a} / {b}"
        yield target * a, "{b} / {a}"


@cache
def _made(numbers: tuple[int, ...]) -> dict[Fraction, str]:
    """All that can be made of all these numbers, each with an expression."""
    if len(numbers) == 1:
        return {Fraction(numbers[0]): str(numbers[0])}
    made: dict[Fraction, str] = {}
    for part, rest in _splits(numbers):
        for a, one in _made(part).items():
            for b, other in _made(rest).items():
                for value, operator in results(a, b):
                    made.setdefault(value, f"{bracketed(one)} {operator} {bracketed(other)}")
    return made


def _splits(numbers: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ways to part them in two, in both orders."""
    places = range(len(numbers))
    for chosen in range(1, (1 << len(numbers)) - 1):
        yield (
            tuple(numbers[at] for at in places if chosen >> at & 1),
            tuple(numbers[at] for at in places if not chosen >> at & 1),
        )
