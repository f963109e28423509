"""Countdown: a target that is to be reached with given numbers, generated, and judged by computing.

A puzzle gives three or four numbers and a target; each number may be used at most once, with ``+ - * /`` and
brackets. The levels say how many numbers are given and how many of them are needed at least.

An answer is right if it states one expression, or a chain of equal ones, in which everything comes to the
target, computed exactly, and at least one expression computes it from the given numbers alone, each used at
most as often as it is given. So the target by itself is wrong, and so are two attempts of which one fits, the
steps of a computation one by one, numbers that are not given, and any other operator or function. What is
stated stands in the last box, or after the last "Answer:", else it is the whole answer; words around it do
not count. LaTeX and the signs ``× · ÷ −`` are read as what they stand for.
"""

# ruff: noqa: RUF001, RUF002 -- the look-alike characters are what people and models write

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.consensus.reading.forms import boxed
from workers.errors import ToolError
from workers.tools.calculator import evaluate

LEVELS: Mapping[str, tuple[int, int]] = {"two of three": (3, 2), "all three": (3, 3), "three of four": (4, 3)}
"""Numbers that are given, and the fewest that reach the target."""

NUMBERS = range(2, 13)
TARGETS = range(10, 61)
LONGEST = 200
"""Characters of an expression that is read."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """The numbers, the target, and an expression that reaches it."""

    level: str
    numbers: tuple[int, ...]
    target: int
    solution: str

    @property
    def text(self) -> str:
        """The question."""
        *before, last = map(str, self.numbers)
        return (
            f"Make {self.target} from the numbers {', '.join(before)} and {last}. You may add, subtract, "
            "multiply, divide and use brackets. Use each of the numbers at most once, and no other number; "
            "you need not use all of them. Answer with one expression alone, without an equals sign."
        )


def puzzles(count: int, seed: int = 1) -> list[Puzzle]:
    """So many puzzles, the levels in turn. The same seed gives the same ones, however many are asked."""
    levels = list(LEVELS)
    return [_puzzle(levels[at % len(levels)], random.Random(f"{seed}/{at}")) for at in range(count)]


def _puzzle(level: str, rng: random.Random) -> Puzzle:
    given, needed = LEVELS[level]
    while True:
        numbers = tuple(rng.sample(NUMBERS, given))
        reached = reachable(numbers)
        least: dict[Fraction, int] = {}
        for subset, values in reached.items():
            for value in values:
                least[value] = min(subset.bit_count(), least.get(value, given))
        targets = [each for each in TARGETS if least.get(Fraction(each)) == needed]
        if targets:
            target = rng.choice(targets)
            ways = [values[Fraction(target)] for values in reached.values() if target in values]
            return Puzzle(level, numbers, target, min(ways, key=len))


def reachable(numbers: Sequence[int]) -> dict[int, dict[Fraction, str]]:
    """By each subset of the numbers, as bits: what all of it can come to, with an expression for it."""
    made: dict[int, dict[Fraction, str]] = {}
    for subset in range(1, 1 << len(numbers)):
        made[subset] = values = {}
        if subset.bit_count() == 1:
            number = numbers[subset.bit_length() - 1]
            values[Fraction(number)] = str(number)
        part = (subset - 1) & subset
        while part:  # every part of the subset, with what the rest can come to
            for a, one in made[part].items():
                for b, other in made[subset ^ part].items():
                    for value, operator in results(a, b):
                        values.setdefault(value, f"{bracketed(one)} {operator} {bracketed(other)}")
            part = (part - 1) & subset
    return made


def results(a: Fraction, b: Fraction) -> Iterator[tuple[Fraction, str]]:
    """What two numbers come to, with the operator."""
    yield a + b, "+"
    yield a - b, "-"
    yield a * b, "*"
    if b:
        yield a / b, "/"


def bracketed(expression: str) -> str:
    """An expression as an operand of another one."""
    return f"({expression})" if " " in expression else expression


_MARKED = re.compile(r".*\banswer(?:\s+is)?\s*:(?P<said>.*)", re.IGNORECASE | re.DOTALL)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_WRITTEN = (
    (re.compile(r"\\(?:times|cdot)(?![a-z])|[×·⋅∗]|(?<=[0-9)])\s*[xX]\s*(?=[0-9(])"), "*"),
    (re.compile(r"\\div(?![a-z])|÷"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\(?:left|right|[,;! ])"), ""),
    (re.compile(r"\\text\{[^{}]*\}"), " ; "),
    (re.compile(r"(?<![\w)])\*\*(?=\S)(.+?)(?<=\S)\*\*(?![\w(])"), r" ; \1 ; "),
    (re.compile(r"^\s*[-*•]\s+", re.MULTILINE), ""),
    (re.compile(r"[\[{]"), "("),
    (re.compile(r"[\]}]"), ")"),
    (re.compile(r"\\\(|\\\)|[$`]"), " "),
)
"""How models write what stands in an expression; bold text stands for itself."""

_CHAIN = re.compile(r"(?<![\w.])[0-9(+\-](?:[0-9+\-*/()=^%!.,\t ]*[0-9)])?")
_LEGAL = re.compile(r"[0-9+\-*/() ]+")
_INTEGER = re.compile(r"[0-9]+")


def is_right(answer: str, numbers: Sequence[int], target: int, *, all_of_them: bool = False) -> bool:
    """Whether an answer reaches the target by the rule of the module, or with ``all_of_them`` used once."""
    chains = [chain for chain in _chains(answer) if re.search(r"[-+*/=^%!]", chain.lstrip("+-"))]
    if len(chains) != 1 or len(chains[0]) > LONGEST:
        return False
    sides = [each.strip() for each in chains[0].split("=")]
    legal = [_is_legal(each, numbers, all_of_them=all_of_them) for each in sides]
    return any(legal) and all(_value(each) == target for each in sides)


def _chains(answer: str) -> list[str]:
    """The expressions that an answer states, with the equals signs between them."""
    marked = _MARKED.match(answer)
    text = boxed(answer) or (marked["said"] if marked else answer)
    while (plain := _FRACTION.sub(r"((\1)/(\2))", text)) != text:
        text = plain
    for pattern, meant in _WRITTEN:
        text = pattern.sub(meant, text)
    return [each.strip() for each in _CHAIN.findall(text)]


def _value(expression: str) -> Fraction | None:
    """What an expression of whole numbers and the four operators comes to; None if it is none."""
    if not _LEGAL.fullmatch(expression) or "**" in expression or "//" in expression:
        return None
    try:
        value = evaluate(expression)
    except ToolError:
        return None
    return value if isinstance(value, Fraction) else None


def _is_legal(expression: str, numbers: Sequence[int], *, all_of_them: bool) -> bool:
    """Whether an expression computes with the given numbers alone, each at most as often as it is given."""
    used, given = Counter(map(int, _INTEGER.findall(expression))), Counter(numbers)
    return used == given if all_of_them else used.total() > 1 and used <= given
