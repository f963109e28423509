"""What follows a number: its unit, what is counted, and what it is a share or a measure of."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.moments import ordinal
from orchestrator.consensus.quantities.numbers import ONES, SCALES
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.units import NO_UNIT, Unit, known_unit, singular

_MOST_WORDS = 6
_OF_THEM = lazily(
    r"(?:^|\s+)(?:of\s+(?:them|it|these|those|this|that|all|all\s+of\s+them|the\s+(?:total|whole|time))"
    r"|overall|left|remaining|exactly|chance|probability|AD|CE|A\.D|C\.E)$",
    re.IGNORECASE,
)
_ASIDES = {
    "each": (
        "each",
        "apiece",
        "per person",
        "a person",
        "per head",
        "per capita",
        "per piece",
        "per item",
        "/person",
    ),
    "total": ("in total", "in all", "altogether", "total", "all together", "all told"),
    "before tax": (
        "before tax",
        "before taxes",
        "excluding tax",
        "without tax",
        "plus tax",
        "pre-tax",
        "excl. tax",
    ),
    "after tax": ("after tax", "after taxes", "including tax", "with tax", "tax included", "incl. tax"),
    "before the discount": ("before discount", "before the discount"),
    "after the discount": ("after discount", "after the discount"),
    "net": ("net",),
    "gross": ("gross",),
    "N": ("north", "N", "northward", "to the north", "due north", "northwards"),
    "S": ("south", "S", "southward", "to the south", "due south", "southwards"),
    "E": ("east", "E", "eastward", "to the east", "due east", "eastwards"),
    "W": ("west", "W", "westward", "to the west", "due west", "westwards"),
    "NE": ("north-east", "northeast", "NE", "to the northeast", "to the north-east"),
    "NW": ("north-west", "northwest", "NW", "to the northwest", "to the north-west"),
    "SE": ("south-east", "southeast", "SE", "to the southeast", "to the south-east"),
    "SW": ("south-west", "southwest", "SW", "to the southwest", "to the south-west"),
}
"""What a quantity is qualified by after its unit; two that say different ones differ."""

_ASIDE_OF = {spelling: aside for aside, spellings in _ASIDES.items() for spelling in spellings}
_ASIDE = lazily(
    rf"(?:(?<=\S\s)|^(?=\w{{2}})"
    rf"|(?=/))(?P<aside>{'|'.join(sorted(_ASIDE_OF, key=len, reverse=True))})(?:\s+of\s+\w+(?:\s\w+)?)?$"
)
_OF_ONE = lazily(r"(?:of\s+)?an?\s+", re.IGNORECASE)  # half an hour, three quarters of an hour
_OF_WHOM = lazily(
    r"(?P<unit>.*?)\s*\bof\s+(?:(?:all|the|its|his|her|their|our|these|those)\s+)*"
    r"(?P<whom>[^\W\d_]\w+(?:\s[^\W\d_]{3,})?)",
    re.IGNORECASE,
)
_MEASURES = {
    "height": ("tall", "high", "in height"),
    "length": ("long", "in length"),
    "width": ("wide", "broad", "in width"),
    "depth": ("deep", "in depth"),
    "age": ("old", "of age"),
    "thickness": ("thick",),
    "weight": ("heavy", "in weight"),
    "distance": ("away", "apart"),
    "diameter": ("in diameter", "across"),
    "area": ("in area",),
}
_MEASURE_OF = {spelling: measure for measure, spellings in _MEASURES.items() for spelling in spellings}
_MEASURE = lazily(rf"(?P<unit>.+?)[\s-]+(?P<measure>{'|'.join(_MEASURE_OF)})", re.IGNORECASE)
_PLACED = lazily(
    r"(?P<noun>[^\W\d_][\w'’-]+)\s+(?:below|under|above|over|between|in|of|from|on|at|for|with)\s\S"
)
_NO_NOUN_WORDS = (
    "or and to in of out plus minus times than is not per bc bce more less fewer least most ago later "
    "before after between from at with the a an about fold times past higher lower larger "
    "smaller greater increase decrease rise drop fall reduction growth gain loss profit deficit surplus off "
    "clockwise counterclockwise anticlockwise bigger longer taller wider deeper heavier faster older warmer "
    "farther dearer shorter narrower lighter slower younger earlier cooler colder nearer cheaper "
    "squared cubed factorial mehr weniger moins más menos mais più meno больше меньше mayor menor maior "
    "maggiore minore größer kleiner 倍 多 少 배 गुना أضعاف"
)
_NO_NOUNS = frozenset(_NO_NOUN_WORDS.split())

_EASTERN = "\u2e80"
"""The first of the characters of which one may be a word."""

Counted = tuple[Unit, str]
"""The unit, and what the number is a share or a measure of; the latter is mostly empty."""


def read_counted(text: str, money: str) -> Counted | None:
    """The unit after a number; an unknown word is its own dimension; None for more than a unit.

    Two words may be counted, and more only with where they are: "10 primes below 30".
    """
    if text[:2].casefold() in ("st", "nd", "rd", "th") and not text[2:3].isalpha():
        return None  # 21st
    text = text.strip(" .")
    if text in ("pH", "ph"):
        return None
    if aside := _ASIDE.search(text):
        counted = read_counted(text[: aside.start()], money)
        return counted and (counted[0], counted[1] or _ASIDE_OF[aside["aside"]])
    if money:
        priced = _priced(text, money)
        return None if priced is None else (priced, "")
    if text[:1] == "-" and text[1:2].isalpha():  # a 5-hour flight
        text = text[1:]
    known = known_unit(text) if text else NO_UNIT
    if known is not None:
        return known, ""
    return _qualified(text) or _counted(text)


def share_of(whom: str) -> str:
    """What a share is of, in one spelling."""
    return " ".join(singular(word) for word in whom.casefold().split())


def without_measure(text: str) -> tuple[str, str]:
    """The text without what it measures, and that: "5 feet tall" is 5 feet of height."""
    match = _MEASURE.fullmatch(text)
    return (text, "") if match is None else (match["unit"], _MEASURE_OF[match["measure"].casefold()])


def _qualified(text: str) -> Counted | None:
    bare = _OF_THEM.sub("", text).strip()
    if bare != text:
        return read_counted(bare, "")
    if one := _OF_ONE.match(text):
        unit = known_unit(text[one.end() :])
        return None if unit is None else (unit, "")
    bare, measure = without_measure(text)
    if measure and (unit := known_unit(bare)) is not None:
        return unit, measure
    if match := _OF_WHOM.fullmatch(text):
        unit = known_unit(match["unit"]) if match["unit"] else NO_UNIT
        return None if unit is None else (unit, share_of(match["whom"]))
    return None


def _counted(text: str) -> Counted | None:
    words = text.casefold().split()
    if not words or words[0] in _NO_NOUNS or words[0] in ONES or words[0] in SCALES or ordinal(words[0]):
        return None
    if len(words) > 2:
        place = _PLACED.match(text)
        if len(words) > _MOST_WORDS or place is None or known_unit(place["noun"]) or not _is_word(words[0]):
            return None
        return Unit(" ".join([singular(words[0]), *words[1:]])), ""
    if len(words) == 2 and all(word[0].isupper() for word in text.split()):
        return None  # 10 Downing Street
    if not all(map(_is_word, words)) or words[-1] in _NO_NOUNS:
        return None
    return Unit(" ".join(singular(word) for word in words)), ""


def _priced(text: str, money: str) -> Unit | None:
    """The currency, with what it is for if that follows a slash: "$3.50 each", "$3.50 USD", "$5/h"."""
    unit = known_unit(money)
    if not text or unit is None:
        return unit
    if rate := re.match(r"(?:/|per\s|an?\s)\s*", text, re.IGNORECASE):
        return known_unit(f"{money} per {text[rate.end() :]}")
    named = known_unit(text)
    if named is not None:
        return named if named.dimension == unit.dimension else None
    words = text.split()
    nouns = len(words) <= 2 and words[0].casefold() not in {*SCALES, *_NO_NOUNS} and all(map(_is_word, words))
    return unit if nouns else None


def _is_word(text: str) -> bool:
    return (
        (len(text) > 1 or text >= _EASTERN)
        and text[0].isalpha()
        and all(char.isalpha() or char in "'’-" for char in text)
    )
