"""Values in errors: short, and as text whatever they are."""

from __future__ import annotations

from collections.abc import Callable

SHOWN = 80
"""Characters of a wrong value in an error."""


def show(value: object) -> str:
    """A value, cut to where it can be recognised."""
    return cut(told(value, repr), SHOWN)


def told(value: object, tell: Callable[[object], str]) -> str:
    """A value as text; its type where it has none: a number of too many digits, or too deep a nest."""
    try:
        return tell(value)
    except Exception:
        return f"<{type(value).__name__}>"


def cut(text: str, length: int) -> str:
    """At most ``length`` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"
