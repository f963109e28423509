"""Computing steps of a plan (a stand-in until the module is there)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.runtime.messages import text_of
from workers.errors import ToolError
from workers.tools.calculator import calculator
from workers.tools.declaration import tool
from workers.tools.tool import Tool

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@tool
def calculate(expression: str) -> str:
    """Evaluate an arithmetic expression."""
    return str(calculator.function(expression))


COMPUTING: tuple[Tool, ...] = (calculate,)


def reading_for(computing: str) -> Callable[[object], object]:
    """How the step of this name is given a result."""
    return as_number


def with_names(arguments: Mapping[str, Any], call_of: Callable[[str], str | None]) -> dict[str, Any]:
    """The arguments of a step that compares, with names."""
    return dict(arguments)


def as_number(value: object) -> str:
    """The number that a result states.

    Raises:
        ToolError: it states none, or several.
    """
    found = _NUMBER.findall(text_of(value))
    if len(found) != 1:
        raise ToolError(f"no single number in {text_of(value)[:40]!r}")
    return str(found[0]).replace(",", "")
