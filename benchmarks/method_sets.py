"""The sets that methods are tried on: where each comes from, in which order it is asked, and what is right.

| set | questions | right is |
|---|---|---|
| ``arithmetic`` | what is computed of our everyday questions, half ``held`` | :mod:`benchmarks.grading` |
| ``gsm8k`` | drawn from a file that the user gives | the number, by rules 1 to 3 of it |
| ``two_hop`` | :mod:`benchmarks.multi_hop`, look-ups that need each other | by the same rules |
| ``countdown`` | :mod:`benchmarks.countdown` | exact |
| ``game24`` | :mod:`benchmarks.game_of_24` | exact |
| ``templates`` | :mod:`benchmarks.list_tasks`, items that are independent | all items, in their order |
| ``operations`` | :mod:`benchmarks.list_tasks`, items that need the whole list | all items, in their order |
| ``documents`` | :mod:`benchmarks.long_documents`, planted facts, of one and of two hops | exact |
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from benchmarks import countdown, everyday, game_of_24, list_tasks, long_documents, multi_hop
from benchmarks.grading import Verdict, grade
from benchmarks.list_tasks import Task
from benchmarks.record_gsm8k import gold_of
from benchmarks.verifiers import verifier
from workers.tools.tool import Tool

SETS = ("arithmetic", "gsm8k", "two_hop", "countdown", "game24", "templates", "operations", "documents")
HARDER = ("gsm8k", "two_hop", "countdown")
"""What takes more than one thought, and has one short answer."""

VERIFIER = "solves"
"""The tool that says whether an answer solves a puzzle."""

COMPUTED = ("arithmetic", "percentage", "algebra", "unit")
"""The kinds of everyday questions that are computed."""

HOPS = ("two_hop", "chain", "chain_compare", "chain_sum", "filter_sum", "filter_argmax")
"""The kinds of :mod:`benchmarks.multi_hop` in which one look-up leads to the next."""

CHARACTERS = 6000
"""Of the documents of a question."""

Source = countdown.Puzzle | game_of_24.Puzzle | Task | long_documents.Case | everyday.Question
"""What a question was made of, if it judges its answers itself."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a set, as ``number`` there, and a right answer; ``source`` is what it was made of."""

    set: str
    number: int
    kind: str
    question: str
    gold: str
    context: str = ""
    source: Source | None = None
    choices: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its set and number."""
        return f"{self.set}-{self.number}"

    def is_right(self, answer: str | None) -> bool:
        """Whether an answer is right, by the rule of its set."""
        if answer is None:
            return False
        match self.source:
            case countdown.Puzzle() as puzzle:
                return countdown.is_right(answer, puzzle.numbers, puzzle.target)
            case everyday.Question() as asked:
                return grade(asked, answer) is Verdict.RIGHT
            case None:
                return grade(self._plain, answer) is Verdict.RIGHT
            case source:
                return source.is_right(answer)

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


def _arithmetic(count: int, seed: int) -> list[Question]:
    held = [each for each in everyday.load() if each.half == "held" and each.kind in COMPUTED]
    random.Random(seed).shuffle(held)
    return [
        Question("arithmetic", at, each.kind, each.question, each.answer[0], each.context, each, each.choices)
        for at, each in enumerate(held[:count], 1)
    ]


def _two_hop(count: int, seed: int) -> list[Question]:
    return [
        Question("two_hop", each.number, each.kind, each.text, each.answer, each.material)
        for each in multi_hop.questions(count, seed=seed, kinds=HOPS)
    ]


def _countdown(count: int, seed: int) -> list[Question]:
    return [
        Question("countdown", number, each.level, each.text, each.solution, source=each)
        for number, each in enumerate(countdown.puzzles(count, seed), start=1)
    ]


def _game24(count: int, seed: int) -> list[Question]:
    return [
        Question("game24", number, "four of four", each.text, each.solution, source=each)
        for number, each in enumerate(game_of_24.puzzles(count, seed), start=1)
    ]


def _templates(count: int, seed: int) -> list[Question]:
    return _tasks("templates", list_tasks.templates(count, seed))


def _operations(count: int, seed: int) -> list[Question]:
    return _tasks("operations", list_tasks.operations(count, seed))


def _tasks(name: str, tasks: Sequence[Task]) -> list[Question]:
    return [
        Question(name, number, each.kind, each.text, "\n".join(each.items), source=each)
        for number, each in enumerate(tasks, start=1)
    ]


def _documents(count: int, seed: int) -> list[Question]:
    return [
        Question("documents", each.number, each.kind, each.text, each.answer, each.material, each)
        for each in long_documents.cases(count, characters=CHARACTERS, seed=seed)
    ]


GENERATED: dict[str, Callable[[int, int], list[Question]]] = {
    "arithmetic": _arithmetic,
    "two_hop": _two_hop,
    "countdown": _countdown,
    "game24": _game24,
    "templates": _templates,
    "operations": _operations,
    "documents": _documents,
}
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


def verifier_of(asked: Sequence[Question]) -> Tool:
    """The tool that says whether an answer solves one of these puzzles."""
    puzzles = [each.source for each in asked if isinstance(each.source, countdown.Puzzle | game_of_24.Puzzle)]
    return verifier(puzzles, name=VERIFIER)
