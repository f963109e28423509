"""What a sentence that restates a question for yes or no says of it: yes, or with one denial, no."""

# ruff: noqa: RUF001 -- the look-alike character is what people and models write

from __future__ import annotations

import re
from typing import Literal

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.yes_or_no import asked_for_yes_or_no, begins_like_one

LONGEST = 300
"""Characters of a question or a sentence that is compared."""

LEAST = 2
"""Words that must be the same: of fewer, little is said."""

_WORD = lazily(r"[^\W_]+(?:[.,]\d+)*")
_LEAD = lazily(
    r"^\W*(?:so|thus|hence|therefore|in (?:conclusion|summary|short)|as a result)\b[,:]?\s*", re.IGNORECASE
)
_MODALS = frozenset(("can", "could", "will", "would", "should", "must", "may", "might"))
_SIGN = lazily(r"[-+*/^%<>=≠≤≥×÷−–]|!=")
_SHORT = (("’", "'"), ("cannot", "can not"), ("can't", "can not"), ("won't", "will not"), ("n't", " not"))
"""How denials are written in one word."""

_DENIALS = frozenset(("not", "never"))
_SUPPORT = "a an the do does did is are am was were be been has have had there it of so also indeed"
"""Words that a question has and what states it may not have, or elsewhere."""

_ASIDE = _DENIALS | _MODALS | {*_SUPPORT.split()}


def restated(question: str, sentence: str) -> Literal["Yes", "No"] | None:
    """Yes if the sentence states what the question asks, no if it denies it; None if it says something else.

    The words must be the same, in their order, but for verbs that only help, articles and endings: "Does
    water boil at 100 degrees?" is restated by "Water boils at 100 degrees". Signs such as < must be the same,
    too. A question that denies something itself is left alone, as it is not clear what yes says of it.
    """
    asked, stated = asked_for_yes_or_no(question), _LEAD.sub("", sentence.strip())
    if not asked or max(len(asked), len(stated)) > LONGEST or stated.endswith("?") or begins_like_one(stated):
        return None
    wanted, denied = _read(asked)
    said, denies = _read(stated.rstrip(".!*"))
    if denied or denies > 1 or len(wanted[0]) < LEAST or wanted != said:
        return None
    return "No" if denies else "Yes"


def _read(text: str) -> tuple[tuple[list[str], list[str], list[str]], int]:
    """What must be the same, and how many words deny it.

    That are the words that say something, without their endings; the verbs that say how sure or possible it
    is, which may only move; and the signs.
    """
    signs, text = _SIGN.findall(text), text.casefold()
    for short, long in _SHORT:
        text = text.replace(short, long)
    words = _WORD.findall(text)
    kept = [_bare(each) for each in words if each not in _ASIDE]
    return (kept, [each for each in words if each in _MODALS], signs), sum(map(_DENIALS.__contains__, words))


def _bare(word: str) -> str:
    """A word without the ending that a verb or a noun may have there, and not here."""
    if word[-1:] == "s" and len(word) > 3 and word[-2:] not in ("ss", "us", "is"):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
        return word.removesuffix("e") if word.endswith(("she", "che", "xe", "sse", "oe")) else word
    return word
