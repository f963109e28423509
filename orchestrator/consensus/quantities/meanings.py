"""What is more than a quantity: bounds, ranges, tolerances, negations, moments, ordinals, several values.

Each shape is a row of a table: a name, and a pattern whose groups are quantities.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache

from orchestrator.consensus.quantities.chemistry import read_chemistry
from orchestrator.consensus.quantities.clocks import on_a_day_of_24_hours
from orchestrator.consensus.quantities.directed import read_directed
from orchestrator.consensus.quantities.identifiers import read_identifier, read_ratio_of_several
from orchestrator.consensus.quantities.imaginary import read_complex
from orchestrator.consensus.quantities.intervals import read_reals
from orchestrator.consensus.quantities.matrices import read_matrix
from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.moments import located_moment, ordinal, read_moment
from orchestrator.consensus.quantities.numbers import read_number
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.quantity import Quantity
from orchestrator.consensus.quantities.reading import read_quantity
from orchestrator.consensus.quantities.sayings import read_saying
from orchestrator.consensus.quantities.several import read_named, read_several
from orchestrator.consensus.quantities.spelling import plain

LONGEST_MEANING = 120
"""Characters beyond which a text is a sentence."""


_NAME = r"(?:(?P<name>[^\W\d_](?:_?\{?\w\}?)?)\s*(?:is\s+|are\s+|must\s+be\s+)?|it\s+is\s+|is\s+)?"
_A, _B = r"(?P<a>[^\s].*?)", r"(?P<b>[^\s].*?)"
_LEAST = (
    r"at\s+least|at\s+minimum|a\s+minimum\s+of|minimum\s+of|no\s+less\s+than|not\s+less\s+than"
    r"|no\s+fewer\s+than"
    r"|not\s+below|not\s+under|not\s+(?:smaller|fewer|lower)\s+than|from\s+at\s+least|≥|>=|=>"
    r"|greater\s+than\s+or\s+equal\s+to|≧"
)
_MOST = (
    r"at\s+most|at\s+maximum|a\s+maximum\s+of|maximum\s+of|no\s+more\s+than|not\s+more\s+than"
    r"|no\s+greater\s+than"
    r"|(?:(?:must|does|do|can|may|should|will|shall)\s+not|cannot|never|can['’]t|doesn['’]t)\s+exceeds?"
    r"|not\s+(?:exceeding|(?:greater|larger|bigger|higher)\s+than)|up\s+to|not\s+above|not\s+over|≤|<=|≦"
    r"|(?:less|fewer)\s+than\s+or\s+equal\s+to"
)
_MORE = (
    r"(?:more|greater|larger|bigger|higher)\s+than|over|above|exceeding|exceeds?|(?:must|should)\s+exceed"
    r"|surpass(?:es)?|upwards\s+of|>"
)
_LESS = r"(?:less|fewer|smaller|lower)\s+than|under|below|<"
_OR_MORE = (
    r"or\s+(?:more|greater|higher|above|over|larger|older|longer|later)|and\s+(?:above|up|over)|\+|plus"
)
_OR_LESS = r"or\s+(?:less|fewer|lower|below|under|smaller|younger|shorter|earlier)|and\s+(?:below|under)"
_TO = r"\s+to\s+|\s+through\s+|\s+thru\s+|\s*\.\.\.?\s*|\s+till\s+|\s+until\s+"

_FIGURES = r"[$€£¥]?\d[\d,.]*"

_SHAPES = (
    # the name of a shape, and its pattern
    (">=", rf"{_NAME}(?:{_LEAST})\s*{_A}"),
    ("<=", rf"{_NAME}(?:{_MOST})\s*{_A}"),
    (">", rf"{_NAME}(?:{_MORE})\s*{_A}"),
    ("<", rf"{_NAME}(?:{_LESS})\s*{_A}"),
    ("<=", rf"{_A}\s*(?:≥|>=)\s*(?P<name>[a-z])"),
    (">=", rf"{_A}\s*(?:≤|<=)\s*(?P<name>[a-z])"),
    ("<", rf"{_A}\s*>\s*(?P<name>[a-z])"),
    (">", rf"{_A}\s*<\s*(?P<name>[a-z])"),
    (">=", rf"{_NAME}{_A}\s+(?:at\s+(?:the\s+)?(?:least|minimum)|minimum)"),
    ("<=", rf"{_NAME}{_A}\s+(?:at\s+(?:the\s+)?(?:most|maximum)|maximum)"),
    (">=", rf"{_NAME}{_A}\s*(?:{_OR_MORE})(?:\s+(?P<unit>[^\W\d_]+))?"),
    ("<=", rf"{_NAME}{_A}\s*(?:{_OR_LESS})(?:\s+(?P<unit>[^\W\d_]+))?"),
    ("tolerance", rf"{_NAME}=?\s*\(?{_A}\s*(?:±|\+/-|\+-|plus\s+or\s+minus|give\s+or\s+take)\s*{_B}"),
    ("range", rf"{_NAME}between\s+{_A}\s+(?:and|to)\s+{_B}"),
    ("change", rf"from\s+{_A}\s+(?:up\s+|down\s+)?to\s+{_B}"),
    (
        "ratio",
        rf"(?:odds\s+(?:of|are)?\s*)?{_A}(?:[-\s]to[-\s]|\s?:\s?)\s*{_B}\s+(?:odds"
        rf"|(?:odds\s+)?(?:(?P<name>against)|on))",
    ),
    ("ratio", rf"odds\s+(?P<name>against|in\s+favor)\s+{_A}\s*(?::|\sto\s|-to-)\s*{_B}"),
    ("ratio", rf"(?:a\s+|the\s+)?(?:ratio|odds)\s*(?:of|are|is|:)?\s+{_A}\s*(?::|\sto\s|-to-)\s*{_B}"),
    ("ratio", r"(?P<a>\d[\d.]*)\s*(?::|-to-)\s*(?P<b>\d[\d.]*)"),
    ("by", rf"{_A}(?:\s*×\s*|\s+x\s+|\s+by\s+){_B}"),
    ("to", rf"{_A}(?:{_TO}){_B}"),
    ("hyphen", rf"(?P<a>{_FIGURES}%?)\s*[–—−-]\s*(?P<b>{_FIGURES}\s?(?:[^\W\d_][^-+*/^]*|[%°‰$€£¥]\S?)?)"),
)
_WORTH = lazily(
    r"[<>≤≥≠±≧≦–—:+…×-]|\.\.|\sx\s|\bby\b|\b(?:at|no|not|up|more|greater|larger|bigger|higher|over|above"
    r"|exceed\w*|less|fewer|smaller"
    r"|lower|under|below|plus|between|from|to|through|thru|till|until|and|or|minimum|maximum"
    r"|upwards|ratio|odds)\b",
    re.IGNORECASE,
)
_LEAD = lazily(
    r"^(?:(?:so|thus|hence|therefore),?\s+)?(?:it|(?:the|our|my)\s+(?:final\s+)?(?:answer|result"
    r"|value|total|count|number|sum|product|difference|area|volume|length|cost|price|speed"
    r"|probability|chance|mean|median|average|distance|time|remainder|perimeter))"
    r"\s+(?:is|was|equals|will\s+be)\s+(?=\S)",
    re.IGNORECASE,
)
_NOT = lazily(
    r"(?:(?P<name>[^\W\d_])\s*)?(?:(?:it\s+)?(?:is|are|was|does)?\s*(?:not|n['’]t)\b(?!\s+(?:only|more|less"
    r"|greater|larger|smaller|fewer|lower"
    r"|below|above|over|under|exceeding))(?:\s+(?:equal\s+to|equal))?|≠|!=|/=)\s*(?P<what>\S.*)",
    re.IGNORECASE,
)
_SIGNS = {"positive": ">", "negative": "<", "nonnegative": ">=", "nonpositive": "<="}
_SIGNED = lazily(
    r"(?P<name>[^\W\d_])\s+is\s+(?:strictly\s+)?(?P<sign>(?:non[-\s]?)?(?:positive|negative))", re.I
)
_BARE = lazily(r"[-−+]?[$€£]?\d[\d.,]*(?:\s?%)?")
"""What is a quantity and surely nothing more, as most claims are."""

_LONGEST_SPAN = 60
_ONE_PM = 46_800
"""Seconds of a day."""

_SPAN = lazily(
    r"(?:from\s+|between\s+)?(?P<a>\S.*?)(?:\s+(?:to|until|till|through|and)\s+|\s*[–—]\s*|\s-\s"
    r"|(?<=[\dm])-(?=\d))(?P<b>\S.*)",
    re.IGNORECASE,
)
_ORDINAL = lazily(
    r"(?:(?:the|on\s+the)\s+)?(?:(?P<figures>\d{1,4}(?:,\d{3})*)\s?(?:st|nd|rd|th)"
    r"|(?P<word>[a-z]+(?:[-\s][a-z]+)?))"
    r"(?:\s+(?P<unit>[^\W\d_]+(?:\s[^\W\d_]+)?))?",
    re.IGNORECASE,
)


def interpret(text: str) -> tuple[Quantity | None, Meaning | None]:
    """The quantity that ``text`` is, and what it says if that is more: both only for a moment, such as 5 pm.

    Neither is there for a formula or a sentence.
    """
    if len(text) > 2 * LONGEST_MEANING:
        return None, None
    whole = plain(text)
    if (named := read_named(whole)) is not None:
        return None, named
    spelt = _LEAD.sub("", whole, count=1)
    if (matrix := read_matrix(text)) is not None:
        return None, matrix
    if (number := read_complex(spelt.rstrip(". "))) is not None:
        real, imaginary = number
        return (None, Meaning("complex", number)) if imaginary else (Quantity(real), None)
    quantity = read_quantity(spelt.rstrip(". "))
    return quantity, _meaning(spelt.strip(" ."), alone=quantity is not None)


def _meaning(text: str, *, alone: bool) -> Meaning | None:
    if not text or len(text) > LONGEST_MEANING:
        return None
    if alone and _BARE.fullmatch(text):
        return None
    if signed := _SIGNED.fullmatch(text):
        kind = _SIGNS[signed["sign"].casefold().replace("-", "").replace(" ", "")]
        return Meaning(kind, (), (Quantity(Fraction(0)),), signed["name"])
    if (moment := located_moment(text)) is not None:
        return Meaning(*moment[0], (), moment[1])
    if alone:
        return (
            read_identifier(text) if text[:2].casefold() in ("0x", "0b", "0o") or text[-1:] in ")}" else None
        )
    if (saying := read_saying(text)) is not None:
        return Meaning("said", (saying,))
    if text[:1] == "0" and (literal := read_identifier(text)) is not None:
        return literal
    if (chemistry := read_chemistry(text)) is not None:
        return Meaning(*chemistry)
    found = (
        read_ratio_of_several(text)
        or _ordinal(text)
        or read_directed(text)
        or read_identifier(text)
        or _negation(text)
    )
    found = found or _span(text) or (_shaped(text) if _WORTH.search(text) else None) or read_several(text)
    return found or read_reals(text)


def _span(text: str) -> Meaning | None:
    """From one moment to another: "9 am to 5 pm", "from Monday to Friday"."""
    match = _SPAN.fullmatch(text) if len(text) <= _LONGEST_SPAN else None
    if match is None:
        return None
    first, last = read_moment(match["a"].strip()), read_moment(match["b"].strip())
    if first is None or last is None or "date in figures" in (first[0], last[0]):
        return None
    if last[0] == "clock" and isinstance(last[1][0], int) and last[1][0] >= _ONE_PM and "m" not in match["b"]:
        first = on_a_day_of_24_hours(first)
    return Meaning("span", (*first, *last))


def _ordinal(text: str) -> Meaning | None:
    match = _ORDINAL.fullmatch(text)
    if match is None:
        return None
    unit = match["unit"] or ""
    if match["figures"]:
        number: int | None = int(match["figures"].replace(",", ""))
    else:
        words = re.sub(r"\s+", "-", match["word"].casefold())
        number = ordinal(words)
        if number is None and "-" in words and not unit:  # "first one" is read as one word of two parts
            words, _, unit = words.partition("-")
            number = ordinal(words)
    if number is None or unit.casefold() in ("of", "to", "and"):
        return None
    unit = "" if unit.casefold() == "one" else unit.casefold()
    return Meaning("ordinal", (number, unit))


def _negation(text: str) -> Meaning | None:
    match = _NOT.fullmatch(text)
    if match is None:
        return None
    quantity = read_quantity(match["what"])
    key = () if quantity is not None else (re.sub(r"\s+", " ", match["what"]).casefold(),)
    return Meaning("not", key, () if quantity is None else (quantity,), match["name"] or "")


@cache
def _shapes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The table with its patterns compiled: at the first use, as that takes longer than all other imports."""
    return tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _SHAPES)


def _shaped(text: str) -> Meaning | None:
    for kind, pattern in _shapes():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        parts = [groups[name].strip() for name in ("a", "b") if groups.get(name)]
        if groups.get("unit"):
            parts[0] += f" {groups['unit']}"
        quantities = _quantities(parts)
        if quantities is not None:
            return _sorted_out(Meaning(kind, (), quantities, groups.get("name") or ""))
    return None


def _quantities(parts: list[str]) -> tuple[Quantity, ...] | None:
    """The parts as quantities; a unit or a scale word at the last belongs to those without one: 3 to 5 km."""
    if len(parts) == 2 and parts[1].count(")") > parts[1].count("("):
        parts[1] = parts[1].replace(")", " ", 1)  # (7.4 ± 0.1) cm
    read = [read_quantity(re.sub(r"\s+", " ", part)) for part in parts]
    found = [each for each in read if each is not None]
    if len(found) < len(parts):
        return None
    if len(parts) == 2:
        for own, other in ((0, 1), (1, 0)):
            number = read_number(parts[own].lstrip("$€£¥+-− "))
            alone = number is not None and not found[own].unit
            if alone and found[other].unit:
                shared = found[other]
                found[own] = replace(found[own], unit=shared.unit, scale=shared.scale, offset=shared.offset)
        scale = _scale_of(parts[1])
        if scale != 1 and _scale_of(parts[0]) == 1:  # 3 to 5 million
            found[0] = replace(found[0], value=found[0].value * scale, rounding=found[0].rounding * scale)
    return tuple(found)


def _scale_of(text: str) -> Fraction:
    digits = re.match(r"[^\d]?[\d.,]*\d", text)
    if digits is None:
        return Fraction(1)
    money = text[:1] in "$€£¥"
    whole, bare = read_number(text[money:], money=money), read_number(digits[0][money:])
    return Fraction(1) if whole is None or bare is None or not bare.value else whole.value / bare.value


def _solutions(meaning: Meaning) -> Meaning | None:
    """x = 1 ± 2, which is two values; of roots, those are formulas."""
    one, other = meaning.parts
    if one.times or other.times:
        return None
    if not meaning.name or one.unit or other.unit:
        return meaning
    ends = tuple(
        replace(one, value=value, rounding=Fraction(0))
        for value in (one.value - other.value, one.value + other.value)
    )
    return Meaning("set", (), ends, meaning.name)


def _sorted_out(meaning: Meaning) -> Meaning | None:
    """The shape of two numbers with "to" or a hyphen: a range, a ratio, or what may be either."""
    if meaning.kind == "tolerance":
        return _solutions(meaning)
    if meaning.kind not in ("to", "hyphen", "change", "ratio"):
        return meaning
    low, high = meaning.parts
    if meaning.kind == "ratio":
        if not low.value or not high.value:
            return None
        return (
            replace(meaning, parts=(Quantity(low.amount / high.amount),)) if low.unit == high.unit else None
        )
    if meaning.kind == "change":  # from 3 to 5 is a range or a rise, from 5 to 3 a fall
        return replace(meaning, kind="range") if low.amount < high.amount else meaning
    if low.unit == high.unit and low.amount < high.amount:
        return replace(meaning, kind="range")
    if meaning.kind == "hyphen":
        return replace(meaning, kind="score")
    return replace(meaning, kind="ratio", parts=(Quantity(low.value / high.value),)) if high.value else None
