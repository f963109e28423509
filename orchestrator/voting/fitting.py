"""How much text fits into a prompt, as completions show how long it is and how much a token holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workers.calls import Completion

SPARE: Final = 128
"""Tokens that are left for an instruction, and for what stands around texts."""

UNKNOWN: Final = 2.0
"""Characters of a token where no completion shows it."""

FEWEST: Final = 1.0
MOST: Final = 4.0
"""Between these many characters a token is believed to have."""


def characters_a_token(shown: Sequence[Completion]) -> float:
    """How many characters a token has in these completions."""
    tokens = sum(each.usage.completion_tokens for each in shown)
    written = sum(len(each.text) + len(each.reasoning) for each in shown)
    return min(MOST, max(FEWEST, written / tokens)) if tokens and written else UNKNOWN


def characters_left(context: int | None, shown: Sequence[Completion], *, reply: int, most: int) -> int:
    """Characters that fit behind the prompt of these completions, before a reply of so many tokens.

    ``context`` is what the engine takes, in tokens; where it is not known, ``most`` characters are said to
    fit, and never more. The length of the prompt is what the engine has counted.
    """
    if context is None:
        return most
    used = max((each.usage.prompt_tokens for each in shown), default=0)
    return max(0, min(most, int((context - used - reply - SPARE) * characters_a_token(shown))))


def shortened(text: str, most: int) -> str:
    """At most so many characters of a text: its end, since that is where a solution comes to its answer."""
    return text if len(text) <= most else f"…{text[len(text) - most + 1 :]}" if most > 0 else ""
