"""What a sentence comes to: the phrase of one of its figures, or all of it where that is not clear."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.consensus.reading.phrases import Phrase, after, phrases
from orchestrator.consensus.reading.words import (
    AMOUNTS,
    ASIDES,
    COMPARATIVES,
    CONCLUDING,
    CONDITIONS,
    DECREASES,
    GOVERNORS,
    LEADING,
    NEGATIONS,
    OPENINGS,
    SPENDING,
    WEIGHTY,
    either,
)

LONGEST_SENTENCE = 160
"""Characters beyond which a sentence is no claim, so its last figure has to do."""

_GOVERNED = re.compile(
    rf"\b(?:{either(GOVERNORS)})\s+"
    r"(?:the\s+|all\s+|a\s+|an\s+|its\s+|each\s+|every\s+|first\s+|last\s+|[A-Za-z]\s*=\s*)*$",
    re.IGNORECASE,
)
_AMOUNT = re.compile(rf"\b(?:{either(AMOUNTS)})\s+(?:of|at|to|by|in)\s+$", re.IGNORECASE)
_LEADING = re.compile(rf"=>?\s*$|\b(?:{either(LEADING + SPENDING)})\b", re.IGNORECASE)
_DEFINED = re.compile(r"\s*(?:is|are|was|were)\s+the\s+(?:\w+\s+){0,4}of\b", re.IGNORECASE)
_CONDITION = re.compile(rf"\b(?:{either(CONDITIONS)})\b", re.IGNORECASE)
_CONTRAST = re.compile(rf"\b(?:{either(CONDITIONS)}|not|but)\b|n['’]t\b", re.IGNORECASE)
_EXPLAINED = re.compile(
    r",?\s+because\b|\s+due\s+to\b|,?\s+(?:rather\s+than|instead\s+of)\b|(?<![-+*/×=])\s+\((?!\d[\d\s.*/+x×-]*\))(?=[^=]*$)"
    r"|[,(–—-]\s*(?:since|as|where|which|for\s+example|e\.g\.|i\.e\.|given\s+that|not)\s"
    r"|\s+since\s+(?!\w*\s*$|[\d$]|many|much|long|of|the\s+\w+\s*$)",
    re.IGNORECASE,
)
_SUBORDINATE = re.compile(r"(?:since|because|as|given|if|when|after|once|while)\b", re.IGNORECASE)
_COMMA = re.compile(r",\s+(?!(?:and|or)\b)")
_CONCLUDED = re.compile(rf"(?:[,;:–—]\s*|\s)(?:{either(CONCLUDING)})\s", re.IGNORECASE)
_OPENING = re.compile(rf"^\W*(?:(?:{either(OPENINGS)})(?:\s+that)?[,:]?\s+)+", re.IGNORECASE)
_NEGATED = re.compile(
    rf"\b(?:{either(NEGATIONS)})\b|n['’]t\b|\b(?:{either(DECREASES)})\s+(?:by|to|from|of|is"
    rf"|was)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:]\s|\b(?:so|then|thus|hence|therefore|and)\s", re.IGNORECASE)
_ASIDE = re.compile(rf"(?:{either(ASIDES)})\b", re.IGNORECASE)
_WEIGHTY = re.compile(rf"\b(?:{either(WEIGHTY)})\b|n['’]t\b", re.IGNORECASE)
_COMPUTED = re.compile(r"\d[^=<>≤≥]{0,100}(?<![<>!])=\s*[$(]*\Z")
_DIRECTION = re.compile(rf"\s(?:{either(COMPARATIVES)})\b.*$", re.IGNORECASE)
_COMPARED = re.compile(
    rf"\s*((?:{either(COMPARATIVES)})\b(?:\s+\w+)??)?(?:\s*than\b[^\d,;]*)?[\s.]*", re.IGNORECASE
)
_SPENT = re.compile(rf"\b(?:{either(SPENDING)})\b", re.IGNORECASE)
_THERE = re.compile(
    r"\W*(?:in\s+total,?\s+)?(?:there\s+(?:are|is|were|was|will\s+be|exist|remain)"
    r"|(?:we|you|it|he|she|they)\s+(?:have|has|had))\s+(?:(?:exactly|precisely|a\s+total\s+of)\s+)?",
    re.IGNORECASE,
)


def conclusion(sentence: str) -> str | None:
    """What ``sentence`` comes to by its figures: a phrase, or the sentence; None if it has no figures.

    The last figure is meant, unless it only restricts an earlier one: then the sentence is, as both are part
    of its value, but for the shapes that tell which number was asked for: "there are N … below M".
    """
    sentence = _OPENING.sub("", sentence.strip())
    said = phrases(sentence)
    if not said:
        return None
    begin, end = _main_part(sentence, said)
    said = [phrase for phrase in said if begin <= phrase.begin < end]
    last = said[-1]
    if _COMPUTED.search(sentence, begin, last.begin):
        return _DIRECTION.sub("", last.text)
    if len(said) > 1 and not _leads(sentence, begin, said):
        meant = said[0] if _first_is_meant(sentence, begin, said) else None
    else:
        meant = (
            None
            if _negated(sentence[begin : last.begin]) or _depends(sentence[last.end : end], last)
            else last
        )
    compared = _COMPARED.fullmatch(sentence[last.end : end]) if meant is None and len(said) == 1 else None
    if compared and (compared[1] or _DIRECTION.search(last.text)):
        return f"{last.text} {compared[1] or ''}".rstrip()
    whole = sentence[:end].strip(" \t\n,;:*_")
    return meant.text if meant else whole if len(whole) <= LONGEST_SENTENCE else last.text


def _main_part(sentence: str, said: Sequence[Phrase]) -> tuple[int, int]:
    """Where the part of the sentence lies that says what it comes to: after "so", before "because"."""
    begin, end = 0, len(sentence)
    for match in _CONCLUDED.finditer(sentence):
        if said[-1].begin >= match.end() and not _within(match.start(), said):
            begin = match.end()
    if not begin and _SUBORDINATE.match(sentence):
        commas = [at.end() for at in _COMMA.finditer(sentence, said[0].end, said[-1].begin)]
        begin = next((at for at in commas if not _within(at - 1, said)), 0)
    first = next(phrase for phrase in said if phrase.begin >= begin)
    for match in _EXPLAINED.finditer(sentence, first.end - 1):
        if not _within(match.start() + 1, said):
            end = match.start()
            break
    return begin, end


def _within(at: int, said: Sequence[Phrase]) -> bool:
    return any(phrase.begin < at < phrase.end for phrase in said)


def _leads(sentence: str, begin: int, said: Sequence[Phrase]) -> bool:
    """Whether the words before the last figure lead to it, or the earlier ones only tell circumstances."""
    gap = sentence[said[-2].end : said[-1].begin]
    if _CONDITION.search(gap) or _DEFINED.match(gap):
        return False
    if _AMOUNT.search(gap):
        return True
    if _GOVERNED.search(gap):
        return False
    if not sentence[begin : said[0].begin].strip(" $*") and _SPENT.search(gap):
        return False
    circumstances = all(_GOVERNED.search(f"{sentence[begin : phrase.begin]} ") for phrase in said[:-1])
    return circumstances or _LEADING.search(gap) is not None


def _first_is_meant(sentence: str, begin: int, said: Sequence[Phrase]) -> bool:
    """Whether the first figure answers: "there are 10 primes below 30", "12 is the sum of 5 and 7"."""
    first, second = said[:2]
    before, gap = sentence[begin : first.begin], sentence[first.end : second.begin]
    if not before.strip(" $*"):
        return len(said) == 2 and _DEFINED.match(gap) is not None
    restricted = all(_GOVERNED.search(sentence[: later.begin]) for later in said[1:])
    return restricted and _THERE.fullmatch(before) is not None and not _CONTRAST.search(gap)


def _negated(clause: str) -> bool:
    """Whether the clause before a figure turns it into another answer."""
    breaks = list(_CLAUSE.finditer(clause))
    return _NEGATED.search(clause, breaks[-1].end() if breaks else 0) is not None


def _depends(tail: str, phrase: Phrase) -> bool:
    """Whether the value of a figure depends on what follows it."""
    rest = after(tail)
    if phrase.figures[-1].kind in ("list", "formula") and len(rest.split()) <= 1:
        return _WEIGHTY.search(rest) is not None
    aside = phrase.share or _ASIDE.match(rest) is not None
    return bool(rest) and not (aside and not _WEIGHTY.search(rest))
