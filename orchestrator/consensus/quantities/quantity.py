"""Quantities: a number with its unit, read from a text, and whether two of them are the same answer."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from orchestrator.consensus.quantities.arithmetic import read_arithmetic
from orchestrator.consensus.quantities.compounds import read_compound
from orchestrator.consensus.quantities.moments import ordinal
from orchestrator.consensus.quantities.numbers import ONES, SCALES, Number, read_number, with_decimal_comma
from orchestrator.consensus.quantities.roman import read_roman
from orchestrator.consensus.quantities.spelling import plain
from orchestrator.consensus.quantities.units import NO_UNIT, SHARE, Unit, known_unit, singular

LONGEST_QUANTITY = 80
"""Characters beyond which a text is no quantity."""

MOST_BITS = 1000
"""Of an amount's numerator and denominator: what can be a float."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, its unit's dimension, and the unit's scale and offset to the base units.

    ``value * scale + offset`` is the amount in base units. ``unit`` is empty for a bare number, the dimension
    for a known unit, and the word itself for an unknown one. ``rounding`` is half a unit of the last decimal
    written; 0 for whole numbers and fractions. ``letter`` says that the unit is one letter without a space,
    which may be a variable: 2m.
    """

    value: Fraction
    unit: str = ""
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    rounding: Fraction = Fraction(0)
    letter: bool = False
    size: float = field(init=False, compare=False)
    amount: Fraction = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Both are used in every comparison, and exact arithmetic is slow.
        amount = self.value if self.scale == 1 else self.value * self.scale
        object.__setattr__(self, "amount", amount + self.offset if self.offset else amount)
        object.__setattr__(self, "size", float(self.amount))


_MONEY_SIGNS = {
    **{sign: sign for sign in "$€£¥₹₩₽"},
    **{"US$": "$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CHF": "CHF", "CNY": "CNY"},
    **{"A$": "A$", "AU$": "A$", "AUD": "A$", "C$": "CA$", "CA$": "CA$", "CAD": "CA$", "RS": "₹", "RS.": "₹"},
}
_BEGIN = re.compile(
    r"(?P<sign>[-+−–]|(?:minus|negative)\s|)\s*"
    rf"(?P<money>(?:{'|'.join(sorted(map(re.escape, _MONEY_SIGNS), key=len, reverse=True))})(?![a-z])|)"
    r"\s*(?P<sign2>[-−]?)(?P<inner>\(?)",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^(?:about|approximately|approx\.?|around|roughly|nearly|almost|circa|some|precisely|≈|~|=|exactly"
    r"|a\stotal\sof|in\stotal|(?:AD|A\.D\.)(?=\s*\d{1,4}$)|in(?=\s\d{4}$)|(?:in\s)?(?:the\s)?year(?=\s\d+$))\s*(?=\S)",
    re.IGNORECASE,
)
_OF_THEM = re.compile(
    r"(?:^|\s+)(?:of\s+(?:them|it|these|those|this|that|all|all\s+of\s+them|the\s+(?:total|whole|time))"
    r"|in\s+(?:total|all)|altogether|overall|each|total|left|exactly|AD|CE|A\.D|C\.E)$",
    re.IGNORECASE,
)
_NO_NOUNS = frozenset(
    "or and to in of out plus minus times than is not per bc bce more less fewer ago later st nd rd th".split()
)
_OF_ONE = re.compile(r"(?:of\s+)?an?\s+", re.IGNORECASE)  # half an hour, three quarters of an hour
_DECADE = re.compile(r"[12]\d\d0['’]?s")
_HALF_AFTER = re.compile(
    r"\s+and\s+(?:(?P<one>an?|one)|(?P<three>three))[\s-](?P<part>half|quarters?|thirds?)$", re.IGNORECASE
)
_PARTS = {"half": 2, "quarter": 4, "quarters": 4, "third": 3, "thirds": 3}
_ODDS = re.compile(
    r"(?P<some>\w+|\d[\d,]*)\s+(?:in|out\s+of|of)\s+(?:every\s+)?(?P<all>an?\s+\w+|\d[\d,]*|\w+)"
    r"(?:\s(?P<kind>[^\W\d_]{3,}))?",
    re.IGNORECASE,
)
_OF_WHOM = re.compile(
    r"of\s+(?:(?:all|the|its|his|her|their|our|these|those|all\s+the)\s+)*(?P<kind>[^\W\d_]{3,}(?:\s[^\W\d_]{3,})?)"
)
_EXCLAIMED = re.compile(r"(?:(?<=[^\W\d_])|(?<=[.,]\d\d\d)|(?<=\.\d)|(?<=\.\d\d))!+$")
_DIMENSIONS = re.compile(
    r"\s+(?:tall|long|wide|high|deep|old|thick|away|heavy|in\s(?:length|height|width|depth|diameter|weight|area))$"
)
_OF_A_KIND = re.compile(
    r"(?P<noun>[^\W\d_][\w'’-]+)\s+(?:below|under|above|over|between|in|of|from|on|at|for|with)\s\S"
)
_PI = re.compile(r"(?P<before>[\d./]*)\s*(?:π|pi)\s*(?:/\s*(?P<below>\d+))?\s*rad(?:ian)?s?", re.IGNORECASE)


def parse_quantity(text: str) -> Quantity | None:
    """The quantity that ``text`` is, or None if it is anything else.

    An unknown word after the number ("72 clips") is what is counted: it becomes the unit as it stands. More
    than that is a sentence, except for where what is counted is: "10 primes below 30".
    """
    if len(text) > 4 * LONGEST_QUANTITY:
        return None
    return read_quantity(plain(text).rstrip(". "))


def read_quantity(text: str) -> Quantity | None:
    """As :func:`parse_quantity`, of a text without LaTeX."""
    text = _EXCLAIMED.sub("", _ABOUT.sub("", text, count=1)) if text else text
    if not text or len(text) > LONGEST_QUANTITY or _DECADE.fullmatch(text):
        return None
    if (numeral := read_roman(text)) is not None:
        return Quantity(Fraction(numeral))
    begin = _BEGIN.match(text)
    assert begin is not None
    if begin.end() == len(text):
        return None
    if begin["inner"]:  # an expression in brackets
        return _arithmetic(text)
    negative = (begin["sign"] not in ("", "+")) != bool(begin["sign2"])
    money = _MONEY_SIGNS[begin["money"].upper()] if begin["money"] else ""
    body = text[begin.end() :]
    if money or not (found := _arithmetic(text)):
        found = (
            _with_unit(body, money) or _with_decimal_comma(body, money) or (None if money else _odds(body))
        )
        found = found or (None if money else _of_pi(body))
        if found is not None and negative:
            found = _made(
                -found.value, Unit(found.unit, found.scale, found.offset), found.rounding, found.letter
            )
    return found


def _of_pi(text: str) -> Quantity | None:
    """A multiple of π in radians, which is one of 180 degrees."""
    match = _PI.fullmatch(text)
    if match is None:
        return None
    times = read_number(match["before"]) if match["before"] else Number(Fraction(1), Fraction(0), 0)
    below = int(match["below"] or 1)
    return times and below and _made(times.value / below, Unit("°", Fraction(180)), Fraction(0)) or None


def _made(value: Fraction, unit: Unit, rounding: Fraction, letter: bool = False) -> Quantity | None:
    """The quantity, unless it is too large to be compared."""
    bits = value.numerator.bit_length() + unit.scale.numerator.bit_length()
    if bits > MOST_BITS or value.denominator.bit_length() + unit.scale.denominator.bit_length() > MOST_BITS:
        return None
    return Quantity(value, unit.dimension, unit.scale, unit.offset, rounding, letter)


def _with_unit(body: str, money: str) -> Quantity | None:
    number = read_number(body, money=bool(money))
    if number is None:  # an hour is one
        one = _OF_ONE.match(body)
        if one is None or body[0] not in "aA":
            return None
        half = _HALF_AFTER.search(body)
        unit = known_unit(body[one.end() : half.start() if half else None])
        value = 1 + (_half(half) if half else 0)
        return None if unit in (None, NO_UNIT) or unit is None else _made(Fraction(value), unit, Fraction(0))
    return _with_rest(number, body, money) or (None if money else _compound(body))


def _with_rest(number: Number, body: str, money: str) -> Quantity | None:
    rest = body[number.end :]
    value = number.value
    if half := _HALF_AFTER.search(rest):  # an hour and a half
        value += _half(half)
        rest = rest[: half.start()]
    if rest[:2].casefold() in ("st", "nd", "rd", "th") and not rest[2:3].isalpha():
        return None  # 21st
    whom = _OF_WHOM.fullmatch(rest.strip()) if rest and not _OF_THEM.search(rest) else None
    if rest[:1] == "%" or rest.strip()[:7].casefold() == "percent":
        after = rest.strip().partition("%" if "%" in rest else rest.strip()[:7])[2].strip()
        whom = _OF_WHOM.fullmatch(after) if not _OF_THEM.search(after) else None
        value = value / 100 if whom else value
    if whom:
        return _made(value, _of(whom["kind"]), number.rounding) if abs(value) <= 1 else None
    unit = _unit(rest, money)
    if unit is None:
        return None
    letter = len(rest) == 1 and rest.isalpha()
    return _made(value, unit, number.rounding, letter)


def _half(match: re.Match[str]) -> Fraction:
    return Fraction(3 if match["three"] else 1, _PARTS[match["part"].casefold()])


def _of(kind: str) -> Unit:
    """The unit of a share of what is named."""
    return Unit("of " + " ".join(singular(word) for word in kind.casefold().split()))


def _with_decimal_comma(body: str, money: str) -> Quantity | None:
    """A number with a decimal comma, only where the known unit behind it shows that it is no list: 3,5 m."""
    pointed = with_decimal_comma(body)
    if pointed is None:
        return None
    number = read_number(pointed, money=bool(money))
    if number is None:
        return None
    if not money and known_unit(pointed[number.end :]) in (None, NO_UNIT):
        return None
    return _with_rest(number, pointed, money)


def _compound(body: str) -> Quantity | None:
    """A quantity in several units, the larger first: "2 hours 30 minutes", "5 ft 10 in"."""
    total = read_compound(body)
    return total and _made(total[0], total[1], Fraction(0))


def _arithmetic(text: str) -> Quantity | None:
    found = read_arithmetic(text)
    if found is None:
        return None
    value, end, read = found
    unit = _unit(read[end:], "")
    if unit is None or (
        read[end:].strip() and read[end : end + 1] != " " and unit.dimension not in ("°", SHARE)
    ):
        return None  # 2^10x
    return _made(value, unit, Fraction(0))


def _odds(text: str) -> Quantity | None:
    """A share in words: "1 in 4", "3 out of 4", "one in a million"."""
    match = _ODDS.fullmatch(text)
    if match is None:
        return None
    some, all_ = read_number(match["some"]), read_number(match["all"])
    if some is None or all_ is None or some.end != len(match["some"]) or all_.end != len(match["all"]):
        return None
    unit = _of(match["kind"]) if match["kind"] else NO_UNIT
    return _made(some.value / all_.value, unit, Fraction(0)) if all_.value else None


def _unit(text: str, money: str) -> Unit | None:
    """The unit after a number; an unknown word is its own dimension; None for more than a unit."""
    text = text.strip(" .")
    if text[-1:] == "!" and len(text) > 1:
        text = text.rstrip("!")
    if money:
        return _unit_of_money(text, money)
    if not text:
        return NO_UNIT
    if text[0] == "-" and text[1:2].isalpha():  # a 5-hour flight
        text = text[1:]
    known = known_unit(text)
    if known is not None:
        return known
    bare = _DIMENSIONS.sub("", text)
    if bare != text and (unit := known_unit(bare)) is not None:
        return unit
    bare = _OF_THEM.sub("", text).strip()
    if bare != text:
        return _unit(bare, money)
    if one := _OF_ONE.match(text):
        return known_unit(text[one.end() :])
    words = text.casefold().split()
    if not words or words[0] in _NO_NOUNS or words[0] in ONES or words[0] in SCALES or ordinal(words[0]):
        return None
    if len(words) > 2:
        kind = _OF_A_KIND.match(text)
        if len(words) > 6 or kind is None or known_unit(kind["noun"]) or not _is_word(words[0]):
            return None
        return Unit(" ".join(words[:1] and [singular(words[0])] + words[1:]))
    if not all(map(_is_word, words)):
        return None
    return Unit(" ".join(singular(word) for word in words))


def _unit_of_money(text: str, money: str) -> Unit | None:
    """The currency, with what it is for if that follows a slash: "$3.50 each", "$3.50 USD", "$5/h"."""
    unit = known_unit(money)
    if not text or unit is None:
        return unit
    named = known_unit(f"{money}{text}" if text[0] in "/" or text[:4] == "per " else text)
    if named is not None:
        return named if named.dimension == unit.dimension or "^" in named.dimension else None
    if "/" in text or re.match(r"per\s|an?\s", text, re.IGNORECASE):
        return known_unit(f"{money} per {text.lstrip('/').partition(' ')[2] or text.lstrip('/')}")
    words = text.split()
    return (
        unit if len(words) <= 2 and words[0].casefold() not in SCALES and all(map(_is_word, words)) else None
    )


def _is_word(text: str) -> bool:
    return len(text) > 1 and text[0].isalpha() and all(char.isalpha() or char in "'’-" for char in text)


def is_unit(word: str) -> bool:
    """Whether ``word`` is a unit whose size is known, such as "km", "hours" or "m/s²"."""
    return bool(word) and known_unit(word) is not None


def is_scale(word: str) -> bool:
    """Whether ``word`` multiplies the number before it, as "million" does."""
    return word.casefold() in SCALES


def same_quantity(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities are the same answer.

    Equal amounts are equal in any unit of one dimension. A number without a unit equals the same number
    with one ("72" and "72 clips"), and a percentage equals its share ("50%" and "0.5"). A decimal fraction
    with at least three digits equals the exact value that it rounds.
    """
    if a.unit == b.unit:
        return abs(a.size - b.size) <= 0.01 * abs(a.size) and _close(a, a.amount, b, b.amount)
    if a.unit and b.unit:
        if SHARE in (a.unit, b.unit):
            return "of " in (a.unit[:3], b.unit[:3]) and _close(a, a.amount, b, b.amount)
        return _counts(a.unit, b.unit) and _close(a, a.value, b, b.value)
    if not (a.letter or b.letter) and _close(a, a.value, b, b.value, units=False):
        return True
    return SHARE in (a.unit, b.unit) and _close(a, a.amount, b, b.amount)


def contrary(a: Quantity | None, b: Quantity | None) -> bool:
    """Whether no quantity can be both, however it is written: the units differ, or the values in one unit."""
    if a is None or b is None or bool(a.unit) != bool(b.unit):
        return False
    if a.unit != b.unit:
        return not _counts(a.unit, b.unit)
    return abs(a.amount - b.amount) > a.rounding * a.scale + b.rounding * b.scale


def _counts(a: str, b: str) -> bool:
    """Whether one name of what is counted is the other with an adjective ("red marble" and "marble")."""
    words, others = a.split(), b.split()
    return words[-1] == others[-1] and (len(words) == 1 or len(others) == 1)


def _close(a: Quantity, left: Fraction, b: Quantity, right: Fraction, *, units: bool = True) -> bool:
    """Whether two amounts are equal, or one is the other correctly rounded to at least three digits."""
    if left == right:
        return True
    if bool(a.rounding) == bool(b.rounding):
        return False
    rounded = a if a.rounding else b
    exact = right if a.rounding else left
    scale = rounded.scale if units else Fraction(1)
    written = abs(rounded.value) >= 200 * rounded.rounding
    return exact.denominator != 1 and written and abs(left - right) <= rounded.rounding * scale
