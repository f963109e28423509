"""The harder questions: where each set comes from, in which order it is asked, and what is right.

``gsm8k`` is drawn from a file that the user gives, ``two_hop`` are the questions of
:mod:`benchmarks.multi_hop` whose look-ups need each other, ``countdown`` the puzzles of
:mod:`benchmarks.countdown`. The first two are judged by rules 1 to 3 of :mod:`benchmarks.grading`, which are
given the question without its paragraphs, so an answer with a further name or number of theirs is wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from benchmarks import countdown, everyday, multi_hop
from benchmarks.grading import Verdict, grade
from benchmarks.record_gsm8k import gold_of

SETS = ("gsm8k", "two_hop", "countdown")
HOPS = ("two_hop", "chain", "chain_compare", "chain_sum", "filter_sum", "filter_argmax")
"""The kinds of :mod:`benchmarks.multi_hop` in which one look-up leads to the next."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a set, as ``number`` there, and a right answer. ``puzzle`` is that of Countdown."""

    set: str
    number: int
    kind: str
    question: str
    gold: str
    context: str = ""
    puzzle: countdown.Puzzle | None = None
    choices: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its set and number."""
        return f"{self.set}-{self.number}"

    def is_right(self, answer: str | None) -> bool:
        """Whether an answer is right, by the rule of its set."""
        if answer is None:
            return False
        if self.puzzle is not None:
            return countdown.is_right(answer, self.puzzle.numbers, self.puzzle.target)
        return grade(self._plain, answer) is Verdict.RIGHT

    @property
    def _plain(self) -> everyday.Question:
        return everyday.Question(
            id="arithmetic-1", kind="arithmetic", half="held", question=self.question, answer=(self.gold,)
        )


def gsm8k(path: Path, count: int, seed: int) -> list[Question]:
    """So many questions of a file of ``{"question", "answer"}`` lines, drawn by the seed.

    The same seed draws the same ones first, however many are drawn.

    Raises:
        ValueError: a line is no such question; the message says which.
        OSError: the file cannot be read.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    order = random.Random(seed).sample(range(1, len(lines) + 1), len(lines))
    return [_of_gsm8k(lines[number - 1], number, path) for number in order[:count]]


def _of_gsm8k(line: str, number: int, path: Path) -> Question:
    try:
        item = json.loads(line)
        text, answer = item["question"], item["answer"]
        if "####" not in answer or not text.strip():
            raise KeyError("answer")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f'{path}, line {number}: not {{"question": "…", "answer": "… #### 5"}}, as GSM8K has it'
        ) from None
    return Question("gsm8k", number, "gsm8k", text, gold_of(answer))


def two_hop(count: int, seed: int) -> list[Question]:
    """So many questions with the paragraphs of a world of its own each, the kinds in turn."""
    return [
        Question("two_hop", each.number, each.kind, each.text, each.answer, each.material)
        for each in multi_hop.questions(count, seed=seed, kinds=HOPS)
    ]


def puzzles(count: int, seed: int) -> list[Question]:
    """So many Countdown puzzles, the levels in turn."""
    return [
        Question("countdown", number, each.level, each.text, each.solution, puzzle=each)
        for number, each in enumerate(countdown.puzzles(count, seed), start=1)
    ]


GENERATED: dict[str, Callable[[int, int], list[Question]]] = {"two_hop": two_hop, "countdown": puzzles}
"""The sets that need no file."""


def questions(sets: Sequence[str], count: int, seed: int, file: Path | None = None) -> list[Question]:
    """So many questions of each of these sets, the sets in turn. ``file`` has those of GSM8K.

    Raises:
        ValueError: the file is needed and is not given, or a line of it is no question.
        OSError: the file cannot be read.
    """
    drawn = []
    for name in sets:
        if name != "gsm8k":
            drawn.append(GENERATED[name](count, seed))
        elif file is None:
            raise ValueError("the set gsm8k needs its file: --gsm8k test.jsonl")
        else:
            drawn.append(gsm8k(file, count, seed))
    return [each for turn in zip_longest(*drawn) for each in turn if each is not None]
