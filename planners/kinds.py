"""The kinds of branches that vote on a question: it is answered plainly, at once, by a program, or in steps.

Which of them a question gets, in which order, and how long each may be, stands in tables.
"""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final, Literal

from orchestrator.consensus.extraction import extract_claim, extract_code
from orchestrator.consensus.forms import compare, read_form
from orchestrator.consensus.yes_or_no import asks_yes_or_no
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import Turn, labels
from orchestrator.voting.standing import shows_steps
from planners import wording
from planners.direct import INSTRUCTIONS
from planners.equations import wrong_comparison, wrong_equation
from planners.listing import looked_at
from planners.programs.computing import ProgramError, compute
from planners.programs.values import written
from planners.questions import computation_in, set_task
from workers.tools.declaration import tool
from workers.tools.tool import Tool

Kind = Literal["plain", "at once", "program", "steps"]
Shows = Literal["letters", "computation", "nothing"]

PLAIN: Final = "plain"
PROGRAM: Final = "program"

LOOKS: Mapping[Shows, tuple[Kind, ...]] = {
    "letters": (PROGRAM,),
    "computation": (PROGRAM, "at once"),
    "nothing": (PLAIN,),
}
"""What is asked first."""

THEN: Mapping[Shows, tuple[Kind, ...]] = {
    "letters": (PROGRAM, "steps"),
    "computation": (PLAIN, "steps"),
    "nothing": ("at once", "steps"),
}
"""What is asked where the looks do not settle it."""

AGAIN: Mapping[Shows, tuple[Kind, ...]] = {
    "letters": (PROGRAM, "steps"),
    "computation": (PROGRAM, "steps", PLAIN),
    "nothing": (PLAIN, "steps"),
}
"""What is asked once more after that, in turns: samples of an answer at once would only repeat it."""

ENOUGH: Mapping[Shows, int] = {"letters": 1, "computation": 2, "nothing": 2}
"""How many kinds must agree. Models do not see letters: a program that counts them needs no other opinion."""

LENGTHS: Mapping[Kind, Mapping[Shows, int]] = {
    PLAIN: {"computation": 320, "nothing": 192},
    "at once": {"computation": 32, "nothing": 48},
    PROGRAM: {"letters": 224, "computation": 224},
    "steps": {"letters": 192, "computation": 320, "nothing": 192},
}
"""Tokens that a branch may have at first; after one of its kind was cut off, the next may have more."""

ALTERNATIVES = 10
"""Of each token of a look: what else may have been said is known with its probability."""

DAYS = " A day is date(year, month, day), and the difference of two is a number of days."
"""What a program is told besides if the question speaks of dates."""

TIMES = " Count a time of the day in minutes from midnight; clock(minutes) writes it."
"""What it is told if the question speaks of times of the day."""

FORMS: Mapping[str, str] = {
    "choice": "the letter of the right choice",
    "yes or no": "yes or no",
    "several": "the answers to all parts, in their order, with commas in between",
    "other": "the answer",
}
"""What is asked for, by the form of the answer."""

TASKS: Mapping[Kind, str] = {
    PLAIN: INSTRUCTIONS,
    "at once": "Give {form} alone, in as few words as it needs, without an explanation.",
    PROGRAM: (
        "Write a short calculation of {form} in Python: give what is known telling names, compute with them, "
        "and call the last value answer. Write the code alone, without remarks."
    ),
    "steps": "Think step by step, in a few short lines. Then give {form} alone in \\boxed{{}}.",
}
"""What each kind asks for. None shows an answer, which small models would repeat."""

LISTED = " The last value is a list of the answers to all parts, in their order."
"""What a program is told besides if the question has several parts."""

_FIGURES = (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
    "million half halves third thirds quarter quarters twice thrice double triple dozen percent"
)
_NUMBER = re.compile(rf"\d[\d.,]*|\b(?:{'|'.join(_FIGURES.split())})\b", re.IGNORECASE)
_COUNTED = re.compile(
    rf"(?:{wording.AMOUNTS})(?:\b.*\b(?:{wording.IN_WORDS})\b| (?:de |d')?[\"'“‘„«]?[a-z]\b)",
    re.IGNORECASE | re.DOTALL,
)
"""Letters, words and the like, which are counted: a single letter among them."""

_SPELT = re.compile(rf"\b(?:{wording.SPELLING})\b", re.IGNORECASE)
_HOW_MANY = re.compile(wording.AMOUNTS, re.IGNORECASE)
_TWO_QUESTIONS = re.compile(
    rf"\b(?:{wording.ASKING})\b[^?]*\?\s+(?:(?:and|und|et|y|e)\b|(?:{wording.ASKING})\b)[^?]*\?",
    re.IGNORECASE,
)
_AND_ASKING = re.compile(rf"[\w,;]\s+(?:and|und|et|y|e)\s+(?:{wording.ASKING})\b", re.IGNORECASE)
_ITS = re.compile(r"\b(?:its|his|her|their) \w+ and (?:its |his |her |their )?\w+\W*$", re.IGNORECASE)
_IN_ALL = re.compile(
    r"\b(?:(?:al)?together|in all|combined|difference between|zusammen|insgesamt|ensemble|en tout"
    r"|junt[oa]s|en total|insieme|in tutto)\b",
    re.IGNORECASE,
)
"""What makes one part of two, whatever they are."""

_OF_BOTH = re.compile(
    r"\b(?:who|which|sum|product|difference|ratio|average|mean|total|quotient|name|larger|older)\b",
    re.IGNORECASE,
)
"""What is asked of two things in one."""

_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_CONDITION = re.compile(r"\A\W*(?:if|when|wenn|falls|si|se|quand|quando|cuando)\b[^,]*,", re.IGNORECASE)
_DATES = re.compile(
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december|weekday"
    r"|day of the week|leap year|date)\b|\b\d{4}-\d\d?-\d\d?\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    re.IGNORECASE,
)
_TIMES = re.compile(r"\b\d{1,2}:\d\d\b|\b\d{1,2} ?(?:[ap]\.?m\b|uhr\b|o['’]clock\b)", re.IGNORECASE)
_COMPARED = re.compile(
    r"(?P<what>\S.{0,60}?)\s+(?:is|are|was|were|has|have|weighs?|costs?)\s+(?:\w+\s+){0,2}"
    r"(?:more|less|fewer|most|least|\w+er|\w+est)\b.*",
    re.DOTALL,
)
"""What a program says that names the larger of two: "4/7 is larger"."""

_YEAR = re.compile(r"\b\d{4}\b|\byears?\b", re.IGNORECASE)
_JOINED = re.compile(r"[,;\n]|\b(?:and|und|et|y|e)\b", re.IGNORECASE)
_GIVEN = re.compile(r"\d+(?:\.\d+)?(?:/\d+)?%?")
_LABEL = re.compile(r"[^\W\d_]\s*[:=]\s")
"""A name before a value, of which a text may list several."""


# -- what kind of question it is ------------------------------------------------------------------


def shows(question: Question) -> Shows:
    """Whether the question shows that something is to be computed: by its words, or by two numbers.

    "How many" alone may ask for a fact; with a number it asks to compute. One number is enough where yes or
    no is asked for: whether something is so many, or divides it. Letters and words are counted and spelt.
    """
    text = looked_at(question)
    if _COUNTED.search(text) or _SPELT.search(text):
        return "letters"
    sign = computation_in(question)
    asks_how_many = bool(_HOW_MANY.fullmatch(sign))
    if sign and not asks_how_many:
        return "computation"
    numbers = 1 if asks_how_many or form_of(question) == "yes or no" else 2
    return "computation" if len(_NUMBER.findall(text)) >= numbers else "nothing"


def form_of(question: Question) -> str:
    """The form of the answer: ``choice``, ``yes or no``, ``several`` or ``other``."""
    if question.choices:
        return "choice"
    text = looked_at(question)
    if _asks_several(text):
        return "several"
    return "yes or no" if asks_yes_or_no(text) else "other"


def _asks_several(text: str) -> bool:
    """Whether a text has two questions one after the other, or its last one has two parts."""
    if _TWO_QUESTIONS.search(text):
        return True
    sentences = [each for each in _SENTENCES.split(text.strip()) if each]
    asked = _CONDITION.sub(
        "", next((each for each in reversed(sentences) if "?" in each), (sentences or [""])[-1])
    )
    if _IN_ALL.search(asked):
        return False
    return bool(_AND_ASKING.search(asked) or (_ITS.search(asked) and not _OF_BOTH.search(asked)))


# -- the turns ------------------------------------------------------------------------------------


def turns_of(run: Run, question: Question, n: int) -> list[Turn]:
    """How the first ``n`` branches are asked.

    The first of each kind is greedy, so that it says what is likeliest. A single look asks for the
    log-probabilities of its tokens, where the engine gives them.
    """
    what = shows(question)
    if n == 1:
        return [Turn(set_task(question, TASKS[PLAIN]), PLAIN, {"temperature": 0.0})]
    kinds = [*LOOKS[what], *THEN[what]]
    while len(kinds) < n:
        kinds += AGAIN[what]
    return [
        _turn(run, question, kind, what, first=kind not in kinds[:at]) for at, kind in enumerate(kinds[:n])
    ]


def _turn(run: Run, question: Question, kind: Kind, what: Shows, *, first: bool) -> Turn:
    sampling: SamplingOptions = {"max_tokens": LENGTHS[kind][what]}
    if first:
        sampling["temperature"] = 0.0
    if LOOKS[what] == (kind,) and run.capabilities.logprobs:
        sampling["top_logprobs"] = ALTERNATIVES
    if kind == PROGRAM:
        task = _programming(question)
        return Turn(set_task(question, task), kind, sampling, reading_program(question))
    task = TASKS[kind].format(form=FORMS[form_of(question)])
    reading: Tool | None = None
    if form_of(question) == "several":
        reading = checking_all
    elif what == "computation":
        reading = checking_steps if kind == PLAIN else checking
    return Turn(set_task(question, task), kind, sampling, reading)


def _programming(question: Question) -> str:
    task = TASKS[PROGRAM].format(form=FORMS["other"])
    if form_of(question) == "several":
        task += LISTED
    if _TIMES.search(question.text):
        task += TIMES
    return task + DAYS if _DATES.search(question.text) else task


# -- what branches claim --------------------------------------------------------------------------


def reading_program(question: Question) -> Tool:
    """A tool that computes the program in a text, and says its value in the form that is asked for."""
    form = form_of(question)

    @tool(name="program", timeout=20.0)
    def program(text: str, claim: str) -> dict[str, Any]:
        """Compute the program that a branch wrote."""
        code = extract_code(text)
        if "<question>" in text:
            return {"nothing": "the program looks at the question as it is written"}
        try:
            computed = compute(text.strip("` \n") if code is None else code.text)
        except ProgramError as error:
            return {"nothing": str(error)}
        if not computed.operations:
            return {"nothing": "the program computes nothing"}
        value = written(computed.value)
        if isinstance(computed.value, str):
            value = _named(value)
        elif (
            isinstance(computed.value, date)
            and not isinstance(computed.value, datetime)
            and not _YEAR.search(question.text)
        ):
            value = (
                f"{computed.value.day} {month_name[computed.value.month]}"  # the year is the program's own
            )
        elif isinstance(computed.value, Fraction) and computed.value.denominator != 1:
            value = _as_given(computed.value, question) or value
        if form == "yes or no":
            if not isinstance(computed.value, bool):
                return {"nothing": f"yes or no is asked for, and the program comes to {value}"}
            return {"claim": value.capitalize()}
        if form == "choice":
            return _chosen(value, question.choices)
        return {"claim": value} if value else {"nothing": "the program comes to an empty text"}

    return program


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
    return {"claim": claim} if claim and not wrong else {"nothing": wrong}
