"""Complex numbers with fractions for parts: 3 - 4i, 1/i, i^2, roots of negative squares, e to the iπ."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction
from math import isqrt

from orchestrator.consensus.quantities.patterns import lazily

Complex = tuple[Fraction, Fraction]
"""The real and the imaginary part."""

_LONGEST = 80
_DEEPEST = 20
_MOST_BITS = 1000
_LARGEST_POWER = 64
_I: Complex = (Fraction(0), Fraction(1))
_ONE: Complex = (Fraction(1), Fraction(0))
_WORTH = lazily(r"(?<![a-zA-Z])[ij](?![a-zA-Z])|(?:√|sqrt)\s*[({]?\s*[-−]")
_VECTOR = lazily(r"(?<![a-zA-Z])i(?![a-zA-Z]).*j(?![a-zA-Z])|j(?![a-zA-Z]).*(?<![a-zA-Z])i(?![a-zA-Z])")
"""Both units at once: 3i + 4j is no number."""

_TOKEN = lazily(
    r"\s*(?P<token>\d+(?:\.\d+)?(?:\s*j(?![a-zA-Z]))?|i(?![a-zA-Z])|\\sqrt|√|\*\*|[-+−*·×/^(){}])\s*"
)
_EXPONENTIAL = lazily(r"e\s*\^\s*(?:\{\s*)?(?P<sign>[-−]?)\s*(?:i\s*π|π\s*i)\s*(?P<half>/\s*2)?\s*(?:\}|$)")


class _Stop(Exception):
    """The text is no complex number of that kind."""


def read_complex(text: str) -> Complex | None:
    """The value of a text that is one complex number, or real by way of the imaginary unit; else None."""
    if len(text) > _LONGEST or not (_WORTH.search(text) or _EXPONENTIAL.search(text)) or _VECTOR.search(text):
        return None
    reader = _Reader(_EXPONENTIAL.sub(_of_unit_length, text))
    try:
        value = reader.sum()
    except (_Stop, ArithmeticError):
        return None
    return value if reader.done else None


def _of_unit_length(match: re.Match[str]) -> str:
    return ("(-1)" if not match["half"] else "(-i)" if match["sign"] else "(i)") + " "


class _Reader:
    """One pass over the tokens: sums of products of powers, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        self._at = self._depth = 0
        end = 0
        while match := _TOKEN.match(text, end):
            self._tokens.append(match["token"].replace("−", "-"))
            end = match.end()
        self._readable = end == len(text)

    @property
    def done(self) -> bool:
        """Whether all of the text was read."""
        return self._readable and self._at == len(self._tokens)

    def _take(self, *signs: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in signs:
            self._at += 1
            return self._tokens[self._at - 1]
        return None

    def sum(self) -> Complex:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Stop
        sign = self._take("-", "+")
        value = self._product()
        if sign == "-":
            value = _times(value, (Fraction(-1), Fraction(0)))
        while sign := self._take("-", "+"):
            real, imaginary = self._product()
            one = -1 if sign == "-" else 1
            value = (value[0] + one * real, value[1] + one * imaginary)
        self._depth -= 1
        return _bounded(value)

    def _product(self) -> Complex:
        value = self._power()
        while True:
            if self._take("*", "·", "×"):
                value = _times(value, self._power())
            elif self._take("/"):
                value = _times(value, _inverse(self._power()))
                if self._at < len(self._tokens) and self._tokens[self._at] == "i":
                    raise _Stop  # 1/2i may be a half of i, or half of 1/i
            elif self._at < len(self._tokens) and self._tokens[self._at] in ("i", "√", r"\sqrt"):
                value = _times(value, self._power())  # 2i
            else:
                return value

    def _power(self) -> Complex:
        base = self._atom()
        if not self._take("^", "**"):
            return base
        negative = self._take("-") is not None
        real, imaginary = self._atom()
        if imaginary or real.denominator != 1 or not 0 <= real <= _LARGEST_POWER:
            raise _Stop
        value = _ONE
        for _ in range(int(real)):
            value = _times(value, base)
        return _inverse(value) if negative else value

    def _atom(self) -> Complex:
        if self._take("i"):
            return _I
        if opening := self._take("(", "{"):
            value = self.sum()
            if not self._take(")" if opening == "(" else "}"):
                raise _Stop
            return value
        if self._take("√", r"\sqrt"):
            negative = self._take("-") is not None
            real, imaginary = self._atom()
            return _root((-real if negative else real, imaginary))
        if self._at == len(self._tokens) or not self._tokens[self._at][0].isdigit():
            raise _Stop
        token = self._tokens[self._at]
        self._at += 1
        number = Fraction(token.rstrip("j "))
        return (Fraction(0), number) if token[-1] == "j" else (number, Fraction(0))


def _bounded(value: Complex) -> Complex:
    if any(max(part.numerator.bit_length(), part.denominator.bit_length()) > _MOST_BITS for part in value):
        raise _Stop
    return value


def _times(left: Complex, right: Complex) -> Complex:
    return _bounded(
        (left[0] * right[0] - left[1] * right[1], left[0] * right[1] + left[1] * right[0]),
    )


def _inverse(value: Complex) -> Complex:
    size = value[0] ** 2 + value[1] ** 2
    return value[0] / size, -value[1] / size


def _root(value: Complex) -> Complex:
    """The root of a real number, if its size is the square of a fraction."""
    size = abs(value[0])
    root = Fraction(isqrt(size.numerator), isqrt(size.denominator))
    if value[1] or root * root != size:
        raise _Stop
    return (root, Fraction(0)) if value[0] >= 0 else (Fraction(0), root)
