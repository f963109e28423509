"""What a sentence that restates a question for yes or no says of it: yes, or with one denial, no."""

# ruff: noqa: RUF001 -- the look-alike character is what people and models write

from __future__ import annotations

from typing import Literal

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.yes_or_no import asked_for_yes_or_no, begins_like_one

LONGEST = 300
"""Characters of a question or a sentence that is compared."""

LEAST = 2
"""Words that must be the same: of fewer, little is said."""

_WORD = lazily(r"[^\W_]+(?:[.,]\d+)*")
_NOT = lazily(r"(?<=\w)n['’]t\b")
_LEAD = lazily(r"^\W*(?:so|thus|hence|therefore|in (?:conclusion|summary|short)|as a result)\b[,:]?\s*", 2)
_MODALS = frozenset(("can", "could", "will", "would", "should", "must", "may", "might"))
_SIGN = lazily(r"[-+*/^%<>=≠≤≥×÷−–]|!=")
_DENIALS = frozenset(("not", "never", "cannot"))
_SUPPORT = frozenset(
    word
    for line in ("a an the do does did is are am was were be been has have had there it of so also indeed",)
    for word in line.split()
)
"""Words that a question has and what states it may not have, or elsewhere."""


def restated(question: str, sentence: str) -> Literal["Yes", "No"] | None:
    """Yes if the sentence states what the question asks, no if it denies it; None if it says something else.

    The words must be the same, in their order, but for verbs that only help, articles and endings: "Does
    water boil at 100 degrees?" is restated by "Water boils at 100 degrees". Signs such as < must be the same,
    too. A question that denies something itself is left alone, as it is not clear what yes says of it.
    """
    asked, stated = asked_for_yes_or_no(question), _LEAD.sub("", sentence.strip())
    if not asked or max(len(asked), len(stated)) > LONGEST or stated.endswith("?") or begins_like_one(stated):
        return None
    wanted, denied = _words(asked)
    said, denies = _words(stated)
    if denied or denies > 1 or len(wanted) < LEAST or wanted != said:
        return None
    if _SIGN.findall(asked) != _SIGN.findall(stated.rstrip(".!*")) or _modals(asked) != _modals(stated):
        return None
    return "No" if denies else "Yes"


def _modals(text: str) -> list[str]:
    """The verbs of a text that say how sure, or how possible, something is: they may only move."""
    return [word for word in _WORD.findall(text.casefold()) if word in _MODALS]


def _words(text: str) -> tuple[list[str], int]:
    """The words of a text that say something, without their endings, and how many others deny it."""
    words = [each.casefold() for each in _WORD.findall(_NOT.sub(" not", text.replace("cannot", "can not")))]
    kept = [_bare(each) for each in words if each not in _SUPPORT | _DENIALS | _MODALS]
    return kept, sum(each in _DENIALS for each in words)


def _bare(word: str) -> str:
    """A word without the ending that a verb or a noun may have there, and not here."""
    if word[-1:] == "s" and len(word) > 3 and word[-2:] not in ("ss", "us", "is"):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
        return word.removesuffix("e") if word.endswith(("she", "che", "xe", "sse", "oe")) else word
    return word
