"""What branches claim after a look at their text: the value of a program, or words whose arithmetic holds."""

from __future__ import annotations

import re
from calendar import day_name, month_name
from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from orchestrator.consensus.extraction import extract_claim, extract_code
from orchestrator.consensus.forms import compare, read_form
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import labels
from planners.clock_sums import wrong_time
from planners.equations import wrong_comparison, wrong_equation
from planners.listing import looked_at
from planners.programs.computing import LONGEST, ProgramError, compute
from planners.programs.values import Value, written
from planners.shapes import NAMED_YEAR, Form, form_of
from workers.tools.declaration import tool
from workers.tools.tool import Tool

_COMPARED = re.compile(
    r"(?P<what>\S.{0,60}?)\s+(?:is|are|was|were|has|have|weighs?|costs?)\s+(?:\w+\s+){0,2}"
    r"(?:more|less|fewer|most|least|\w+er|\w+est)\b.*",
    re.DOTALL,
)
"""What a program says that names the larger of two: "4/7 is larger"."""

_YEAR = re.compile(rf"{NAMED_YEAR.pattern}|\byears?\b", re.IGNORECASE)
_JOINED = re.compile(r"[,;\n]|\b(?:and|und|et|y|e)\b", re.IGNORECASE)
_GIVEN = re.compile(r"\d+(?:\.\d+)?(?:/\d+)?%?")
_WORD = re.compile(r"\w+")
_DAY = re.compile(r"\b(?:date|datetime|strptime)\(")
_VERDICTS = {"yes": "Yes", "true": "Yes", "no": "No", "false": "No"}
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
        return _computed(text.strip("` \n") if code is None else code.text, question, form)

    return program


def reading_words(question: Question) -> Tool:
    """A tool that checks what a text computes, and that it answers all that is asked.

    Of a wrong equation it says how the text could go on.
    """
    several = form_of(question) == "several"

    @tool(name="check", timeout=20.0)
    def check(text: str, claim: str) -> dict[str, Any]:
        """Check the arithmetic that a branch wrote."""
        if not claim:
            return {"nothing": ""}
        if several and not _JOINED.search(claim):
            return {"nothing": "it answers one part of what is asked"}
        if wrong := wrong_equation(text, question.text) or wrong_comparison(text) or wrong_time(text):
            corrected = wrong.corrected(text)
            return {"nothing": wrong.why, **({"corrected": corrected} if corrected else {})}
        return {"claim": claim}

    return check


def _computed(program: str, question: Question, form: Form) -> dict[str, Any]:
    """What a program comes to in the form that is asked for, or why that is nothing."""
    try:
        computed = compute(program)
    except ProgramError as error:
        return {"nothing": str(error)}
    if not computed.operations:
        return {"nothing": "the program computes nothing"}
    value = _in_words(computed.value, question)
    if value in day_name and _DAY.search(program) and not _YEAR.search(question.text):
        return {"nothing": "the program takes the weekday of a day in a year that nobody named"}
    if form == "yes or no":
        if verdict := _VERDICTS.get(value.casefold()):
            return {"claim": verdict}
        return {"nothing": f"yes or no is asked for, and the program comes to {value}"}
    if form == "choice":
        return _chosen(value, question.choices)
    return {"claim": value} if value else {"nothing": "the program comes to an empty text"}


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
    same = [label for label, choice in zip(labels(choices), choices, strict=True) if _same(value, choice)]
    if len(same) == 1:
        return {"claim": same[0]}
    return {
        "nothing": f"the program comes to {value}, which is {'several' if same else 'none'} of the choices"
    }


def _same(one: str, other: str) -> bool:
    """Whether two claims are known to be the same."""
    verdict = compare(read_form(one), read_form(other))
    return verdict is not None and verdict[1]
