"""What is asked for, by the words beside it: which value, which passage, and whether one was misread."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from orchestrator.consensus.reading.sentences import pieces
from orchestrator.runtime.messages import text_of
from planners.fitting import COMMON
from planners.stated import Value, values_in
from planners.wording import AMOUNTS

BEFORE = 2
"""Words before a figure that may say what it is, as in "founded in 1286"."""

_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")
_COUNTED = re.compile(r"(?<![\w.,])(?P<figures>\d+(?:[.,]\d+)*)(?P<words>(?:[ \t]+[^\W\d_]+){0,3})")
_HOW_MANY = re.compile(rf"\b(?:{AMOUNTS}|number of)\b(?P<after>.*)", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]+")
_ANY_WORD = re.compile(r"\w{2,}")
_WORD = re.compile(r"[^\W\d_]{4,}")


def value_wanted(question: str, result: object) -> Value | None:
    """The only one of several values that the question speaks of, by what is counted or what stands before.

    "18 lamps and 25 ropes" has one value for "How many ropes …?"; None if no word tells one from the others.
    A value that the question has itself is not what it asks for.
    """
    values = values_in(result)
    if len(values) < 2:
        return None
    words, text, given = _words(question), text_of(result), set(_FIGURES.findall(question))
    for beside in (_after, _before):
        meant = [value for value in values if beside(value, text) & words]
        if len(meant) == 1 and not given & set(_FIGURES.findall(meant[0].text)):
            return meant[0]
        if meant:
            return None
    return None


def misread(claim: str, question: str, text: str) -> str:
    """Why a claim is the number of something else in the text, in words; empty if it may well be right.

    It is if the text never has the number for what is asked for, and counts another number of that in the
    same sentence: what is only counted elsewhere may go by another word. What is asked for is the noun after
    "how many", else what the claim itself counts.
    """
    said = _COUNTED.fullmatch(claim.strip(" ."))
    if said is None or (number := _number(said)) == "1":  # which has its noun in another form
        return ""
    of_claim, *more = said["words"].split() or [""]
    if more:
        return ""
    likely = (each for each in pieces(text) if number[-3:] in each)  # commas divide thousands
    sentences = [list(_COUNTED.finditer(sentence)) for sentence in likely]
    places = [(at, sentence) for sentence in sentences for at in sentence if _number(at) == number]
    places = [(at, sentence) for at, sentence in places if _counts(at, of_claim)] or places
    nouns = [(at["words"].split() or [""])[0] for at, _ in places]
    if any(not noun or noun.casefold() in COMMON for noun in nouns):
        return ""
    for asked in (_after_how_many(question), of_claim):
        if any(_counts(at, asked) for _, sentence in places for at in sentence):
            if any(_counts(at, asked) for at, _ in places):
                return ""
            return f'it says "{places[0][0]["figures"]} {nouns[0]}", which is no number of {asked}'
    return ""


def closest(question: str, passages: Sequence[str]) -> str:
    """The passage whose words in common with a question weigh the most.

    A word weighs the square of its inverse document frequency. Empty if there are not at least two passages,
    or none is closer than all others.
    """
    words = sorted({_stem(word) for word in _ANY_WORD.findall(question)})
    if not words:
        return ""
    in_common = re.compile(rf"\b({'|'.join(map(re.escape, words))})s?\b")
    shared = [sorted({*in_common.findall(passage.casefold())}) for passage in passages]
    common = Counter(word for each in shared for word in each)
    scores = [sum(math.log(len(passages) / common[word]) ** 2 for word in each) for each in shared]
    best = max(scores, default=0.0)
    return passages[scores.index(best)] if best > 0 and scores.count(best) == 1 else ""


def _number(counted: re.Match[str]) -> str:
    return counted["figures"].replace(",", "")


def _counts(counted: re.Match[str], noun: str) -> bool:
    """Whether one of the words after a number is the noun in some form: 2 cities, 273 brass lamps."""
    return bool(noun) and any(_alike(word, noun.casefold()) for word in counted["words"].casefold().split())


def _alike(word: str, other: str) -> bool:
    """Whether two words differ in their endings at most."""
    kept = max(3, min(len(word), len(other)) - 2)
    return word[:kept] == other[:kept]


def _after_how_many(question: str) -> str:
    """The first word after "how many" that says something; empty if there is none."""
    found = _HOW_MANY.search(question)
    words = _LETTERS.findall(found["after"]) if found else []
    return next((word for word in words if word.casefold() not in COMMON), "")


def _after(value: Value, text: str) -> set[str]:
    """The words of what is counted; not those of a unit, in which several values may be given."""
    return set() if value.kind else _words(value.text)


def _before(value: Value, text: str) -> set[str]:
    """The words just before a value in the same clause; what is counted is said after it."""
    if value.quantity is not None and value.quantity.unit and not value.kind:
        return set()
    at = text.find(value.text)
    clause = re.split(r"[.,;:\d]", text[: max(at, 0)])[-1]
    return _words(" ".join(clause.split()[-BEFORE:]))


def _words(text: str) -> set[str]:
    return {_stem(word) for word in _WORD.findall(text) if word.casefold() not in COMMON}


def _stem(word: str) -> str:
    return word.casefold().removesuffix("s")
