"""The kinds of branches that vote on a question: it is answered at once, by a program, in steps, or reworded.

Which of them a question gets, in which order, and how long each may be, stands in tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from orchestrator.consensus.extraction import extract_claim, extract_code
from orchestrator.consensus.forms import compare, read_form
from orchestrator.consensus.yes_or_no import asks_yes_or_no
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import Turn, labels
from planners.equations import wrong_equation
from planners.listing import looked_at
from planners.program_values import written
from planners.programs import ProgramError, compute, translated
from planners.questions import computation_in, set_task
from workers.tools.declaration import tool
from workers.tools.tool import Tool

Kind = Literal["at once", "program", "steps", "reworded"]
Computing = Literal["computing", "other"]

AT_ONCE: Final = "at once"
PROGRAM: Final = "program"

LOOKS: Mapping[Computing, tuple[Kind, ...]] = {"computing": (AT_ONCE, PROGRAM), "other": (AT_ONCE,)}
"""What is asked first."""

THEN: Mapping[Computing, tuple[Kind, ...]] = {
    "computing": ("steps", PROGRAM),
    "other": ("steps", "reworded"),
}
"""What is asked in turns where the looks do not settle it.

Whoever rewords a computation answers at once after it, with the mistakes of a first look.
"""

LENGTHS: Mapping[Kind, Mapping[Computing, int]] = {
    AT_ONCE: {"computing": 32, "other": 48},
    PROGRAM: {"computing": 192, "other": 192},
    "steps": {"computing": 256, "other": 160},
    "reworded": {"other": 112},
}
"""Tokens that a branch may have at first; after one of its kind was cut off, the next may have more."""

ALTERNATIVES = 10
"""Of each token of a look: what else may have been said is known with its probability."""

DAYS = " A day is date(year, month, day), and the difference of two is a number of days."
"""What a program is told besides if the question speaks of dates."""

FORMS: Mapping[str, str] = {
    "choice": "the letter of the right choice",
    "yes or no": "yes or no",
    "other": "the answer",
}
"""What is asked for, by the form of the answer."""

TASKS: Mapping[Kind, str] = {
    AT_ONCE: "Give {form} alone, in as few words as it needs, without an explanation.",
    PROGRAM: (
        "Write a short calculation of {form} in plain Python: give the numbers of the question telling "
        "names, compute with them, and call the last value answer. Without imports, definitions and remarks."
    ),
    "steps": "Think step by step, in a few short lines. Then give {form} alone in \\boxed{{}}.",
    "reworded": (
        "State first in one sentence of your own what is asked and what is given. Then give {form} alone in "
        "\\boxed{{}}."
    ),
}
"""What each kind asks for. None shows an answer, which small models would repeat."""

_FIGURES = (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
    "million half halves third thirds quarter quarters twice thrice double triple dozen percent"
)
_NUMBER = re.compile(rf"\d[\d.,]*|\b(?:{'|'.join(_FIGURES.split())})\b", re.IGNORECASE)
_LETTERS = "letters? vowels? consonants? syllables? words? characters? times"
_COUNTED = re.compile(
    rf"\bhow (?:many|much|often)\b.*?(?:\d|\b(?:{'|'.join(_LETTERS.split())})\b)", re.IGNORECASE | re.DOTALL
)
_HOW_MANY = re.compile(r"how (?:many|much)", re.IGNORECASE)
_DATES = re.compile(
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december|weekday"
    r"|day of the week|leap year|date)\b|\b\d{4}-\d\d?-\d\d?\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"(?P<what>\S.{0,60}?)\s+(?:is|are|was|were|has|have|weighs?|costs?)\s+(?:\w+\s+){0,2}"
    r"(?:more|less|fewer|most|least|\w+er|\w+est)\b.*",
    re.DOTALL,
)
"""What a program says that names the larger of two: "4/7 is larger"."""


# -- what kind of question it is ------------------------------------------------------------------


def shows_computation(question: Question) -> bool:
    """Whether the question shows that something is to be computed: by its words, or by two numbers.

    "How many" alone may ask for a fact; with a number, or for letters or words, it asks to compute or count.
    """
    sign = computation_in(question)
    if sign and not _HOW_MANY.fullmatch(sign):
        return True
    text = looked_at(question)
    return len(_NUMBER.findall(text)) > 1 or bool(_COUNTED.search(text))


def form_of(question: Question) -> str:
    """The form of the answer: ``choice``, ``yes or no`` or ``other``."""
    if question.choices:
        return "choice"
    return "yes or no" if asks_yes_or_no(looked_at(question)) else "other"


# -- the turns ------------------------------------------------------------------------------------


def turns_of(run: Run, question: Question, n: int) -> list[Turn]:
    """How the first ``n`` branches are asked.

    The first of each kind is greedy, so that it says what is likeliest. The look at once asks for the
    log-probabilities of its tokens, where the engine gives them.
    """
    what: Computing = "computing" if shows_computation(question) else "other"
    kinds = [*LOOKS[what]]
    while len(kinds) < n:
        kinds += THEN[what]
    return [
        _turn(run, question, kind, what, first=kind not in kinds[:at]) for at, kind in enumerate(kinds[:n])
    ]


def _turn(run: Run, question: Question, kind: Kind, what: Computing, *, first: bool) -> Turn:
    sampling: SamplingOptions = {"max_tokens": LENGTHS[kind][what]}
    if first:
        sampling["temperature"] = 0.0
    if kind == AT_ONCE and run.capabilities.logprobs:
        sampling["top_logprobs"] = ALTERNATIVES
    task = TASKS[kind].format(form=FORMS["other" if kind == PROGRAM else form_of(question)])
    if kind == PROGRAM and _DATES.search(question.text):
        task += DAYS
    reading = None
    if kind == PROGRAM:
        reading = reading_program(question)
    elif kind == "steps" and what == "computing":
        reading = checking
    return Turn(set_task(question, task), kind, sampling, reading)


# -- what branches claim --------------------------------------------------------------------------


def reading_program(question: Question) -> Tool:
    """A tool that computes the program in a text, and says its value in the form that is asked for."""
    form = form_of(question)

    @tool(name="program", timeout=20.0)
    def program(text: str, claim: str) -> dict[str, Any]:
        """Compute the program that a branch wrote."""
        code = extract_code(text)
        try:
            computed = compute(translated(text.strip("` \n") if code is None else code.text))
        except ProgramError as error:
            return {"nothing": str(error)}
        if not computed.operations:
            return {"nothing": "the program computes nothing"}
        value = written(computed.value)
        if isinstance(computed.value, str):
            value = _named(value)
        if form == "yes or no" and not isinstance(computed.value, bool):
            return {"nothing": f"yes or no is asked for, and the program comes to {value}"}
        if form == "choice":
            return _chosen(value, question.choices)
        return {"claim": value} if value else {"nothing": "the program comes to an empty text"}

    return program


def _named(text: str) -> str:
    """What a text of a program claims: without what it says of the one that it names."""
    if compared := _COMPARED.fullmatch(text):
        return compared["what"]
    said = extract_claim(text)
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
    wrong = wrong_equation(text) if claim else ""
    return {"claim": claim} if claim and not wrong else {"nothing": wrong}
