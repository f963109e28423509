"""Names and numbers of the examples that models are shown, by which an answer that gives one back is known.

They stand in no real question. Whatever has one that its question does not have says nothing.
"""

from __future__ import annotations

import re
from typing import Final

from orchestrator.runtime.values import Question

NAMES: Final = ("Ollo", "Vurm", "Quembly")
NUMBERS: Final = ("7319", "6173", "5083")

_INVENTED: Final = re.compile(rf"\b(?:(?P<name>{'|'.join(NAMES)})s?|{'|'.join(NUMBERS)})\b")
_GROUPING: Final = re.compile(r"(?<=\d),(?=\d{3})")


def given_back(question: Question, text: str) -> str:
    """The first name or number of the examples that stands in a text but not in its question; or empty."""
    turns = (turn.content for turn in question.history)
    asked = _found(" ".join([question.text, question.context, *question.choices, *turns]))
    return next((each for each in _found(text) if each not in asked), "")


def _found(text: str) -> dict[str, None]:
    """Names and numbers of examples in a text, in their order."""
    found = _INVENTED.finditer(_GROUPING.sub("", text))
    return dict.fromkeys(match["name"] or match.group() for match in found)
