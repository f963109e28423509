"""Values and errors as text for people: short, and text whatever they are."""

from __future__ import annotations

import re
from collections.abc import Callable

SHOWN = 80
"""How many characters of a wrong value an error shows."""

SAID = 2_000
"""How many characters of what foreign code said when it failed are passed on."""

_HALF = re.compile("[\ud800-\udfff]")


def show(value: object) -> str:
    """A value, cut to a length at which it can be recognised."""
    return cut(told(value, repr), SHOWN)


def said(error: BaseException) -> str:
    """What an error says, cut to a length at which it can be read."""
    return whole_characters(cut(told(error, str), SAID))


def raised(error: BaseException) -> str:
    """The type of an error and what it says."""
    return f"{cut(type(error).__name__, SHOWN)}: {said(error)}"


def told(value: object, tell: Callable[[object], str]) -> str:
    """A value as text, or its type if it has none: a number with too many digits, or too deep a nesting."""
    try:
        text = tell(value)
    except BaseException:  # what a value does when it is shown is not for its reader to bear
        return f"<{type(value).__name__}>"
    return text if type(text) is str else str.__str__(text)


def cut(text: str, length: int) -> str:
    """At most ``length`` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"


def whole_characters(text: str) -> str:
    """The text with U+FFFD in place of halves of surrogate pairs, which no encoding has."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)
