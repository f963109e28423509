"""What a planner may give as an answer, checked where it gives it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import PlannerError, TooLarge
from orchestrator.runtime.plain import cut, text
from orchestrator.runtime.values import Answer, Cluster, Dissent, Vote

_ROUNDING = 1e-9
"""By so much may a number that is computed lie outside of its range."""

LONGEST_REASONING = 16_000
LONGEST_BASIS = 400
LONGEST_DISSENT = 1_000
"""Characters that are kept of what explains an answer: of a claim or a text of dissent, each."""

MOST_VOTES = 1024
"""Branches of which the answer of a run keeps what they came to."""

MOST_DISSENT = 8
"""Other answers that are kept, the first ones."""


def answer_of(value: object, planner: str, most: int | None) -> Answer:
    """The answer that a planner returned, as well-formed text and numbers.

    ``most`` bounds the characters of all its texts. This looks into objects of the planner, so it is planner
    code.

    Raises:
        PlannerError: it is not an answer, or something in it is of the wrong type; names both.
        TooLarge: it has more than ``most`` characters.
    """
    if not isinstance(value, Answer):
        raise PlannerError(f"the planner returned {type(value).__name__}; it must return an Answer")
    who = f"planner {planner!r} returned an Answer whose"
    if not isinstance(value.clusters, tuple | list):
        raise PlannerError(f"{who} clusters are {_a(value.clusters)}; they must be a tuple of Clusters")
    if not isinstance(value.dissent, tuple | list):
        raise PlannerError(f"{who} dissent is {_a(value.dissent)}; it must be a tuple of Dissents")
    if not isinstance(value.kinds, tuple | list):
        raise PlannerError(f"{who} kinds are {_a(value.kinds)}; they must be a tuple of texts")
    if not isinstance(value.votes, tuple | list):
        raise PlannerError(f"{who} votes are {_a(value.votes)}; they must be a tuple of Votes")
    answer = Answer(
        _text(value.text, f"{who} text"),
        None if value.claim is None else _text(value.claim, f"{who} claim", "a str or None"),
        _number(value.confidence, f"{who} confidence", "a number from 0 to 1, or None", highest=1.0),
        _number(value.entropy, f"{who} entropy", "a finite number that is not negative, or None"),
        tuple(_cluster(each, f"{who} clusters[{index}]") for index, each in enumerate(value.clusters)),
        None if value.undecided is None else _text(value.undecided, f"{who} undecided", "a str or None"),
        _explaining(value.reasoning, f"{who} reasoning", LONGEST_REASONING),
        tuple(_dissent(each, f"{who} dissent[{at}]") for at, each in enumerate(value.dissent[:MOST_DISSENT])),
        _explaining(value.basis, f"{who} basis", LONGEST_BASIS),
        value.doubtful is True,
        kinds=tuple(_text(kind, f"{who} kinds") for kind in value.kinds),
        shown=_forms(value.shown, f"{who} shown"),
        method=_explaining(value.method, f"{who} method", LONGEST_BASIS),
        votes=tuple(_vote(each, f"{who} votes[{at}]") for at, each in enumerate(value.votes[:MOST_VOTES])),
    )
    claims = [each.claim for each in answer.clusters]
    size = sum(map(len, (answer.text, answer.claim or "", answer.undecided or "", *claims)))
    if most is not None and size + len(answer.clusters) > most:
        raise TooLarge(
            f"{who} texts have {size:,} characters in all; there is room for {most:,} "
            "(ANABRANCH_MAX_ANSWER_CHARS)"
        )
    return answer


def _cluster(value: object, what: str) -> Cluster:
    if not isinstance(value, Cluster):
        raise PlannerError(f"{what} is {_a(value)}; it must be a Cluster")
    return Cluster(
        _text(value.claim, f"{what}.claim"),
        _count(value.count, f"{what}.count"),
        _number(value.weight, f"{what}.weight", "a number that is not negative, or None"),
    )


def _vote(value: object, what: str) -> Vote:
    if not isinstance(value, Vote):
        raise PlannerError(f"{what} is {_a(value)}; it must be a Vote")
    return Vote(
        _count(value.branch, f"{what}.branch"),
        _text(value.kind, f"{what}.kind"),
        _explaining(value.claim, f"{what}.claim", LONGEST_DISSENT),
        cut(_text(value.text, f"{what}.text"), LONGEST_DISSENT),
    )


def _dissent(value: object, what: str) -> Dissent:
    if not isinstance(value, Dissent):
        raise PlannerError(f"{what} is {_a(value)}; it must be a Dissent")
    claim, said = _text(value.claim, f"{what}.claim"), _text(value.text, f"{what}.text")
    return Dissent(
        cut(claim, LONGEST_DISSENT), _count(value.count, f"{what}.count"), cut(said, LONGEST_DISSENT)
    )


def _forms(value: object, what: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise PlannerError(f"{what} is {_a(value)}; it must be a mapping of claims to texts")
    pairs = [(_text(claim, f"{what} has a claim that"), told) for claim, told in value.items()]
    return {claim: cut(_text(told, f"{what} for a claim"), LONGEST_DISSENT) for claim, told in pairs}


def _count(count: Any, what: str) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise PlannerError(f"{what} is {_a(count)}; it must be an int")
    if not 0 <= count < 1 << 53:
        raise PlannerError(f"{what} is {'negative' if count < 0 else 'too large'}")
    return int(count)


def _explaining(value: Any, what: str, most: int) -> str | None:
    return None if value is None else cut(_text(value, what, "a str or None"), most)


def _text(value: Any, what: str, right: str = "a str") -> str:
    if not isinstance(value, str):
        raise PlannerError(f"{what} is {_a(value)}; it must be {right}")
    return text(str.__str__(value))


def _number(value: Any, what: str, right: str, highest: float = math.inf) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise PlannerError(f"{what} is {_a(value)}; it must be {right}")
    largest = 1 << 53 if isinstance(value, int) else sys.float_info.max
    if not -_ROUNDING <= value <= min(highest + _ROUNDING, largest):
        told = f"{value:g}" if isinstance(value, float) else "an int out of range"
        raise PlannerError(f"{what} is {told}; it must be {right}")
    return float.__pos__(value) if isinstance(value, float) else int.__add__(value, 0)


def _a(value: object) -> str:
    """The type of a value with its article."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in ("a", "e", "i", "o", "u") else f"a {name}"
