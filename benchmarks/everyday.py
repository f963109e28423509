"""Everyday questions of our own, with their answers: what is in the set, and in which order it is asked.

The questions are written by hand in ``data/everyday.jsonl``, a line each; docs/answers.md says what the kinds
are. Nothing is tuned on the half called ``held``. How an answer is judged is in :mod:`benchmarks.grading`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.validation import Text
from storage.reading import explained

STORED = Path(__file__).parent / "data" / "everyday.jsonl"

Kind = Literal[
    "arithmetic", "comparison", "yes_no", "fact", "unit", "date", "percentage", "counting", "choice",
    "logic", "which", "parts", "list", "algebra", "words", "code", "unanswerable",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Half = Literal["dev", "held"]


def _several(given: object) -> object:
    return [given] if isinstance(given, str) else given


Accepted = Annotated[tuple[Text, ...], BeforeValidator(_several)]
"""Wordings of one answer, the usual one first; a single one may stand alone."""


class Test(BaseModel):
    """Arguments of a function, and what it is to return for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    __test__ = False

    arguments: tuple[Any, ...]
    result: Any


class Question(BaseModel):
    """A question and what is right.

    ``answer`` are the accepted wordings; of ``choice`` the label, of ``code`` a program that passes the
    ``tests``. ``others`` are answers that one might give instead, and that make a sentence with the right one
    ambiguous. ``tolerance`` is how far a number may be off. ``parts`` are the accepted wordings of each part
    of the answer, in order; ``items`` those of each item of a list, of which ``least`` are wanted (by
    default all), in their order if ``ordered``. ``denials`` are words by which an answer says that the
    question rests on something false.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text
    kind: Kind
    half: Half
    question: Text
    context: str = ""
    choices: tuple[Text, ...] = ()
    answer: Accepted = ()
    others: Accepted = ()
    tolerance: float = Field(0.0, ge=0)
    parts: tuple[Accepted, ...] = ()
    items: tuple[Accepted, ...] = ()
    least: int | None = Field(None, ge=1)
    ordered: bool = False
    function: str = ""
    tests: tuple[Test, ...] = ()
    denials: Accepted = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the choices: A, B, …"""
        return tuple(ascii_uppercase[: len(self.choices)])

    @property
    def wanted(self) -> int:
        """How many items of the list are wanted."""
        return self.least or len(self.items)

    @property
    def gold(self) -> str:
        """A right answer, in the shortest form that a person would give."""
        match self.kind:
            case "unanswerable":
                return "It cannot be known."
            case "parts":
                return "; ".join(part[0] for part in self.parts)
            case "list":
                return ", ".join(item[0] for item in self.items[: self.wanted])
            case _:
                return self.answer[0]

    @model_validator(mode="after")
    def _whole(self) -> Question:
        """What each kind needs, and what only some may have."""
        needs = {"parts": "parts", "list": "items", "unanswerable": ""}.get(self.kind, "answer")
        for name in ("answer", "parts", "items"):
            if bool(getattr(self, name)) is not (name == needs):
                raise ValueError(f"a question of kind {self.kind} needs {needs or 'no answer'}, not {name}")
        only: dict[str, tuple[str, ...]] = {
            "choices": ("choice",),
            "function": ("code",),
            "tests": ("code",),
            "denials": ("unanswerable",),
            "least": ("list",),
            "ordered": ("list",),
        }
        for name, kinds in only.items():
            if getattr(self, name) and self.kind not in kinds:
                raise ValueError(f"only {', '.join(kinds)} may have {name}")
        if self.kind == "choice" and not set(self.answer) <= set(self.labels):
            raise ValueError(f"the answer must be a label of the choices, {', '.join(self.labels) or 'none'}")
        if self.kind == "code" and not (self.function.isidentifier() and self.tests):
            raise ValueError("a question of kind code needs the name of a function, and tests")
        if self.wanted > len(self.items):
            raise ValueError(f"least is {self.least}, but there are {len(self.items)} items")
        if not self.id.startswith(f"{self.kind}-") or not self.id.removeprefix(f"{self.kind}-").isdigit():
            raise ValueError(f"the id must be {self.kind}- and a number")
        if both := {each.casefold() for each in self.answer} & {each.casefold() for each in self.others}:
            raise ValueError(f"{', '.join(both)} cannot be right and wrong")
        return self


def load(path: Path = STORED) -> list[Question]:
    """All questions, in the order of the file.

    Raises:
        ValueError: a line is no question, or its id is another's; the message says which and why.
    """
    questions: dict[str, Question] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            question = Question.model_validate(json.loads(line))
        except ValidationError as error:
            raise ValueError(f"{path.name}, line {number}: {explained(error, most=None)}") from None
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: not JSON: {error}") from None
        if question.id in questions:
            raise ValueError(f"{path.name}, line {number}: the id {question.id} is used above")
        questions[question.id] = question
    return list(questions.values())


def chosen(
    questions: Sequence[Question],
    *,
    half: Half | Literal["all"] = "all",
    kinds: Sequence[str] = (),
    most: int | None = None,
) -> list[Question]:
    """The questions of a half and of some kinds (by default all), one kind after the other in turn.

    So the first ``most``, or those that a run gets to, are of all kinds about equally often.
    """
    some = [each for each in questions if half in ("all", each.half) and (not kinds or each.kind in kinds)]
    by_kind = [[each for each in some if each.kind == kind] for kind in KINDS]
    return [each for turn in zip_longest(*by_kind) for each in turn if each is not None][:most]
