"""The larger languages, and which of them a text is written in."""

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.counting import number_words
from orchestrator.consensus.reading.eastern import EASTERN
from orchestrator.consensus.reading.language import Language
from orchestrator.consensus.reading.western import ENGLISH, WESTERN

__all__ = ["ENGLISH", "LANGUAGES", "MYRIADS", "Language", "language_of"]

LANGUAGES = (*WESTERN, *EASTERN)

MYRIADS = {
    "万": 10**4,
    "萬": 10**4,
    "만": 10**4,
    "億": 10**8,
    "亿": 10**8,
    "억": 10**8,
    "兆": 10**12,
    "조": 10**12,
}
"""What a number is multiplied by when one of these characters follows it."""

LONGEST_SHARED = 4
"""Letters up to which a unit tells nothing of the language."""

_ORDER = ("ja", "ko", "zh", "hi", "ar", "ru")
_WORD = lazily(r"[^\W\d_]+")
_SCRIPTS = {each.code: re.compile(each.script) for each in LANGUAGES if each.script}
_WORDS = {
    each.code: frozenset(each.words.split())
    | frozenset(number_words(each.code))
    | frozenset(word for word in each.units if len(word) > LONGEST_SHARED and word.isalpha())
    | frozenset(each.months.split())
    for each in LANGUAGES
    if each.words
}
_BY_CODE = {each.code: each for each in LANGUAGES}
_SAMPLE = 4_000


def language_of(text: str) -> Language:
    """The language of ``text`` by its script and its function words; English where they do not tell.

    What is shared by several languages, such as "es" or "la", decides nothing: the lead has to be clear.
    """
    sample = text[-_SAMPLE:].casefold()
    if not sample.isascii():
        letters = sum(char.isalpha() for char in sample)
        for code in _ORDER:
            if len(_SCRIPTS[code].findall(sample)) * 10 >= letters > 0:
                return _BY_CODE[code]
    words = _WORD.findall(sample)
    counts = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best, second = sorted(counts.values(), reverse=True)[:2]
    if best == second:
        return ENGLISH
    return _BY_CODE[max(counts, key=lambda code: counts[code])]
