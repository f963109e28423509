"""What is asked for, by the words beside it: which value, which passage, and whether one was misread."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from orchestrator.runtime.messages import text_of
from planners.stated import Value, values_in

BEFORE = 2
"""Words before a figure that may say what it is, as in "founded in 1286"."""

_COUNTED = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*) ([^\W\d_]{3,})")
_BARE = re.compile(r"\d+(?:[.,]\d+)*")
_ANY_WORD = re.compile(r"\w{2,}")
_WORD = re.compile(r"[^\W\d_]{4,}")


def value_wanted(question: str, result: object) -> Value | None:
    """The only one of several values that the question speaks of, by what is counted or what stands before.

    "18 lamps and 25 ropes" has one value for "How many ropes …?"; None if no word tells one from the others.
    """
    values = values_in(result)
    if len(values) < 2:
        return None
    words, text = _words(question), text_of(result)
    for beside in (_after, _before):
        meant = [value for value in values if beside(value, text) & words]
        if len(meant) == 1:
            return meant[0]
        if meant:
            return None
    return None


def misread(claim: str, question: str, text: str) -> str:
    """Why a claim is the number of something else in the text, in words; empty if it may well be right.

    It is if the text counts what is asked for, but never so many of it, and so many of something else; or if
    the claim says itself that it counts something else. What is asked for is the one thing of those that the
    text counts of which the question speaks, else what the claim counts.
    """
    counts: dict[str, set[str]] = {}
    for figures, noun in _COUNTED.findall(text):
        counts.setdefault(_stem(noun), set()).add(figures.replace(",", ""))
    said = _COUNTED.fullmatch(claim.strip(" .")) or _BARE.fullmatch(claim.strip(" ."))
    if said is None:
        return ""
    figures, *noun = said.groups() or (said[0],)
    counted, number = {_stem(each) for each in noun}, figures.replace(",", "")
    asked = counts.keys() & _words(question)
    if len(asked) != 1:
        asked = counted
    if len(asked) != 1 or not (known := counts.get(*asked)):
        return ""
    others = [each for each, numbers in counts.items() if number in numbers and each not in asked]
    if number in known and not counted & {*others}:
        return ""
    return f"{figures} is a number of {others[0]}s, not of {next(iter(asked))}s" if others else ""


def closest(question: str, passages: Sequence[str]) -> str:
    """The passage whose words in common with a question weigh the most.

    A word weighs the square of its inverse document frequency. Empty if there are not at least two passages,
    or none is closer than all others.
    """
    words = _all_words(question)
    shared = [words & _all_words(passage) for passage in passages]
    common = Counter(word for each in shared for word in each)
    scores = [sum(math.log(len(passages) / common[word]) ** 2 for word in each) for each in shared]
    best = max(scores, default=0.0)
    return passages[scores.index(best)] if best > 0 and scores.count(best) == 1 else ""


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
    return set(map(_stem, _WORD.findall(text)))


def _all_words(text: str) -> set[str]:
    return set(map(_stem, _ANY_WORD.findall(text)))


def _stem(word: str) -> str:
    return word.casefold().removesuffix("s")
