"""Numbers written as arithmetic: powers, factorials, binomials, roots of squares, sums and products."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction
from math import comb, factorial, isqrt, prod

from orchestrator.consensus.quantities.patterns import lazily

MOST_BITS = 1024
"""Of a number's numerator or denominator; beyond it an expression is no number but text."""

_LARGEST_FACTORIAL = 170
_DEEPEST = 20
_TOKEN = lazily(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?|\.\d+)|(?P<sign>\*\*"
    r"|!!|[-+−*·×/^!(){},]|\\sqrt|√|∛|C(?=\()"
    r"|choose\b|mod\b))"
)
_WORTH = lazily(
    r"\d\s*(?:!|\^|\*)|[CΓ]\(\s*\d|\d\s*choose|[√∛]|\\sqrt|\d\)?\s*[+·]\s*\(?\d|\)\s*[/^]"
    r"|\d\}?\s*C\s*_?\{?\d|\d\}?\s?P_?\{?\d"
)
_SHORT_CHOICE = lazily(r"(?<!\w)[_^]?\{?(\d+)\}?\s*C\s*_?\{?(\d+)\}?(?!\w)")


_SHORT_ARRANGEMENT = lazily(r"(?<!\w)[_^]?\{?(\d{1,3})\}?\s?P_?\{?(\d{1,3})\}?(?!\w)")


class _Stop(Exception):
    """The text is no arithmetic, or its value is too large."""


def read_arithmetic(text: str) -> tuple[Fraction, int, str] | None:
    """The value of the expression that ``text`` begins with, where it ends, and the text that was read.

    None if it is no arithmetic: a number alone is not, nor one less another, which may be a score.
    """
    if not _WORTH.search(text):
        return None
    text = _SHORT_ARRANGEMENT.sub(_arrangement, text)
    text = _SHORT_CHOICE.sub(r"C(\1,\2)", text)
    reader = _Reader(text)
    try:
        value = reader.sum()
    except (_Stop, ArithmeticError, ValueError):
        return None
    return (value, reader.end, text) if reader.operations else None


def _arrangement(match: re.Match[str]) -> str:
    """10P3, which is 10!/7!."""
    of, some = int(match[1]), int(match[2])
    return f"({of}!/{of - some}!)" if some <= of else match[0]


class _Reader:
    """One pass over the tokens: sums of products of powers, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self.end = 0
        self.operations = 0

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self.end)

    def _take(self, *signs: str) -> str | None:
        token = self._peek()
        if token is None or token["sign"] not in signs:
            return None
        self.end = token.end()
        return token["sign"]

    def _expect(self, *signs: str) -> None:
        if self._take(*signs) is None:
            raise _Stop

    def sum(self) -> Fraction:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Stop
        negative = self._take("-", "−") is not None
        value = -self._product() if negative else self._product()
        while sign := self._take("+", "-", "−"):
            self.operations += 1
            term = self._product()
            value = _bounded(value + (term if sign == "+" else -term))
        self._depth -= 1
        return value

    def _product(self) -> Fraction:
        value = self._power()
        while sign := self._take("*", "·", "×", "/", "choose") or self._beside_a_binomial():
            self.operations += 1
            factor = self._power()
            if sign == "choose":
                value = _choose(value, factor)
            elif sign == "/":
                value = _bounded(value / factor)
            else:
                value = _bounded(value * factor)
        return value

    def _beside_a_binomial(self) -> str | None:
        """The sign of the product that 2C(4,2) is; None if no binomial follows."""
        token = self._peek()
        return "·" if token is not None and token["sign"] == "C" else None

    def _power(self) -> Fraction:
        base = self._atom()
        if self._take("^", "**") is None:
            return base
        self.operations += 1
        exponent = -self._power() if self._take("-", "−") else self._power()
        if exponent.denominator != 1 or abs(exponent) > MOST_BITS:
            raise _Stop
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base not in (0, 1, -1) and bits * abs(exponent) > MOST_BITS + bits:
            raise _Stop
        return base ** int(exponent)

    def _atom(self) -> Fraction:
        token = self._peek()
        if token is None:
            raise _Stop
        self.end = token.end()
        if token["number"]:
            value = _bounded(Fraction(token["number"].replace(",", "")[:MOST_BITS]))
        elif token["sign"] in ("(", "{"):
            value = self.sum()
            self._expect(")" if token["sign"] == "(" else "}")
        elif token["sign"] == "C":
            self._expect("(")
            of = self.sum()
            self._expect(",")
            value = _choose(of, self.sum())
            self._expect(")")
            self.operations += 1
        elif token["sign"] in ("√", r"\sqrt"):
            self.operations += 1
            value = _root(self._atom())
        elif token["sign"] == "∛":
            self.operations += 1
            value = _cube_root(self._atom())
        elif token["sign"] in ("-", "−"):
            return -self._power()
        else:
            raise _Stop
        while sign := self._take("!", "!!"):
            self.operations += 1
            if value.denominator != 1 or not 0 <= value <= _LARGEST_FACTORIAL:
                raise _Stop
            whole = int(value)
            value = Fraction(factorial(whole) if sign == "!" else prod(range(whole, 0, -2)))
        return value


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise _Stop
    return value


def _choose(of: Fraction, some: Fraction) -> Fraction:
    if of.denominator != 1 or some.denominator != 1 or not 0 <= some <= of <= MOST_BITS:
        raise _Stop
    return Fraction(comb(int(of), int(some)))


def _root(value: Fraction) -> Fraction:
    """The root, if it is a fraction."""
    if value < 0:
        raise _Stop
    root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if root * root != value:
        raise _Stop
    return root


def _cube_root(value: Fraction) -> Fraction:
    """The same of the third power; numbers of this size are exact as floats."""
    root = Fraction(*(round(part ** (1 / 3)) for part in (abs(value.numerator), value.denominator)))
    if root**3 != abs(value):
        raise _Stop
    return root if value >= 0 else -root
