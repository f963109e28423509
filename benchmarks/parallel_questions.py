"""Questions of the shape of ParallelQA, each with its steps, what they return and how long they take.

A question names two to five invented towers and what is done to the height of each, and asks which is then
the highest: one ``search`` and one ``math`` for each tower. The searches need nothing of each other, and each
``math`` needs one of them. How many towers how many questions have is as in ParallelQA.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.multi_hop import Names

PARALLELQA = (2,) * 21 + (3,) * 31 + (4,) * 31 + (5,) * 30
"""Look-ups of the 113 questions of ParallelQA (SqueezeAILab/LLMCompiler, ``parallelqa_dataset.json``)."""

SEARCH_MEDIAN, SEARCH_SIGMA = 3.0, 0.5
"""Seconds of a search, log-normal."""

MATH_MEDIAN, MATH_SIGMA = 2.2, 0.3
"""Seconds of ``math``, which in the paper is a call of a language model itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool. ``text`` is its first argument, which no other call has.

    A ``math`` is given the results of the steps that it ``needs`` as a list. ``seconds`` is how long the tool
    takes, before the benchmark speeds everything up.
    """

    id: int
    tool: str
    text: str
    needs: tuple[int, ...]
    result: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its answer, what it asks about, and the steps in the order in which a plan has them."""

    number: int
    text: str
    answer: str
    towers: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def width(self) -> int:
        """How many look-ups it needs."""
        return len(self.steps) // 2


def widths_of(path: Path | None) -> Sequence[int]:
    """The numbers of look-ups in a file of ParallelQA's form; those that are published if there is no file.

    Raises:
        OSError, ValueError: it cannot be read as such a file.
    """
    if path is None:
        return PARALLELQA
    return [int(each["branch"]) for each in json.loads(path.read_text(encoding="utf-8"))]


def questions(widths: Iterable[int], *, seed: int = 1) -> list[Question]:
    """A question for each width. No tower and no height occurs twice."""
    rng = random.Random(seed)
    names = Names(rng)
    heights: set[int] = set()
    return [_question(number, width, names, heights, rng) for number, width in enumerate(widths)]


def _question(number: int, width: int, names: Names, heights: set[int], rng: random.Random) -> Question:
    while True:
        towers = [names.new("depot") for _ in range(width)]
        before = [_new(heights, rng) for _ in towers]
        percents = [rng.choice([-30, -25, -20, -15, -10, 5, 10, 15, 20, 25, 30, 40]) for _ in towers]
        after = [height * (100 + percent) / 100 for height, percent in zip(before, percents, strict=True)]
        if len({round(each, 1) for each in after}) == width:
            break
    changes = [
        f"the {name} tower were {_change(percent, 'higher', 'lower')}"
        for name, percent in zip(towers, percents, strict=True)
    ]
    text = f"If {', '.join(changes[:-1])} and {changes[-1]}, which of them would be the highest?"
    searches = [
        Step(
            at, "search", f"height of the {name} tower", (),
            f"The {name} tower is a landmark. It is {height} metres high.",
            rng.lognormvariate(0.0, SEARCH_SIGMA) * SEARCH_MEDIAN,
        )
        for at, (name, height) in enumerate(zip(towers, before, strict=True), start=1)
    ]  # fmt: skip
    maths = [
        Step(
            at + width, "math", f"height of the {name} tower, {_change(percent, 'more', 'less')}", (at,),
            f"The {name} tower would be {changed:.8g} metres high.",
            rng.lognormvariate(0.0, MATH_SIGMA) * MATH_MEDIAN,
        )
        for at, (name, percent, changed) in enumerate(zip(towers, percents, after, strict=True), start=1)
    ]  # fmt: skip
    return Question(number, text, towers[after.index(max(after))], tuple(towers), (*searches, *maths))


def _change(percent: int, up: str, down: str) -> str:
    return f"{abs(percent)} % {up if percent > 0 else down}"


def _new(heights: set[int], rng: random.Random) -> int:
    while (height := rng.randint(101, 9_899)) in heights:
        pass
    heights.add(height)
    return height
