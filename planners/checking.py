"""What branches claim after a look at their text: the value of a program, or steps whose arithmetic holds."""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from orchestrator.consensus.extraction import extract_claim, extract_code
from orchestrator.consensus.forms import compare, read_form
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import labels
from orchestrator.voting.standing import shows_steps
from planners.clock_sums import wrong_time
from planners.equations import wrong_comparison, wrong_equation
from planners.listing import looked_at
from planners.programs.computing import LONGEST, ProgramError, compute
from planners.programs.values import Value, written
from planners.shapes import form_of
from workers.tools.declaration import tool
from workers.tools.tool import Tool

_COMPARED = re.compile(
    r"(?P<what>\S.{0,60}?)\s+(?:is|are|was|were|has|have|weighs?|costs?)\s+(?:\w+\s+){0,2}"
    r"(?:more|less|fewer|most|least|\w+er|\w+est)\b.*",
    re.DOTALL,
)
"""What a program says that names the larger of two: "4/7 is larger"."""

_YEAR = re.compile(r"\b\d{4}\b|\byears?\b", re.IGNORECASE)
_JOINED = re.compile(r"[,;\n]|\b(?:and|und|et|y|e)\b", re.IGNORECASE)
_GIVEN = re.compile(r"\d+(?:\.\d+)?(?:/\d+)?%?")
_WORD = re.compile(r"\w+")
_REMARK = re.compile(r"#[^\n]*")
_LABEL = re.compile(r"[^\W\d_]\s*[:=]\s")
"""A name before a value, of which a text may list several."""


def reading_program(question: Question) -> Tool:
    """A tool that computes the program in a text, and says its value in the form that is asked for."""
    form = form_of(question)

    @tool(name="program", timeout=20.0)
    def program(text: str, claim: str) -> dict[str, Any]:
        """Compute the program that a branch wrote."""
        code = extract_code(text)
        if _repeats(text, question):
            return {"nothing": "the program looks at the question as it is written"}
        try:
            computed = compute(text.strip("` \n") if code is None else code.text)
        except ProgramError as error:
            return {"nothing": str(error)}
        if not computed.operations:
            return {"nothing": "the program computes nothing"}
        value = _in_words(computed.value, question)
        if form == "yes or no":
            if not isinstance(computed.value, bool):
                return {"nothing": f"yes or no is asked for, and the program comes to {value}"}
            return {"claim": value.capitalize()}
        if form == "choice":
            return _chosen(value, question.choices)
        return {"claim": value} if value else {"nothing": "the program comes to an empty text"}

    return program


def _repeats(text: str, question: Question) -> bool:
    """Whether a program, remarks aside, has the question itself: it would count its letters, too."""
    said, asked = (
        " ".join(_WORD.findall(each[:LONGEST].casefold())) for each in (_REMARK.sub("", text), question.text)
    )
    return "<question>" in text or bool(asked and asked in said)


def _in_words(value: Value, question: Question) -> str:
    """The value of a program as the question would have it."""
    match value:
        case str():
            return _named(written(value))
        case date() if not isinstance(value, datetime) and not _YEAR.search(question.text):
            return f"{value.day} {month_name[value.month]}"  # the year is the program's own
        case Fraction() if value.denominator != 1:
            return _as_given(value, question) or written(value)
    return written(value)


def _as_given(value: Fraction, question: Question) -> str:
    """A number as the question writes it, such as 1/3 or 31%; empty if it does not."""
    given = (found[0] for found in _GIVEN.finditer(looked_at(question)))
    return next((each for each in given if (q := read_form(each).quantity) and q.amount == value), "")


def _named(text: str) -> str:
    """What a text of a program claims: without what it says of what it names, or all that it lists."""
    if compared := _COMPARED.fullmatch(text):
        return compared["what"]
    said = None if len(_LABEL.findall(text)) > 1 else extract_claim(text)
    return text if said is None else said.text


def _chosen(value: str, choices: Sequence[str]) -> dict[str, Any]:
    """The letter of the one choice that is this value."""
    form = read_form(value)
    same = [
        label
        for label, choice in zip(labels(choices), choices, strict=True)
        if (verdict := compare(form, read_form(choice))) is not None and verdict[1]
    ]
    if len(same) == 1:
        return {"claim": same[0]}
    return {
        "nothing": f"the program comes to {value}, which is {'several' if same else 'none'} of the choices"
    }


@tool(name="check", timeout=20.0)
def checking(text: str, claim: str) -> dict[str, Any]:
    """Check the arithmetic that a branch wrote; with a wrong equation, it claims nothing."""
    return _checked(text, claim)


@tool(name="check", timeout=20.0)
def checking_steps(text: str, claim: str) -> dict[str, Any]:
    """Check the arithmetic that a branch wrote; without any steps it claims nothing, as a look says that."""
    if claim and not shows_steps(text):
        return {"nothing": "it states an answer without a computation"}
    return _checked(text, claim)


@tool(name="check", timeout=20.0)
def checking_all(text: str, claim: str) -> dict[str, Any]:
    """Check the arithmetic that a branch wrote, and that it answers more than one part of what is asked."""
    if claim and not _JOINED.search(claim):
        return {"nothing": "it answers one part of what is asked"}
    return _checked(text, claim)


def _checked(text: str, claim: str) -> dict[str, Any]:
    """What is left of a claim after the arithmetic around it."""
    wrong = (wrong_equation(text) or wrong_comparison(text)) if claim else ""
    if claim and not wrong and (mistake := wrong_time(text)) is not None:
        wrong = mistake.why
    return {"claim": claim} if claim and not wrong else {"nothing": wrong}
