from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.workers.tools.samples import area, wait_for
from workers.tools.declaration import tool


def test_a_function_becomes_a_tool_with_a_schema() -> None:
    assert (area.name, area.side_effects, area.timeout) == ("area", False, 30.0)
    assert area.description == "Compute an area.\n\nThe unit is appended."
    assert area.parameters == ("width", "height", "unit")
    assert area.schema == {
        "type": "object",
        "properties": {
            "width": {"type": "number"},
            "height": {"type": "number", "default": 1.0},
            "unit": {"type": "string", "enum": ["m", "cm"], "default": "m"},
        },
        "required": ["width"],
        "additionalProperties": False,
    }


def test_names_descriptions_and_constraints_are_kept() -> None:
    assert (wait_for.name, wait_for.side_effects, wait_for.timeout) == ("wait", True, 0.1)
    assert wait_for.schema["properties"] == {
        "seconds": {"type": "number", "minimum": 0, "description": "how long"}
    }


def test_functions_that_cannot_be_tools_are_refused() -> None:
    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    def silent(x: int) -> None: ...

    def starred(*x: int) -> None:
        """Do."""

    def unnamed(x: int, /) -> None:
        """Do."""

    cases: list[tuple[Callable[..., object], str]] = [
        (untyped, "parameter x of the tool untyped needs a type"),
        (silent, "silent needs a docstring"),
        (starred, r"\*x"),
        (unnamed, "must be plain and named"),
    ]
    for function, message in cases:
        with pytest.raises(TypeError, match=message):
            tool(function)
    with pytest.raises(TypeError, match="seconds above 0"):
        tool(timeout=0)(wait_for.function)


def test_tool_that_takes_a_key_says_what_for() -> None:
    def pay(idempotency_key: str) -> None:
        """Pay."""

    def number(idempotency_key: int) -> None:
        """Pay."""

    with pytest.raises(TypeError, match=r"the tool pay takes an idempotency key: declare @tool\("):
        tool(pay)
    with pytest.raises(TypeError, match="idempotency_key of the tool number must have the type str"):
        tool(side_effects=True)(number)
