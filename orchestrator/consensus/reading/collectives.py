"""Words for a number of things, in figures: a couple of days, a fortnight, a baker's dozen, twice."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.sentences import sentence_ends

_NO_COUNT = lazily(r"[\d\"“«]|\bA\s(?:Couple|Pair|Fortnight)\b")
"""Figures, quotations, and titles."""

_VERBS = "takes took lasts lasted is was needs needed for in about exactly only"
_AFTER_A_VERB = "|".join(rf"(?<={verb}\s)" for verb in _VERBS.split())
_FIGURES = tuple(
    (re.compile(pattern, re.IGNORECASE), figures)
    for pattern, figures in (
        (r"\b(?:an?\s+)?baker['’]s\s+dozen(?:\s+of)?\b", "13"),
        (r"\b(?:a|one)\s+(?:couple|pair)\s+of\b", "2"),
        (r"\ba\s+fortnight\b", "14 days"),
        (r"\btwice(?=[.\s]*$)", "2 times"),
        (r"\bthrice(?=[.\s]*$)", "3 times"),
        (
            rf"(?:{_AFTER_A_VERB})an?\s+(second|minute|hour|day|week|month|year|decade|century"
            rf"|millennium)(?=[.\s]*$)",
            r"1 \1",
        ),
    )
)


def counted_out(text: str) -> str:
    """One sentence without figures with such words in figures; any other text as it is.

    In a longer text such words are mostly said in passing: "there are a couple of ways to see this".
    """
    if _NO_COUNT.search(text) or any(end < len(text.rstrip()) for _, end in sentence_ends(text)):
        return text
    for pattern, figures in _FIGURES:
        text = pattern.sub(figures, text)
    return text
