"""Which figure of an answer is new: "100 machines take 5 minutes to make 100 widgets" says 5 minutes.

A sentence that says several figures depends on all of them, so it is kept whole where nobody knows what was
asked. Here the question is known: what its asking clause gives is no answer to it.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.endings import FIGURE, MARKDOWN
from orchestrator.consensus.reading.phrases import phrases
from orchestrator.consensus.reading.sentences import masked, sentences

LONGEST = 300
"""Characters beyond which a sentence is not looked at."""

_TURNED = lazily(
    r"[=<>≤≥≠\\]|\$(?!\d[\d.,]*(?:\s|$))|\b(?:not|no|never|nor|neither|but|instead|rather|than|or|if|unless"
    r"|except|only|first|then|more|less|by|with|fewer|before|after|from|(?:up|down) (?:by|to))\b|n['’]t\b",
    re.IGNORECASE,
)
"""What may turn the meaning of a figure, or say that there are several answers."""

_OFFERS = lazily(r"\b(?:which|should|or)\b", re.IGNORECASE)
"""What asks for one of the figures that are given."""

_COMPARES = lazily(r"(?P<number>[$€£]?\d[\d.,]*)\s+(?P<than>more|fewer|less)\b\s*(?P<rest>.*)", re.IGNORECASE)
_PARTS = lazily(r"(?<=[^\W\d_])\s+(?=\d)")
"""Where two figures follow each other, as in "4 pumps 6 hours"."""


def new_figure(asked: str, body: str) -> str | None:
    """The one figure of the last sentence of ``body`` that the clause which asks does not have.

    None if there is none, or several that do not follow each other, or the sentence says more than a figure.
    """
    if not FIGURE.search(asked) or _OFFERS.search(asked):
        return None
    text = masked(MARKDOWN.sub("", body[-2 * LONGEST :]))
    spans = [span for span in sentences(text) if text[slice(*span)].strip()]
    sentence = text[slice(*spans[-1])].strip() if spans else ""
    if not sentence or len(sentence) > LONGEST or "\n" in sentence or _TURNED.search(sentence):
        return None
    said = [part for each in phrases(sentence) for part in _PARTS.split(each.text.strip(" .,;:!"))]
    flags = [_stands_in(each, asked) for each in said]
    begin = flags.index(False) if False in flags else 0
    end = len(flags) - flags[::-1].index(False) if False in flags else 0
    new = said[begin:end]
    if (
        not 0 < len(new) < len(said)
        or any(flags[begin:end])
        or (len(new) > 1 and " ".join(new) not in sentence)
    ):
        return None
    number, *words = " ".join(new).split()
    if len(words) > 1 and len(new) == 1 and _has(asked, words[1]):
        words = words[:1]  # what follows is what they do: "6 workers finish"
    return " ".join((number, *words))


def as_asked(asked: str, claim: str) -> str:
    """A claim without a comparison that is asked for: asked how many more eggs, "5 more eggs" is 5 eggs."""
    found = _COMPARES.fullmatch(claim)
    if found is None or not re.search(rf"\bhow (?:many|much) {found['than']}\b", asked, re.IGNORECASE):
        return claim
    return f"{found['number']} {found['rest']}".strip()


def _has(asked: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}", asked, re.IGNORECASE) is not None


def _stands_in(figure: str, asked: str) -> bool:
    """Whether the clause has the number, and its words: "4 pumps" stands in "4 of these pumps"."""
    number, *words = figure.split()
    found = re.search(rf"(?<![\w.,]){re.escape(number)}(?![\w.,]*\d)", asked)
    return found is not None and all(_has(asked, each) for each in words)
