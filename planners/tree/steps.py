"""The steps of a solution: how models are asked to propose and value them, and what they say, read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from orchestrator.runtime.messages import Message
from orchestrator.runtime.values import Question
from planners.lists import read_outline
from planners.questions import set_task, slot
from planners.vote import solving

PROPOSE = (
    "The problem is solved in small steps, each in one line. Propose different ways to go on from the "
    "steps so far: each is one next step, and says what is done and what it comes to. Only a step that "
    "reaches the end closes with {answer} alone in \\boxed{{}}. List exactly {number}, a line each, and "
    "write nothing else.\n"
)
VALUE = (
    "The problem is solved in small steps. Judge whether the steps so far are right, and whether they can "
    "still lead to what is asked for. Look at what is left to do, in one or two short lines. Then end with "
    "one word in a line of its own: sure if they certainly can, likely if they may, impossible if they "
    "cannot.\n"
)
CONCLUDE = "\nThe first steps are done, and stand below. Go on from there to the answer.\n"
NO_STEPS = "There are no steps yet.\n"

VALUES: Final = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}
"""What a verdict is worth, as in the authors' code; those of all samples are added."""

VALUE_TOKENS: Final = 96
STEP_TOKENS: Final = 64
"""Tokens of a verdict, and of each step that is proposed."""

LONGEST_STEP: Final = 400
"""Characters of a step that are kept."""

_VERDICT = re.compile(rf"\b({'|'.join(VALUES)})\b", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot|\bnever|n't)\s+(?:\w+\s+)?\Z", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class State:
    """Steps from the beginning of a solution, and what they are worth so far.

    ``text`` are the steps and what was concluded from them; ``claim`` is the answer that it gives, and
    ``verified`` a verifier's verdict on that. ``rank`` says where the last step stands among those proposed.
    """

    steps: tuple[str, ...] = ()
    rank: tuple[int, int] = (0, 0)
    text: str = ""
    claim: str | None = None
    verified: bool | None = None
    value: float = 0.0


def steps_in(text: str, most: int, *, cut_off: bool = False) -> list[str]:
    """The steps that a model proposes: those of its list, or else all that it says as one step.

    The last one of a text that was cut off is not whole; it counts only if there is no other.
    """
    listed = list(read_outline(text).points.values()) or [text]
    found = list(dict.fromkeys(filter(None, (" ".join(each.split())[:LONGEST_STEP] for each in listed))))
    return (found[:-1] if cut_off and len(found) > 1 else found)[:most]


def verdict_in(text: str) -> str | None:
    """The last verdict in a text; None if there is none, or it is denied, as in "not sure"."""
    found = list(_VERDICT.finditer(text))
    if not found or _DENIED.search(text[: found[-1].start()]):
        return None
    return found[-1][1].lower()


def proposing(question: Question, state: State, most: int) -> list[Message]:
    """The prompt for so many next steps."""
    answer = "the letter of the right choice" if question.choices else "the final answer"
    told = PROPOSE.format(answer=answer, number=f"{most} step{'s' * (most > 1)}")
    return set_task(question, told, _so_far(state))


def valuing(question: Question, state: State) -> list[Message]:
    """The prompt for a verdict on the steps so far."""
    return set_task(question, VALUE, _so_far(state))


def concluding(question: Question, state: State) -> list[Message]:
    """The prompt for the rest of a solution, with its answer."""
    return solving(question, CONCLUDE, _so_far(state)) if state.steps else solving(question)


def _so_far(state: State) -> str:
    return slot("steps", "\n".join(state.steps)) if state.steps else NO_STEPS
