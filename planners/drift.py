"""How far texts that are parts of one answer repeat or contradict each other, as their words alone show.

Points that are written at the same time do not see each other. What is seen here is repeated wording, a
heading that comes twice, and, where a question compares things by name, two points that prefer different ones
in the same respect. A paraphrase, and a contradiction of any other kind, is not seen.
"""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

REPEATED: Final = 0.5
"""The share of the shorter point's word pairs that must come in another one for it to be a repetition."""

_FEWEST = 6
"""With fewer pairs of words, a common phrase would be a repetition."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE = re.compile(r"[^.!?;。！？；\n]+")
_ARTICLE = r"(?:in )?(?:(?:an?|the|my|your|der|die|das|ein|eine|le|la|les|un|une|el|los|las|una) )?"
_NAME = r"[^\W_][\w'-]*(?: [^\W_][\w'-]*){0,2}?"
_COMPARED = re.compile(
    rf"(?:\b(?:between|compare|comparing|zwischen|entre|tra|vergleiche) {_ARTICLE}(?P<one>{_NAME}),? "
    rf"(?:and|und|et|y|e|or|with|vs\.?|mit) {_ARTICLE}(?P<two>{_NAME})"
    rf"|(?:\b(?:buy|choose|take|get|prefer|use|learn|is|are|live)|[:,]|^) ?{_ARTICLE}(?P<either>{_NAME}),? "
    rf"(?:or|vs\.?|versus|oder|ou|o) {_ARTICLE}(?P<other>{_NAME}))(?=[?.,;:]|$| (?:for|as)\b)",
    re.IGNORECASE,
)
_MORE = (
    r"better|best|longer|longest|faster|fastest|cheaper|cheapest|stronger|larger|largest|higher|lighter|easier"
    r"|superior|greater|brighter|quieter|safer|more|most|wins?|excels?|outperforms?|besser|länger|schneller"
    r"|billiger|mehr|stärker|mejor|más|meilleure?|plus|melhor|mais|migliore|più"
)
_LESS = (
    r"worse|worst|shorter|slower|weaker|smaller|lower|heavier|harder|inferior|less|least|poorer|dimmer|louder"
    r"|schlechter|kürzer|langsamer|weniger|peor|menos|pire|moins|pior|peggiore|meno"
)
_COMPARATIVE = re.compile(rf"\b(?:(?P<more>{_MORE})|(?P<less>{_LESS}))\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not?|nor|never|neither|nicht|kein\w*|pas|non?|nunca|não)\b|n['’]t\b", re.IGNORECASE)
_DENIES = re.compile(
    rf"{_NOT.pattern}|\b(?:wrong|mistake|incorrect|error|instead|actually|correction|falsch|fehler)\b",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    "with|than|that|this|what|when|also|usually|often|much|many|overall|offers?|have|provides?|choice|option"
    "|their|they|which|while|from"
)
"""Words that do not say in which respect something is better."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Pairs of points, by their numbers; ``overlap`` is the largest share of wording in common."""

    repeated: tuple[tuple[int, int], ...] = ()
    contradicting: tuple[tuple[int, int], ...] = ()
    overlap: float = 0.0

    @property
    def later(self) -> dict[int, tuple[int, str]]:
        """The later point of each pair, with the earlier one and what it does to that."""
        found = {two: (one, "contradicts") for one, two in reversed(self.contradicting)}
        return found | {two: (one, "repeats") for one, two in reversed(self.repeated)}


def drift_between(points: Mapping[int, tuple[str, str]], question: str) -> Drift:
    """What is wrong between points, given as heading and text, of the answer to ``question``.

    Takes time in proportion to the text and to the square of the number of points.
    """
    known = _pairs(question)
    pairs = {index: _pairs(text) - known for index, (_, text) in points.items()}
    preferred = {index: _preferences(text, question) for index, (_, text) in points.items()}
    repeated, contradicting, largest = [], [], 0.0
    for one, two in combinations(points, 2):
        fewer = min(len(pairs[one]), len(pairs[two]))
        overlap = len(pairs[one] & pairs[two]) / fewer if fewer >= _FEWEST else 0.0
        largest = max(largest, overlap)
        headings = [_WORD.findall(points[each][0].casefold()) for each in (one, two)]
        if overlap >= REPEATED or (headings[0] and headings[0] == headings[1]):
            repeated.append((one, two))
        if _contradict(preferred[one], preferred[two]):
            contradicting.append((one, two))
    return Drift(tuple(repeated), tuple(contradicting), round(largest, 2))


def repeats(text: str, before: Sequence[str], question: str) -> str:
    """Why a text brings nothing to what was written before it, in words; empty if it may bring something.

    It says the same when it comes word for word, or when half of its word pairs came before and none of its
    figures is new: a figure that differs may put right what was wrong, and so may a sentence that denies
    something. What the question says itself does not count, except where all of the text does.
    """
    words = _WORD.findall(text.casefold())
    if any(words == _WORD.findall(each.casefold()) for each in before):
        return "it stands there word for word"
    known = _pairs(question)
    all_of_it = _pairs(text)
    if all_of_it and all_of_it <= known:
        return "it only repeats the question"
    there = {pair for each in before for pair in _pairs(each)}
    pairs = all_of_it - known
    if len(pairs) < _FEWEST:
        return ""
    share = len(pairs & there) / len(pairs)
    figures = {word for word in words if word.isdecimal()}
    old = {word for each in (*before, question) for word in _WORD.findall(each.casefold())}
    differs = not figures <= old or any(_DENIES.search(part) for part in _SENTENCE.findall(text))
    if share < (1.0 if differs else REPEATED):
        return ""
    return f"{share:.0%} of its wording stands there already"


def compared(question: str) -> tuple[str, ...]:
    """The two things that a question compares by name, as in "a laptop or a tablet"; none if it does not."""
    match = _COMPARED.search(question)
    named = match.group("one", "two") if match and match["one"] else match and match.group("either", "other")
    return tuple(name.casefold() for name in named or ())


def _pairs(text: str) -> set[tuple[str, str]]:
    """Neighbouring words, or neighbouring characters of a script that does not part its words."""
    words: list[str] = []
    for word in _WORD.findall(text.casefold()):
        words.extend(word if _CJK.search(word) else [word])
    return set(pairwise(words))


_Preference = tuple[str, frozenset[str]]


def _preferences(text: str, question: str) -> list[_Preference]:
    """Which of the things compared each sentence prefers, and the words that say in which respect."""
    return list(_preferred(text, compared(question)))


def _preferred(text: str, things: tuple[str, ...]) -> Iterator[_Preference]:
    if not things:
        return
    for sentence in _SENTENCE.findall(text.casefold()):
        found = _COMPARATIVE.search(sentence)
        places = {thing: sentence.find(_stem(thing)) for thing in things if _stem(thing) in sentence}
        if found is None or not places or _NOT.search(sentence):
            continue
        first = min(places, key=places.__getitem__)
        other = things[1 - things.index(first)]
        names = {word for thing in things for word in _WORD.findall(_stem(thing))}
        respect = frozenset(
            word
            for word in _WORD.findall(sentence)
            if len(word) >= 4
            and not _GENERIC.fullmatch(word)
            and not any(word.startswith(name) for name in names)
            and not _COMPARATIVE.fullmatch(word)
        )
        yield (first if found["more"] else other), respect


def _stem(thing: str) -> str:
    """A name without the plural, so that "tablets" is found in "the tablet"."""
    return thing[:-1] if thing.endswith("s") and len(thing) > 4 else thing


def _contradict(ones: list[_Preference], others: list[_Preference]) -> bool:
    return any(
        thing != other and len(respect & also) >= min(2, len(respect), len(also)) > 0
        for thing, respect in ones
        for other, also in others
    )
