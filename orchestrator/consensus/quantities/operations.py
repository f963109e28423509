"""Arithmetic in words, in signs: "the square root of 49", "5 squared", "2 to the power of 5"."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from functools import cache

from orchestrator.consensus.quantities.moments import ordinal
from orchestrator.consensus.quantities.numbers import read_number
from orchestrator.consensus.quantities.patterns import lazily

_LONGEST = 60
_A = r"(?P<a>[-−]?\d[\d.,]*|[a-z]+(?:[-\s][a-z]+)?)"
_B = r"(?P<b>(?:[-−]|minus\s+|negative\s+)?(?:\d[\d.]*|[a-z]+(?:-[a-z]+)?))"
_SIGNS = (
    # a pattern whose groups are numbers, and what it is in signs
    (rf"square\s+root\s+of\s+{_A}", "√({a})"),
    (rf"(?:cube|cubic)\s+root\s+of\s+{_A}", "∛({a})"),
    (rf"square\s+of\s+{_A}|{_A.replace('<a>', '<c>')}\s+squared", "({a})^2"),
    (rf"cube\s+of\s+{_A}|{_A.replace('<a>', '<c>')}\s+cubed", "({a})^3"),
    (rf"factorial\s+of\s+{_A}|{_A.replace('<a>', '<c>')}\s+factorial", "{a}!"),
    (rf"{_A}\s+to\s+the\s+(?P<n>[a-z]+|\d+(?:st|nd|rd|th))\s+power", "({a})^({b})"),
    (rf"{_A}\s+raised\s+to\s+the\s+(?P<n>[a-z]+|\d+(?:st|nd|rd|th))(?:\s+power)?", "({a})^({b})"),
    (rf"{_A}\s+(?:raised\s+)?to\s+the\s+(?:power(?:\s+of)?\s+)?{_B}", "({a})^({b})"),
    (r"(?:math\.)?pow\(\s*(?P<a>[-−]?\d+)\s*,\s*(?P<b>[-−]?\d+)\s*\)", "({a})^({b})"),
    (r"(?:nCr|(?:math\.)?comb)\(\s*(?P<a>\d+)\s*,\s*(?P<b>\d+)\s*\)", "C({a},{b})"),
    (r"(?:nPr|(?:math\.)?perm)\(\s*(?P<a>\d+)\s*,\s*(?P<b>\d+)\s*\)", "{a}P{b}"),
)
_WORTH = lazily(r"root|square|cube|factorial|\bto\s+the\b|pow\(|nCr|nPr|comb\(|perm\(", re.IGNORECASE)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(rf"(?:the\s+)?(?:{each})", re.IGNORECASE), signs) for each, signs in _SIGNS)


def in_signs(text: str) -> str:
    """The text in signs if it is one operation in words, otherwise as it is."""
    if len(text) > _LONGEST or not _WORTH.search(text):
        return text
    for pattern, signs in _patterns():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        first, nth = _figures(groups["a"] or groups.get("c") or ""), groups.get("n")
        second = _nth(nth) if nth else _figures(groups.get("b") or "0")
        if first is not None and second is not None:
            return signs.format(a=first, b=second)
    return text


def _nth(word: str) -> str | None:
    digits = re.match(r"\d+", word)
    number = int(digits[0]) if digits else ordinal(word.casefold())
    return None if number is None else str(number)


def _figures(text: str) -> str | None:
    """A number in figures, with its sign; None if the text is none."""
    bare = re.sub(r"^(?:[-−]|minus\s+|negative\s+)", "", text, flags=re.IGNORECASE)
    number = read_number(bare)
    if number is None or number.end != len(bare):
        return None
    value = number.value
    digits = str(value) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
    return digits if bare == text else f"-{digits}"
