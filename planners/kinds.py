"""The kinds of branches that vote on a question: it is answered plainly, at once, by a program, or in steps.

Which of them a question gets, in which order, and how long each may be, stands in tables.
"""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from calendar import day_name
from collections.abc import Mapping
from typing import Final, Literal

from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.values import Question
from orchestrator.voting.ballot import Turn
from planners.checking import reading_program, reading_words
from planners.direct import INSTRUCTIONS
from planners.questions import set_task
from planners.shapes import NAMED_YEAR, Form, Shows, form_of, shows
from workers.tools.tool import Tool

Kind = Literal["plain", "at once", "program", "steps"]

PLAIN: Final = "plain"
PROGRAM: Final = "program"

LOOKS: Mapping[Shows, tuple[Kind, ...]] = {
    "letters": (PROGRAM,),
    "computation": (PROGRAM, PLAIN),
    "nothing": (PLAIN,),
}
"""What is asked first."""

THEN: Mapping[Shows, tuple[Kind, ...]] = {
    "letters": (PROGRAM, "steps"),
    "computation": ("steps",),
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
    "at once": {"nothing": 48},
    PROGRAM: {"letters": 224, "computation": 224},
    "steps": {"letters": 192, "computation": 320, "nothing": 192},
}
"""Tokens that a branch may have at first; after one of its kind was cut off, the next may have more."""

ALTERNATIVES = 10
"""Of each token of a look: what else may have been said is known with its probability."""

DAYS = " A day is date(year, month, day), and the difference of two is a number of days."
"""What a program is told besides if the question speaks of dates."""

WEEKDAYS = " weekday(name, days) is the name of the weekday so many days after that of a name, or before it."
"""What it is told if the question speaks of weekdays, and no year is named."""

TIMES = " Count a time of the day in minutes from midnight; clock(minutes) writes it."
"""What it is told if the question speaks of times of the day."""

FORMS: Mapping[Form, str] = {
    "choice": "the letter of the right choice",
    "yes or no": "yes or no",
    "several": "the answers to all parts, in their order, with commas in between",
    "other": "the answer",
}
"""What is asked for, by the form of the answer."""

TASKS: Mapping[Kind, str] = {
    PLAIN: INSTRUCTIONS,
    "at once": (
        "Give {form} alone, in as few words as it needs and in the language of the question, "
        "without an explanation."
    ),
    PROGRAM: (
        "Write a short calculation of {form} in Python: give what is known telling names, compute with them, "
        "and call the last value answer. Write the code alone, without remarks."
    ),
    "steps": "Think step by step, in a few short lines. Then give {form} alone in \\boxed{{}}.",
}
"""What each kind asks for. None shows an answer, which small models would repeat."""

LETTERS = " Give the word or sentence in question as a text, and let the code look at its letters or words."
"""What a program is told besides if the question is about letters or words, which models do not see."""

ALL = " Give the answers to all parts, in their order."
"""What a plain branch is told besides if the question has several parts."""

LISTED = " The last value is a list of the answers to all parts, in their order."
"""What a program is told besides if the question has several parts."""

_DATES = re.compile(
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december|leap year"
    r"|date)\b|\b\d{4}-\d\d?-\d\d?\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    re.IGNORECASE,
)
_WEEKDAYS = re.compile(rf"\b(?:weekday|day of the week|{'|'.join(day_name)})\b", re.IGNORECASE)
_TIMES = re.compile(r"\b\d{1,2}:\d\d\b|\b\d{1,2} ?(?:[ap]\.?m\b|uhr\b|o['’]clock\b)", re.IGNORECASE)


def turns_of(run: Run, question: Question, n: int) -> list[Turn]:
    """How the first ``n`` branches are asked.

    The first of each kind is greedy, so that it says what is likeliest. A single look in words asks for the
    log-probabilities of its tokens, where the engine gives them; those of a program say nothing of its value.
    """
    if n == 1:
        return [Turn(set_task(question, TASKS[PLAIN]), PLAIN, {"temperature": 0.0})]
    what, form = shows(question), form_of(question)
    kinds = [*LOOKS[what], *THEN[what]]
    while len(kinds) < n:
        kinds += AGAIN[what]
    return [
        _turn(run, question, kind, what, form, first=kind not in kinds[:at])
        for at, kind in enumerate(kinds[:n])
    ]


def _turn(run: Run, question: Question, kind: Kind, what: Shows, form: Form, *, first: bool) -> Turn:
    sampling: SamplingOptions = {"max_tokens": LENGTHS[kind][what]}
    if first:
        sampling["temperature"] = 0.0
    if kind == PLAIN and LOOKS[what] == (PLAIN,) and run.capabilities.logprobs:
        sampling["top_logprobs"] = ALTERNATIVES
    if kind == PROGRAM:
        task = _programming(question, what, form)
        return Turn(set_task(question, task), kind, sampling, reading_program(question))
    task = TASKS[kind].format(form=FORMS[form])
    reading: Tool | None = None
    if form == "several" and kind == PLAIN:
        task += ALL
    if form == "several" or what == "computation":
        reading = reading_words(question)
    return Turn(set_task(question, task), kind, sampling, reading, concludes=kind != "at once")


def _programming(question: Question, what: Shows, form: Form) -> str:
    task = TASKS[PROGRAM].format(form=FORMS["other"])
    if what == "letters":
        task += LETTERS
    if form == "several":
        task += LISTED
    if _TIMES.search(question.text):
        task += TIMES
    of_weekdays, has_year = _WEEKDAYS.search(question.text), NAMED_YEAR.search(question.text)
    if of_weekdays and not has_year:
        task += WEEKDAYS
    if _DATES.search(question.text) or (of_weekdays and has_year):
        task += DAYS
    return task
