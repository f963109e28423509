"""What planner code gives to the verbs, checked where it gives it: sampling, names, and room on the stack."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from orchestrator.errors import PlannerError
from orchestrator.runtime.plain import TOO_DEEP, plain, text
from workers.functions import Function
from workers.tools.tool import Tool

LARGEST = 1 << 63

STACK = 300
"""Calls in each other that a verb may need to come to its end."""


class SamplingOptions(TypedDict, total=False):
    """The fields of its :class:`~workers.calls.Sampling` that a call may set."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...]
    seed: int | None
    top_logprobs: int | None
    code: float | None


_INTEGERS = frozenset({"max_tokens", "seed", "top_logprobs"})
_NUMBERS = frozenset({"temperature", "top_p", "code"})
_OPTIONAL = frozenset({"seed", "top_logprobs", "code"})


def sampling_of(given: SamplingOptions) -> SamplingOptions:
    """Sampling of the right types; what the values may be is for the engine to say.

    Raises:
        PlannerError: names the option, the type of its value and what would be right.
    """
    if not given:
        return given
    for option, value in given.items():
        if option in _INTEGERS:
            right, fits = "an int", isinstance(value, int) and -LARGEST <= value < LARGEST
        elif option in _NUMBERS:
            right, fits = "a finite number", isinstance(value, int | float) and abs(value) < LARGEST
        elif option == "stop":
            right = "a tuple of texts"
            fits = isinstance(value, tuple | list) and all(isinstance(each, str) for each in value)
        else:
            continue  # Python refuses it
        if not fits and not (value is None and option in _OPTIONAL):
            raise PlannerError(
                f"{option} of a call must be {right}, not a value of type {type(value).__name__}"
            )
    return {**given, "stop": tuple(map(text, given["stop"]))} if "stop" in given else given


def guidance_of(
    schema: Mapping[str, Any] | None, grammar: str | None
) -> tuple[Mapping[str, Any] | None, str | None]:
    """What a completion must be, as JSON schema or as grammar; at most one of them is given.

    Raises:
        PlannerError: both are given, or the grammar is no text.
    """
    if schema is not None and grammar is not None:
        raise PlannerError("a completion follows a schema or a grammar: give one of them, not both")
    return (
        None if schema is None else plain(schema),
        None if grammar is None else name_of(grammar, "the grammar of a call"),
    )


def functions_of(tools: Sequence[Tool]) -> tuple[Function, ...]:
    """What a model is told of tools that it may call.

    Raises:
        PlannerError: one of them is no tool.
    """
    for each in tools:
        if not isinstance(each, Tool):
            raise PlannerError(f"the functions of a call are tools; it cannot offer {type(each).__name__}")
    return tuple(Function(each.name, each.description, plain(each.schema)) for each in tools)


def check_stack() -> None:
    """Refuse a verb where it might not come to its end.

    Raises:
        RecursionError: the code that calls it has too many calls in each other.
    """
    try:
        sys._getframe(sys.getrecursionlimit() - STACK)
    except ValueError:  # there are not so many
        return
    raise RecursionError(TOO_DEEP)


def name_of(value: object, what: str) -> str:
    """A name as well-formed text.

    Raises:
        PlannerError: it is no text.
    """
    if not isinstance(value, str):
        raise PlannerError(f"{what} must be a str, not {type(value).__name__}")
    return text(str.__str__(value))
