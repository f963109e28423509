"""Values in errors: short, and as text whatever they are."""

from __future__ import annotations

from collections.abc import Callable

SHOWN = 80
"""How many characters of a wrong value an error shows."""


def show(value: object) -> str:
    """A value, cut to a length at which it can be recognised."""
    return cut(told(value, repr), SHOWN)


def told(value: object, tell: Callable[[object], str]) -> str:
    """A value as text, or its type if it has none: a number with too many digits, or too deep a nesting."""
    try:
        return tell(value)
    except Exception:
        return f"<{type(value).__name__}>"


def cut(text: str, length: int) -> str:
    """At most ``length`` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"
