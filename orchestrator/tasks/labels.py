"""Labels: questions with their right answers, stored runs with verdicts, and which answers agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import structlog
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from orchestrator.consensus.equivalence import Clusters, Costly, read_form
from orchestrator.consensus.extraction import Claim
from orchestrator.errors import InvalidRequest
from orchestrator.validation import Text, explain
from orchestrator.voting import symbolic
from orchestrator.voting.ballot import labels
from workers.errors import ToolError

log = structlog.get_logger()

Half = Literal["dev", "held"]
"""A calibration is fitted to questions of the half ``dev``, and checked on those of the half ``held``."""


def _several(given: object) -> object:
    """One answer, or several of which each is right."""
    return given if isinstance(given, list | tuple) else (given,)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    half: Half = "dev"
    id: str = ""
    kind: str = ""


class LabelledQuestion(_Line):
    """A question and its right answers, any of which is enough; of several choices, one or its letter."""

    query: Text = Field(validation_alias=AliasChoices("query", "question"))
    answer: Annotated[tuple[Text, ...], BeforeValidator(_several), Field(min_length=1)]
    context: str = ""
    choices: tuple[Text, ...] = ()
    others: Any = Field(None, description="Wrong answers, as some sets have them; not looked at.")

    @model_validator(mode="after")
    def _offered(self) -> Self:
        for answer in self.answer if self.choices else ():
            if letter_of(answer, self.choices) is None:
                raise ValueError(f"the answer {answer!r} is neither a choice nor the letter of one")
        return self

    @property
    def asked(self) -> dict[str, Any]:
        """The question as the fields of a request."""
        return self.model_dump(include={"query", "context", "choices"})


class LabelledTrace(_Line):
    """A stored run, with the right answers or with whether its own answer is right."""

    trace_id: Text
    answer: Annotated[tuple[Text, ...], BeforeValidator(_several)] = ()
    right: bool | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.answer) == (self.right is not None):
            raise ValueError("give either answer or right")
        return self

    @property
    def verdict(self) -> tuple[str, ...] | bool:
        """The right answers, or whether the answer of the run is right."""
        return self.answer if self.right is None else self.right


Label = TypeVar("Label", LabelledQuestion, LabelledTrace)


def read_labels(path: Path, kind: type[Label]) -> list[Label]:
    """The lines of a JSON Lines file; empty ones are skipped.

    Raises:
        InvalidRequest: it cannot be read or has no lines, or a line is wrong or repeated; names the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # JSON strings may contain other line separators
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    found: dict[tuple[object, ...], int] = {}
    read: list[Label] = []
    apart: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if kind is LabelledQuestion and _is_judged_apart(line):
            apart.append(number)
            continue
        try:
            label = kind.model_validate_json(line)
        except ValidationError as error:
            raise InvalidRequest(f"{path}, line {number}: {explain(error)}") from None
        first = found.setdefault(_asked(label), number)
        if first != number:
            raise InvalidRequest(f"{path}, line {number}: the same as line {first}; each counts only once")
        read.append(label)
    if apart:
        log.warning(
            "questions are left out whose answers take more than a comparison: judge runs, and use --traces",
            questions=len(apart),
            first_line=apart[0],
        )
    if not read:
        raise InvalidRequest(f"{path} has no lines; each must be a JSON object such as {_EXAMPLES[kind]}")
    return read


def _is_judged_apart(line: str) -> bool:
    """Whether a line is of a set whose answers take more than a comparison: lists, programs, no answer.

    Such a set names the kinds of its questions; of others, a line without an answer is a mistake.
    """
    try:
        data = json.loads(line)
    except ValueError:
        return False
    is_of_set = isinstance(data, dict) and "kind" in data
    return is_of_set and ("answer" not in data or not data.keys() <= _COMPARED)


_COMPARED = frozenset({*LabelledQuestion.model_fields, "question"})
_EXAMPLES = {
    LabelledQuestion: '{"query": "What is 17 * 23?", "answer": "391"}',
    LabelledTrace: '{"trace_id": "…", "right": true}',
}


def _asked(label: LabelledQuestion | LabelledTrace) -> tuple[object, ...]:
    if isinstance(label, LabelledTrace):
        return (label.trace_id,)
    return label.query, label.context, label.choices


async def agrees(answer: str, right: Sequence[str], choices: Sequence[str] = ()) -> bool:
    """Whether an answer means the same as a right one, compared as votes are, mathematics included.

    Answers that only a model could compare, such as paraphrases, do not agree.
    """
    for each in right:
        if await _same(answer, letter_of(each, choices) or each, choices):
            return True
    return False


async def _same(answer: str, right: str, choices: Sequence[str]) -> bool:
    costly: tuple[Costly, ...] = ("symbolic",) if symbolic.AVAILABLE else ()
    clusters = Clusters(choices=labels(choices), costly=costly)
    clusters.add(0, Claim(right, "whole"))
    claim = Claim(answer, "whole")
    verdicts = {}
    for pair in clusters.open_pairs(claim):
        try:
            said = await symbolic.MATH_EQUAL.invoke({"left": pair.left, "right": pair.right})
        except ToolError:
            continue  # nothing says that they are equal
        verdicts[pair] = said is True
    return clusters.add(1, claim, verdicts) == 0


def letter_of(answer: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that the answer names, whether by its letter or by its text."""
    for letter, choice in zip(labels(choices), choices, strict=True):
        if read_form(answer).normal == read_form(choice).normal:
            return letter
    return answer.upper() if answer.upper() in labels(choices) else None
