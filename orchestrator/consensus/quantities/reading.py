"""Quantities read from a text: numbers with units, shares, compound quantities, arithmetic."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from orchestrator.consensus.quantities.arithmetic import read_arithmetic
from orchestrator.consensus.quantities.compounds import read_compound
from orchestrator.consensus.quantities.counted import read_counted, share_of, without_measure
from orchestrator.consensus.quantities.foreign_numbers import foreign_prefix
from orchestrator.consensus.quantities.irrational import read_multiple
from orchestrator.consensus.quantities.moments import ordinal
from orchestrator.consensus.quantities.numbers import ONES, SCALES, Number, read_number, with_decimal_comma
from orchestrator.consensus.quantities.operations import in_signs
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.quantity import Quantity
from orchestrator.consensus.quantities.roman import read_roman
from orchestrator.consensus.quantities.spelling import plain
from orchestrator.consensus.quantities.units import NO_UNIT, SHARE, Unit, known_unit

LONGEST_QUANTITY = 80
"""Characters beyond which a text is no quantity."""

MOST_BITS = 1000
"""Of an amount's numerator and denominator: what can be a float."""

_NOTHING = Fraction(0)
_MONEY_SIGNS = {
    **{sign: sign for sign in "$€£¥₹₩₽"},
    "US$": "$",
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "CHF": "CHF",
    "CNY": "CNY",
    "A$": "A$",
    "AU$": "A$",
    "AUD": "A$",
    "C$": "CA$",
    "CA$": "CA$",
    "CAD": "CA$",
    "RS": "₹",
    "RS.": "₹",
    **{sign: sign for sign in ("R$", "HK$", "NZ$", "S$", "MXN", "SEK", "NOK", "DKK", "PLN")},
    "BRL": "R$",
    "HKD": "HK$",
    "NZD": "NZ$",
    "SGD": "S$",
    "KRW": "₩",
    "RUB": "₽",
    "RMB": "CNY",
    "FR.": "CHF",
    "BTC": "BTC",
    "₿": "BTC",
    "₺": "TRY",
    "₪": "ILS",
}
_BEGIN = lazily(
    r"(?P<sign>[-+−–]|(?:minus|negative)\s|)\s*"
    rf"(?P<money>(?:{'|'.join(sorted(map(re.escape, _MONEY_SIGNS), key=len, reverse=True))})(?![a-z])|)"
    r"\s*(?P<sign2>[-−]?)",
    re.IGNORECASE,
)
_ABOUT = lazily(
    r"^(?:about|approximately|approx\.?|around|roughly|nearly|almost|circa|some|precisely|≈|~|=|exactly"
    r"|an?(?=\s\d[\d.]*\s?%\s)|(?:an?|the)\s(?:probability|chance|likelihood)\s(?:of|is)"
    r"|a\stotal\sof|in\stotal|(?:AD|A\.D\.)(?=\s*\d{1,4}$)|in(?=\s\d{4}$)"
    r"|(?:in\s)?(?:the\s)?year(?=\s\d+$))"
    r"\s*(?=\S)",
    re.IGNORECASE,
)
_NAMED = lazily(
    r"(?:\[(?P<ion>[^\[\]\s]{1,12})\]|(?P<name>\\?(?!pH\b"
    r"|[a-zA-Z]\()[^\W\d_]{1,12}(?:_?\{?\w{1,8}\}?)?))\s*(?:=|≈|:(?=\s))\s*(?=[^=\s])"
)
_EXCLAIMED = lazily(r"(?:(?<=[^\W\d_])|(?<=[.,]\d\d\d)|(?<=\.\d)|(?<=\.\d\d))!+$")
_EVENLY = lazily(
    r"(?:a\s)?(?:50[-–/]50|fifty[\s-]fifty)\s(?:chance|odds|shot|probability)|fifty[\s-]fifty", re.IGNORECASE
)
_EVENLY_OR_ONE = lazily(r"50\s?[-–/]\s?50")
_LEFT = lazily(r"(?:\d/\d+|\bof\s+\d+)\b.*\b(?:left|remain(?:s|ing)?)$")
_CONGRUENT = lazily(r"\s*\(\s*\\?p?mod\s*\{?(\d{1,9})\}?\s*\)$")
_DECADE = lazily(r"[12]\d\d0['’]?s")
_ONE = lazily(r"an?\s+", re.IGNORECASE)
_AND_PART = lazily(
    r"\s+and\s+(?:(?P<one>an?|one)|(?P<three>three))[\s-](?P<part>half|quarters?|thirds?)$", re.IGNORECASE
)
_FIGURES = lazily(r"^[\d,]+")
_FIRST_WORD = lazily(r"[\W\d_]")
_FIRST_WORDS = {*ONES, "a", "an", "half", "point", "hundred", "dozen", "gross", "pi", "π"}
_PARTS = {"half": 2, "quarter": 4, "quarters": 4, "third": 3, "thirds": 3}
_ODDS = lazily(
    r"(?P<some>\w+|\d[\d,]*)(?:\s+(?:in|out\s+of|of)\s+|-(?:in|out-of)-)(?:every\s+)?(?P<all>an?\s+\w+"
    r"|\d[\d,]*|\w+)"
    r"(?:\s(?P<whom>[^\W\d_]{3,}))?",
    re.IGNORECASE,
)
_PI = lazily(
    r"(?P<times>\d+(?:\.\d+)?(?:/\d{1,9})?)?\s*(?:π|pi)\s*(?:/\s*(?P<below>[1-9]\d{0,8}))?\s*rad(?:ian)?s?",
    re.IGNORECASE,
)


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
    if (named := _NAMED.match(text)) is not None:
        found = read_quantity(text[named.end() :])
        if found is None or found.name or (not found.unit and len(named["name"] or "long") > 3):
            return None
        return found if found.unit else replace(found, name=named["name"].replace("_", ""))
    text = _EXCLAIMED.sub("", _ABOUT.sub("", text, count=1)) if text else text
    if not text or len(text) > LONGEST_QUANTITY or _DECADE.fullmatch(text):
        return None
    if _EVENLY.fullmatch(text):
        return Quantity(Fraction(1, 2))
    if _EVENLY_OR_ONE.fullmatch(text):
        return None  # alone, it may be a chance or a quotient
    if _LEFT.search(text):
        return None  # of a share it matters whether it is what is left
    if congruent := _CONGRUENT.search(text):
        found = read_quantity(text[: congruent.start()])
        return found and replace(found, of=f"mod {congruent[1]}")
    if "-" in text and ordinal(text) is not None:
        return None  # thirty-second
    if (numeral := read_roman(text)) is not None:
        return Quantity(Fraction(numeral))
    begin = _BEGIN.match(text)
    assert begin is not None
    body = text[begin.end() :]
    if begin["money"]:
        money = _MONEY_SIGNS[begin["money"].upper()]
        found = _with_unit(body, money) or _with_decimal_comma(body, money)
        if found is None and money in ("$", "€", "£"):
            found = _compound(_FIGURES.sub(rf"\g<0> {money}", body))  # $5 and 25 cents
    elif (whole := _arithmetic(text)) is not None:
        return whole
    elif (found := _multiple(body)) is not None:
        pass
    elif body[:1].isalpha() and _FIRST_WORD.split(body, 1)[0].casefold() not in _FIRST_WORDS:
        found = _foreign(body)  # None for most claims in words
    else:
        found = _odds(body) or _with_unit(body) or _with_decimal_comma(body) or _compound(body)
    negative = (begin["sign"] not in ("", "+")) != bool(begin["sign2"])
    return _negated(found) if negative and found is not None else found


def _negated(found: Quantity) -> Quantity:
    return replace(found, value=-found.value)


def _made(
    value: Fraction, unit: Unit, rounding: Fraction, of: str = "", letter: bool = False
) -> Quantity | None:
    """The quantity, unless it is too large to be compared."""
    bits = value.numerator.bit_length() + unit.scale.numerator.bit_length()
    if bits > MOST_BITS or value.denominator.bit_length() + unit.scale.denominator.bit_length() > MOST_BITS:
        return None
    return Quantity(value, unit.dimension, unit.scale, unit.offset, rounding, of, letter)


def _with_unit(body: str, money: str = "") -> Quantity | None:
    number = read_number(body, money=bool(money))
    return _of_one(body) if number is None else _with_rest(number, body, money)


def _foreign(body: str) -> Quantity | None:
    """A number in words of another language, alone or with a known unit."""
    number = foreign_prefix(body)
    if number is None:
        return None
    value, end = number
    rest = body[end:].strip()
    unit = known_unit(rest) if rest else NO_UNIT
    if unit is None and not rest.isascii() and len(rest.split()) == 1:
        unit = Unit(rest)
    return None if unit is None else _made(Fraction(value), unit, _NOTHING)


def _of_one(body: str) -> Quantity | None:
    """An hour, which is one, also with a part: an hour and a half."""
    one = _ONE.match(body)
    if one is None:
        return None
    part = _AND_PART.search(body)
    unit = known_unit(body[one.end() : part.start() if part else None])
    if unit is None or unit == NO_UNIT:
        return None
    return _made(1 + _part(part), unit, _NOTHING)


def _with_rest(number: Number, body: str, money: str) -> Quantity | None:
    rest = body[number.end :]
    part = _AND_PART.search(rest)  # two hours and a half
    counted = read_counted(rest[: part.start()] if part else rest, money)
    if counted is None:
        return None
    unit, of = counted
    if of and unit == NO_UNIT and abs(number.value) > 1:  # 5 of the apples
        unit, of = Unit(of), ""
    letter = len(rest) == 1 and rest.isalpha() and rest < "\u2e80"
    return _made(number.value + _part(part), unit, number.rounding, of, letter)


def _part(match: re.Match[str] | None) -> Fraction:
    if match is None:
        return _NOTHING
    return Fraction(3 if match["three"] else 1, _PARTS[match["part"].casefold()])


def _with_decimal_comma(body: str, money: str = "") -> Quantity | None:
    """A number with a decimal comma, only where it shows that it is no list: a known unit behind it, as in
    3,5 m, or a 0 before it, as in 0,4."""
    pointed = with_decimal_comma(body)
    number = None if pointed is None else read_number(pointed, money=bool(money))
    if pointed is None or number is None:
        return None
    if not money and not pointed.startswith("0.") and known_unit(pointed[number.end :]) in (None, NO_UNIT):
        return None
    return _with_rest(number, pointed, money)


def _compound(body: str) -> Quantity | None:
    """A quantity in several units, the larger first: "2 hours 30 minutes", "5 ft 10 in"."""
    body, of = without_measure(body)
    total = read_compound(body)
    return None if total is None else _made(*total, _NOTHING, of)


def _arithmetic(text: str) -> Quantity | None:
    found = read_arithmetic(in_signs(text))
    if found is None:
        return None
    value, end, read = found
    rest = read[end:]
    counted = read_counted(rest, "")
    if counted is None or (rest[:1].isalpha() and counted[0].dimension not in ("°", SHARE)):
        return None  # 2^10x
    return _made(value, counted[0], _NOTHING, counted[1])


def _multiple(body: str) -> Quantity | None:
    """A multiple of a root or of π, with its unit: 25π cm², 2√3."""
    if not any(sign in body for sign in ("√", "π", "pi", "sqrt")):
        return None
    multiple = read_multiple(body)
    if multiple is None or (angle := _of_pi(body)) is not None:
        return None if multiple is None else angle
    value, times, end = multiple
    counted = read_counted(body[end:], "")
    if counted is None or (body[end : end + 1].isalpha() and counted[0] == NO_UNIT):
        return None
    found = _made(value, counted[0], _NOTHING, counted[1])
    return found and replace(found, times=times)


def _odds(text: str) -> Quantity | None:
    """A share in words: "1 in 4", "3 out of 4", "one in a million", "one in ten patients"."""
    match = _ODDS.fullmatch(text)
    if match is None:
        return None
    some, every = read_number(match["some"]), read_number(match["all"])
    if some is None or every is None or not every.value:
        return None
    if some.end != len(match["some"]) or every.end != len(match["all"]):
        return None
    return _made(some.value / every.value, NO_UNIT, _NOTHING, share_of(match["whom"] or ""))


def _of_pi(text: str) -> Quantity | None:
    """A multiple of π in radians, which is one of 180 degrees."""
    match = _PI.fullmatch(text)
    if match is None:
        return None
    above, _, below = (match["times"] or "1").partition("/")
    if not int(below or 1):
        return None
    value = Fraction(above) / int(below or 1) / int(match["below"] or 1)
    return _made(value, Unit("°", Fraction(180)), _NOTHING)


def is_unit(word: str) -> bool:
    """Whether ``word`` is a unit whose size is known, such as "km", "hours" or "m/s²"."""
    return bool(word) and known_unit(word) is not None


def is_scale(word: str) -> bool:
    """Whether ``word`` multiplies the number before it, as "million" does."""
    return word.casefold() in SCALES
