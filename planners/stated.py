"""The values that results state: numbers with their units, dates and times, in JSON and in prose."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.quantities import SCALES, Quantity, interpret
from orchestrator.consensus.quantities.numbers import ONES
from orchestrator.consensus.quantities.unit_tables import BASES, SHARE
from orchestrator.consensus.reading.languages import language_of
from orchestrator.consensus.reading.spelling import folded, plain
from orchestrator.consensus.thinking import split_thinking

LONGEST = 4_000
"""Characters of a text beyond which no value is looked for in it."""

MOST = 32
"""Values after which no more are looked for: it is not one that is stated."""

PROPER, PLAIN, ASIDE = 0, 1, 2
"""How likely a figure is what a text states: with a unit or as a whole date; alone; the year of something."""

_MOMENTS = frozenset({"date", "date and time", "clock", "clock of either half", "year"})
_SEVERAL = frozenset({"range", "set", "list", "alternatives", "change"})
_MOST_WORDS = 8
_SOME = re.compile(r"\W*(?:one|two|some|many|most|few|part|half) of\b", re.IGNORECASE)
_BOUNDARY = re.compile(
    r"[\[\]{}\"“”;|\n\t]|,\s+(?![12]\d{3}\b)|[.!?](?=\s+[^\sa-z]|\s*$)|:\s"
    r"|\s[—–-]\s|\s(?:and|but|while)\s"
)
_PARENTHESES = re.compile(r"\(([^()]*)\)")
_WORD = re.compile(r"\S+")
_BELOW_ZERO = re.compile(
    r"(?<![\w.,-])(?=\d)([\d.,]*\d(?:\s*°\s*[CF]?| degrees?(?: (?:celsius|fahrenheit))?)?) below zero\b",
    re.IGNORECASE,
)
_TWO = re.compile(
    r"(?<![\w.,:/-])(?P<low>\d[\d.,]*)(?P<between> (?:to|or|and) | ?(?:±|\+/-) ?)(?P<high>\d[\d.,]*)"
    r"(?P<unit> ?(?:%|°[CF]?|[^\W\d_]+))"
)
_YEAR = re.compile(r"[12]\d{3}")
_DIVIDED = re.compile(r"\d[.,'’ \u00a0\u202f]\d")
_SCALED = re.compile(rf"\d\s*(?:[kKM]\b|(?:{'|'.join(SCALES)})\b)", re.IGNORECASE)
_CONCLUDES = re.compile(r"\b(?:so|thus|hence|therefore|total|altogether|in all|answer)\b|=", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\sa-z])|\n+")
_WORDS_OF_TIME = "in since by from until till during of year years circa c. around after before"
_OF_TIME = frozenset(_WORDS_OF_TIME.split())
_WORDS_BETWEEN = (
    "a about across after again all also an are as at because been before began being both but by can did "
    "during each ended ever far for from had has have he her his how if inside into is it its largest last "
    "lies live lived lives made main many may most near next not now on only opened or other our over she "
    "since so some such than that their them then there these they this those through to today under until "
    "up was we were what when where which who whose will with would you"
)
_NO_UNITS = frozenset(_WORDS_BETWEEN.split())
_NUMERALS = frozenset({*ONES, *SCALES})
_NUMBER_AND_UNIT = re.compile(
    r"(?P<money>[$€£¥₹])?\s?(?:\d(?:[\d.,'’ \u00a0\u202f]*\d)?\s?[¼½¾⅐-⅞]?|[¼½¾⅐-⅞])"
    r"(?:e[+-]?\d+|\s?[×x*·]\s?10\s?(?:\^|\*\*)\s?[-+−]?\d+)?\s*"
    rf"(?:(?:{'|'.join(SCALES)})\b\.?\s*)?(?P<unit>[^\d]*(?:(?<=[^\W\d_])[23](?!\d))?)",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    r"\s+(?:(?:in|of) \w+|tall|high|long|wide|broad|deep|old|thick|heavy|away|apart|across)$"
)
_JOINING = re.compile(r"(?:,|\s+and|\s+&)?\s*$")
"""What stands between two units of one value: 3 hours and 20 minutes."""
_UNIT_KEYS = frozenset({"unit", "units", "currency"})
_TIME_KEYS = re.compile(r"\b(?:years?|dates?|day|as of|updated|time)\b")
_NAMING_KEYS = re.compile(r"\b(?:id|rank|index|no|number of results|page|zip|postcode|lat\w*|lon\w*|lng)\b")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is written, and what it is: a quantity, a moment (a kind and a key), or either of them.

    ``weight`` is one of :data:`PROPER`, :data:`PLAIN` and :data:`ASIDE`; ``bracketed`` says that it stands in
    parentheses, like a conversion.
    """

    text: str
    quantity: Quantity | None = None
    moment: tuple[str, tuple[object, ...]] | None = None
    weight: int = PROPER
    bracketed: bool = False

    @property
    def kind(self) -> str:
        """The dimension of its unit, ``""`` for a bare or counted number, ``"moment"`` for a date or time."""
        if self.quantity is None:
            return "moment"
        return self.quantity.unit if is_known(self.quantity.unit) else ""


def is_known(unit: str) -> bool:
    """Whether a unit is one whose size is known, not the word for what is counted."""
    return unit == SHARE or unit in BASES or "·" in unit or "^" in unit


def values_in(result: object) -> list[Value]:
    """All values that a result states, those first that are the likeliest to be meant."""
    found: list[Value] = []
    for value in islice(_values(result), MOST):
        if not any(_repeats(value, other) for other in found):
            found.append(value)
    return sorted(found, key=lambda value: value.weight)


def likeliest(values: list[Value]) -> list[Value]:
    """Those of several values that nothing tells apart: one, if it is clear what is stated."""
    return [value for value in values if value.weight == values[0].weight]


def _repeats(value: Value, other: Value) -> bool:
    """Whether a value is there already: the same, or a conversion of it in parentheses."""
    a, b = value.quantity, other.quantity
    if a is None or b is None:
        return a is b and value.moment == other.moment
    near = abs(a.amount - b.amount) <= abs(b.amount) / 100
    return a.unit == b.unit and (a.amount == b.amount or (value.bracketed and near))


def _values(result: object) -> Iterator[Value]:
    match result:
        case None | bool():
            return
        case int() | float():
            yield from _whole(f"{result:.15g}" if isinstance(result, float) else str(result))
        case str() if len(result) <= LONGEST:
            yield from _in_text(result)
        case Mapping():
            yield from _in_record(result)
        case list():
            for item in result:
                yield from _values(item)


# -- records --------------------------------------------------------------------------------------


def _in_record(record: Mapping[str, object]) -> Iterator[Value]:
    unit = next((str(value) for key, value in record.items() if key.casefold() in _UNIT_KEYS), "")
    for key, value in record.items():
        if key.casefold() in _UNIT_KEYS or isinstance(value, bool):
            continue
        words = key.casefold().replace("_", " ").replace("-", " ")
        if isinstance(value, Mapping | list):
            yield from _values(value)
            continue
        aside = _TIME_KEYS.search(words) or _NAMING_KEYS.search(words)
        named = "" if aside else unit or words.partition(" ")[2].rpartition(" ")[2]
        found = _with_unit(value, named) if _is_number(value) else _whole(str(value))
        for each in found:
            yield replace(each, weight=ASIDE if aside else each.weight)


def _with_unit(value: object, unit: str) -> list[Value]:
    joined = _whole(f"{value} {unit}") if unit else []
    return joined if joined and joined[0].kind else _whole(f"{value}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def name_in(result: object) -> str:
    """The name that a record gives to its value: its only text that states none; else empty."""
    if not isinstance(result, Mapping):
        return ""
    fields = [value for key, value in result.items() if key.casefold() not in _UNIT_KEYS]
    names = [value for value in fields if isinstance(value, str) and value.strip() and not _states(value)]
    return names[0] if len(names) == 1 and any(map(_states, fields)) else ""


def _states(value: object) -> bool:
    return any(each.weight < ASIDE for each in _values(value))


# -- prose ----------------------------------------------------------------------------------------


def _whole(text: str) -> list[Value]:
    """The value or the values that a text is, whole; none if it is anything else."""
    if _SOME.match(text):
        return []
    quantity, meaning = interpret(text)
    moment = (meaning.kind, meaning.key) if meaning is not None and meaning.kind in _MOMENTS else None
    if moment is not None and quantity is not None and quantity.unit != "s":
        quantity = None  # 3 pm, which is no length
    if quantity is not None or moment is not None:
        return [Value(text, quantity, moment, _weight(text, quantity, moment))]
    if meaning is not None and meaning.kind in _SEVERAL:
        return [Value(f"{text} ({shown(part.value)})", part) for part in meaning.parts]
    return []


def _weight(text: str, quantity: Quantity | None, moment: tuple[str, tuple[object, ...]] | None) -> int:
    if moment is not None:
        return ASIDE if moment[0] == "date" and not moment[1][2] else PROPER
    assert quantity is not None
    if quantity.unit and not _YEAR.fullmatch(text.split()[0]):
        return PROPER
    return PROPER if is_known(quantity.unit) or _DIVIDED.search(text) or _SCALED.search(text) else PLAIN


def _in_text(text: str) -> list[Value]:
    text = split_thinking(text).answer.strip()
    if text[:1] in ("{", "["):
        try:
            return list(_values(json.loads(text)))
        except (ValueError, RecursionError):
            pass
    text = _BELOW_ZERO.sub(r"-\1", text)
    if whole := _stated(text):
        found = _scanned(text)  # which leaves out "the price is"
        return found if len(found) == 1 == len(whole) and _repeats(found[0], whole[0]) else whole
    claim = extract_claim(text)
    if claim is not None and claim.how in ("boxed", "json", "marker"):
        text = claim.text
    text = folded(text)
    text = plain(text, language_of(text))
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
    if len(sentences) > 1 and _CONCLUDES.search(sentences[-1]) and (found := _scanned(sentences[-1])):
        return found
    return _scanned(text)


def _stated(text: str) -> list[Value]:
    """What a text states as a whole; 5,3 Millionen is one value where that is how numbers are written."""
    whole = _whole(text.rstrip("."))
    if len(whole) > 1 and (language := language_of(text)).comma:
        one = _whole(plain(folded(text.rstrip(".")), language))
        return one if len(one) == 1 else whole
    return whole


def _with_both_units(match: re.Match[str]) -> str:
    """Two numbers that share a unit, as "2 to 3 hours", with it after each of them."""
    low, between, high, unit = match.group("low", "between", "high", "unit")
    is_year = _YEAR.fullmatch(low) and not _YEAR.fullmatch(high)
    if is_year or unit.strip().casefold() in _NO_UNITS | _OF_TIME:
        return match[0]
    return f"{low}{unit}{between}{high}{unit}"


def _scanned(text: str) -> list[Value]:
    """All values in a text, in the order in which they stand, those in parentheses last."""
    text = _TWO.sub(_with_both_units, text)
    asides = [inside for match in _PARENTHESES.finditer(text) for inside in _parts(match[1])]
    rest = _parts(_PARENTHESES.sub(" ", text))
    for numerals in (False, True):  # a number in words counts only where there is none in figures
        figures = (value for part in rest for value in _in_part(part, numerals=numerals))
        found = list(islice(figures, MOST))
        for part in asides:
            inside = _in_part(part, numerals=numerals, aside=True)
            found += [replace(value, bracketed=True) for value in inside]
        if found:
            return found
    return []


def _parts(text: str) -> list[str]:
    return [part.rpartition("=")[2] for part in _BOUNDARY.split(text) if part.strip()]


def _in_part(part: str, *, numerals: bool, aside: bool = False) -> Iterator[Value]:
    words = [word.group().strip("(),:;!?*_`'\"") for word in _WORD.finditer(part)]
    at = 0
    while at < len(words):
        begins = _in_words(words, at) if numerals else _may_begin(words, at)
        found, taken = _longest(words[at : at + _MOST_WORDS]) if begins else ([], 1)
        before = words[at - 1] if at else ""
        for value in found:
            year = _YEAR.fullmatch(words[at]) is not None and (before.casefold() in _OF_TIME or aside)
            title = value.weight == PLAIN and before[:1].isupper() and words[at].isdigit()  # Boeing 747
            yield replace(value, text=words[at], weight=ASIDE) if year or title else value
        at += taken


def _may_begin(words: list[str], at: int) -> bool:
    """Whether a value may begin with a word: it has a figure, or the next word has one."""
    word = words[at]
    if any(map(str.isdigit, word)):
        return True
    following = at + 1 < len(words) and words[at + 1][:1].isdigit()
    return following and (not word[:1].isalnum() or len(word) > 2 or word.isupper())


def _in_words(words: list[str], at: int) -> bool:
    """Whether a word is a numeral, but not one of those in "one of the cities"."""
    return words[at].casefold().split("-")[0] in _NUMERALS and words[at + 1 : at + 2] != ["of"]


def _longest(words: list[str]) -> tuple[list[Value], int]:
    """The value that the most of these words are, and how many; none for one word if there is none."""
    for count in range(len(words), 0, -1):
        if count > 1 and not words[count - 1]:
            continue
        found = _whole(" ".join(words[:count]).rstrip("."))
        if found and (found[0].quantity is None or not _runs_on(words[:count], found[0])):
            return found, count
    return [], 1


def _runs_on(words: list[str], value: Value) -> bool:
    """Whether what follows a number is no unit, or has more after the unit that is none."""
    after = [word.casefold() for word in words[1:]]
    if value.kind:
        joined = len(after) > 1 and after[-1] in _OF_TIME and not after[-2][-1:].isdigit()  # °C in, not 11 in
        return joined or (len(after) > 1 and after[0] in _NO_UNITS)
    named = False
    for word in after:
        if word in _NO_UNITS or word in _OF_TIME or (named and any(map(str.isdigit, word))):
            return True
        named = named or (word[:1].isalpha() and word not in _NUMERALS)
    return False


def shown(value: Fraction) -> str:
    """A number in figures, exactly if that takes few."""
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{float(value):.10f}".rstrip("0").rstrip(".")
    return text if text.strip("-0.") else f"{float(value):.10g}"


def unit_text(value: Value) -> str:
    """The unit of a value as it is written, without what it measures: "km" of "5 km long"; may be empty."""
    match = _NUMBER_AND_UNIT.search(value.text)
    if match is None:
        return ""
    return match["money"] or _MEASURED.sub("", _JOINING.sub("", match["unit"])).strip()
