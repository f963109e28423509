"""What the steps of a plan have found: which lines of it are computed, and an answer made of them alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestrator.runtime.messages import text_of
from orchestrator.runtime.values import Answer, Question
from planners.computing import COMPUTING, argmax, argmin
from planners.verdicts import as_answer

LONGEST_SHOWN = 400
"""Characters of one result in an answer that only lists the results."""

UNREAD = "no model has made an answer of the results of the steps"

CHOOSING = frozenset({argmax.name, argmin.name})
"""The steps that name one of several values."""

_COMPUTING = frozenset({tool.name for tool in COMPUTING} | {"calculator"})
_FINAL = _COMPUTING - {"compare"}
"""The steps whose result may answer a question as it stands; that of ``compare`` is a sentence about both."""

_REFERENCE = re.compile(r"\$\{?\d")
_LINE = re.compile(
    r"""^\d+\. (?P<tool>\w+)\((?P<arguments>(?:"(?:[^"\\\n]|\\.)*"|[^"\n])*?)\) = (?P<result>.*)$""",
    re.MULTILINE,
)
_COUNTS = re.compile(
    r"\b(?:how many|(?:what|which|the) number|count|wie ?viele?|anzahl|combien|cu[aá]nt[oa]s|quant[oaie]s?)\b"
    r"|сколько|多少|几个|幾個|いくつ|何人|몇",
    re.IGNORECASE,
)
Read = TypeVar("Read")
_FAILED = re.compile(r"failed: .*\(\w+\)|was cancelled", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """A step that has a result, as a joiner reads it: ``3. argmax({"Ollo": $1, "Vurm": $2}) = Vurm``."""

    tool: str
    arguments: str
    result: str

    @property
    def computing(self) -> bool:
        """Whether it is a computing step."""
        return is_computing(self.tool)

    @property
    def chooses_from_one(self) -> bool:
        """Whether it names the largest of a single value, which says nothing."""
        return self.tool in CHOOSING and len(_REFERENCE.findall(self.arguments)) < 2

    @property
    def from_several(self) -> bool:
        """Whether something other than a model has made the result of at least two others."""
        several = self.tool != "ask" and len(_REFERENCE.findall(self.arguments)) > 1
        return self.computing or several


def is_computing(tool: str) -> bool:
    """Whether a step of that name computes on results."""
    return tool in _COMPUTING


def in_lines(parts: Sequence[str]) -> str:
    """Steps with results, given in parts, as a text in which only steps begin a line.

    A result, which is the part after one that ends with " = ", may itself have lines that look like steps.
    """
    ends = ["", *parts[:-1]]
    return "".join(
        " ".join(part.splitlines()) if end.endswith(" = ") else part
        for end, part in zip(ends, parts, strict=True)
    )


def lines_of(results: str) -> list[Line]:
    """The steps with results in a text of :func:`in_lines`."""
    return [Line(match["tool"], match["arguments"], match["result"]) for match in _LINE.finditer(results)]


def computed_answer(question: Question, results: str) -> Answer | None:
    """The answer that the last step has computed; None if it has not, or it is none of the choices.

    What a step has chosen from one value is no answer.
    """
    lines = lines_of(results)
    if not lines or not lines[-1].computing or lines[-1].chooses_from_one:
        return None
    try:
        value: object = json.loads(lines[-1].result)
    except (ValueError, RecursionError):
        value = lines[-1].result
    return _answer(question, lines[-1].tool, value)


def explained(read: Read, question: Question, results: str) -> Read | Answer:
    """What was read of results; if it is an answer, with these as its reasoning, and what it rests on."""
    if not isinstance(read, Answer):
        return read
    computed = computed_answer(question, results)
    steps = max(1, len(lines_of(results)))
    if computed is not None and computed.claim == read.claim:
        basis = _computed_in(steps)
    else:
        basis = f"read by the model from what {'one step' if steps == 1 else f'{steps} steps'} found"
    basis = f"{basis}; {read.basis}" if read.basis else basis
    return replace(read, basis=basis, reasoning=results.strip())


def _computed_in(steps: int) -> str:
    return f"computed in the last of {steps} steps" if steps > 1 else "computed in one step"


def from_results(question: Question, steps: Sequence[tuple[str, object]]) -> Answer:
    """An answer made of what the steps gave, for when no joiner has read it.

    ``steps`` are the calls as text, each with its value or with words such as "failed: … (tool_error)". The
    last one answers if it has computed something that can be the answer; otherwise all are listed, and the
    answer is undecided.
    """
    listed = [f"- {call}{_outcome(value)}" for call, value in steps]
    if steps and not _failed(steps[-1][1]):
        call, value = steps[-1]
        if (answer := _answer(question, call.partition("(")[0], value)) is not None:
            return replace(answer, basis=_computed_in(len(steps)), reasoning="\n".join(listed))
    text = "\n".join(["The steps gave:", *listed]) if listed else "No step gave a result."
    return Answer(text, undecided=UNREAD)


def _answer(question: Question, tool: str, value: object) -> Answer | None:
    """What a step has computed, or the names that a filter has left, or their number, as the answer."""
    if tool not in _FINAL:
        return None
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, list):
        value = len(names) if _COUNTS.search(question.text) else ", ".join(map(text_of, names))
    answer = as_answer(text_of(value), question)
    return answer if answer.text and answer.claim is not None else None


def _failed(value: object) -> bool:
    return isinstance(value, str) and _FAILED.fullmatch(value) is not None


def _outcome(value: object) -> str:
    text = text_of(value)
    short = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return f" {short}" if _failed(value) else f" = {short}"
