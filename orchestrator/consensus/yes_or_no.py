"""Whether a question asks for yes or no, in the larger languages of the West."""

# ruff: noqa: RUF001 -- questions are written in these characters

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily

VERBS = (
    r"is|are|am|was(?! (?:ist|sind|war|waren|kann|können|soll\w*|muss|macht|bedeutet|heißt"
    r"|koste\w*|ergib\w*|ergeben|wieg\w*|bleibt)\b)|were"
    r"|do|does|did"
    r"|has|have|had|can|could|will|would|should|must|may|might|isn't|aren't|wasn't|weren't|doesn't|don't"
    r"|didn't|hasn't|haven't|can't|couldn't|won't|wouldn't|shouldn't"
    r"|ist|sind|war|waren|hat|haben|kann|können|gibt es|darf|muss|wird|werden"
    r"|est-ce que?|est-ce qu['’]|est-il|est-elle|sont-ils|y a-t-il|a-t-(?:il|elle|on)|existe-t-il|peut-on|est"
    r"|¿?(?:es|son|está|están|hay|fue|fueron|tiene|tienen|puede|pueden|era|ha|han)"
    r"|è|sono|esistono|c'è|ci sono|può|possono|hanno|é|são|foi|tem|há|pode"
)
"""The verbs that such a question begins with."""

_BEGINS = lazily(
    r"[\W_]*(?:(?:and|so|but|then|now|und|aber|also|et|mais|alors|y|pero|e|ma|mas|if [^,]*,)\s+)?"
    rf"(?!(?:can|could|will|would) you\b)(?:{VERBS})(?!\w)\s*",
    re.IGNORECASE,
)
_OFFERS = lazily(
    r"\b(?:or\b(?! (?:not|no)\b)|oder\b(?! (?:nicht|nein)\b)|ou\b(?! (?:non|pas|não)\b)"
    r"|oppure\b|o\b(?! no\b))",
    re.IGNORECASE,
)
_ENDED = lazily(r"[.!](?=\s)|[?\n]")


def begins_like_one(sentence: str) -> bool:
    """Whether a sentence begins like a question for yes or no: with a verb. A polite request does not."""
    return _BEGINS.match(sentence) is not None


def asks_yes_or_no(question: str) -> bool:
    """Whether the last sentence of a text that ends with a question mark asks for yes or no.

    One that offers something to choose from does not: "Is a whale a fish or a mammal?"
    """
    return bool(asked_for_yes_or_no(question))


def asked_for_yes_or_no(question: str) -> str:
    """The sentence of a text that asks for yes or no, if its last one does; else empty."""
    told, mark, _ = question.replace("？", "?").rpartition("?")
    last = _ENDED.split(told)[-1] if mark else ""
    return last.strip() if begins_like_one(last) and not _OFFERS.search(last) else ""
