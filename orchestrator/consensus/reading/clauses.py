"""Which part of a sentence says what it comes to: after "so", before "because", of "not 4 but 5" the 5."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.phrases import Phrase
from orchestrator.consensus.reading.words import CONCLUDING, SECONDARY, either

LONGEST_CLAUSE = 400
"""Characters beyond which a sentence is not read for clauses without figures."""

_EXPLAINED = lazily(
    r",?\s+because\b|\s+due\s+to\b|,?\s+(?:rather\s+than|instead\s+of)\b|(?<![-+*/×=])\s+\((?!\d[\d\s.*/+x×-]*\))(?=[^=]*$)"
    r"|[,(–—-]\s*(?:since|as|where|which|for\s+example|e\.g\.|i\.e\.|given\s+that|not)\s"
    r"|\s+since\s+(?!\w*\s*$|[\d$]|many|much|long|of|the\s+\w+\s*$)"
    rf"|[,;]\s+(?:{either(SECONDARY)})\b"
    r"|,\s+(?:about|only|just|exactly)?\s*[$€£]?\d[\d.,]*\s?%?\s*(?:\w+\s+)?(?:more|less|fewer|\w{2,}er)\s+than\b"
    r"|,\s+(?:on|in|at|from|with|across|over)\s+(?=\d)",
    re.IGNORECASE,
)
_MEANWHILE = lazily(r",\s+(?:while|whereas)\b", re.IGNORECASE)
_SUBORDINATE = lazily(r"(?:since|because|as|given|if|when|after|once|while)\b", re.IGNORECASE)
_COMMA = lazily(r",\s+(?!(?:and|or)\b)")
_CONCLUDED = lazily(rf"(?:[,;:–—]\s*|\s)(?:{either(CONCLUDING)})\s", re.IGNORECASE)
_HENCE_UNSPACED = lazily(
    r"(?:因此|所以|因而|从而|よって|したがって|だから|ので|이므로|므로|따라서|그래서|그러므로)[,、\s]*"
)
_NOT_BUT = lazily(
    r"\b[Nn]ot\s+(?!only|just|merely|more|less|fewer|at|simply|\w+er\s)(?=[\d$€£\"“‘'`*]|[A-ZÀ-Þ]|(?:the|an?)\s)"
    r"(?P<no>[^,;:.!?\n]{1,60}?(?:\.\d+[^,;:.!?\n]{0,20}?)?),?\s+but\s+(?:rather\s+|in\s+fact\s+)?"
    r"(?!not|only|if|it|he|she|they|we|more|less|fewer|at|under|over|that|this|is|still)(?=\S)",
)
_AND_NOT = lazily(r"(?<=[\w%°$])(?:,|\s+and)\s+not\s+(?=[\d$€£])[^,;:!?]{1,40}$")
_HENCE = lazily(
    r"(?:[,;:–—]\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+means|meaning)\s+(?:that\s+)?",
    re.IGNORECASE,
)
_UNDER = lazily(r"(?:with|given|at|since|as|because)\b", re.IGNORECASE)
_CLAUSE = lazily(r",\s+(?=(?:the|we|it|this|that|there|he|she|they|its|one|no|none|all|[A-Z][\w'’]*)\s)")
_BECAUSE = lazily(r",?\s+(?:because|since)\s", re.IGNORECASE)
_FIGURE = lazily(r"[\d\\$=]")
_REMARK = lazily(
    r"\b(?:done|answer|correct|valid|checks?|works?|verified|holds|(?:the|our|this)\s+(?:result|solution)|consistent|right"
    r"|indeed|same)\b",
    re.IGNORECASE,
)


def affirmed(sentence: str) -> str:
    """The sentence without what it denies: "it is not 4 but 5" as "it is 5"."""
    return _AND_NOT.sub("", _NOT_BUT.sub("", sentence))


def without_figures(sentence: str) -> str | None:
    """The clause without figures that a sentence with figures comes to; None if its figures are meant.

    That is the clause after "so", before "because", or after the circumstances under which it holds.
    """
    if len(sentence) > LONGEST_CLAUSE or not _FIGURE.search(sentence):
        return None
    hence = [match.end() for match in _HENCE.finditer(sentence)]
    if hence and _is_clause(rest := sentence[hence[-1] :]) and _FIGURE.search(sentence[: hence[-1]]):
        return rest
    if (because := _BECAUSE.search(sentence)) and _is_clause(rest := sentence[: because.start()]):
        return rest
    if _UNDER.match(sentence):
        for match in reversed(list(_CLAUSE.finditer(sentence))):
            if _is_clause(rest := sentence[match.end() :]):
                return rest
    return None


def _is_clause(text: str) -> bool:
    return len(text.split()) > 2 and not _FIGURE.search(text) and not _REMARK.search(text)


def main_part(sentence: str, said: Sequence[Phrase]) -> tuple[int, int]:
    """Where the part of the sentence lies that says what it comes to by one of the figures ``said``."""
    begin, end = 0, len(sentence)
    for match in (*_CONCLUDED.finditer(sentence), *_HENCE_UNSPACED.finditer(sentence)):
        if said[-1].begin >= match.end() and not _within(match.start(), said):
            begin = match.end()
    concluded = begin > 0
    if not begin and _SUBORDINATE.match(sentence):
        commas = [at.end() for at in _COMMA.finditer(sentence, said[0].end, said[-1].begin)]
        begin = next((at for at in commas if not _within(at - 1, said)), 0)
    first = next(phrase for phrase in said if phrase.begin >= begin)
    for pattern in (_EXPLAINED, _MEANWHILE) if concluded else (_EXPLAINED,):
        for match in pattern.finditer(sentence, first.end - 1, end):
            if not _within(match.start() + 1, said):
                end = match.start()
                break
    return begin, end


def _within(at: int, said: Sequence[Phrase]) -> bool:
    return any(phrase.begin < at < phrase.end for phrase in said)
