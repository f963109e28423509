"""Handing on: which method answers a question where another one gives up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from orchestrator.planning.candidates import cannot_afford
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from planners.direct import direct
from planners.signs import Kind, shown
from planners.vote import vote

Ask: TypeAlias = Callable[[Run, Question], Coroutine[Any, Any, Answer]]
Instead: TypeAlias = tuple[str, Ask]
"""A method that answers in place of another one, with the name that stands in the trace."""

PLAIN: Final[Instead] = ("direct", direct)
VOTE: Final[Instead] = ("vote", vote)
FEWEST: Final = 3
"""The calls that a vote takes at least."""


def instead(run: Run, question: Question, unclear: Instead) -> Instead:
    """What suits the question: a vote where one short answer is right, a plain call for a text.

    A vote that cannot be afforded is a plain call, too. ``unclear`` is what answers where the words of the
    question do not show what kind of answer it asks for.
    """
    sign = shown(question)
    if sign is None:
        return unclear
    if sign.kind is Kind.SHORT and not cannot_afford(run.budget, question, FEWEST):
        return VOTE
    return PLAIN
