"""Quantities in several units: 2 hours 30 minutes, 5 ft 10 in, 5'10", 2h30, 30°15'."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction

from orchestrator.consensus.quantities.numbers import read_number
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.units import Unit, known_unit, of_mass

_MOST_UNITS = 5
_NAME = lazily(
    r"\s?-?(?P<name>square\s[^\W\d_]+|cubic\s[^\W\d_]+|fl\.?\s?oz|[^\W\d_]+|[°$€£¢])\.?"
    r"(?P<between>\s*,?\s*(?:and\s+|plus\s+|\+\s*)?)",
    re.IGNORECASE,
)
_MARKS = (
    # a pattern of numbers and the units that they are in
    (lazily(r"(\d+)\s?(?:pounds?|quid)\s(?:and\s)?(\d\d?)\s?(?:p|pence)"), ("£", "pence")),
    (lazily(r"""(\d+)\s?(?:'|′|’)\s?(\d+(?:\.\d+)?)\s?(?:"|″|”|''|′′)?"""), ("ft", "in")),
    (lazily(r"(\d+)\s?(?:ft|feet|foot)\.?\s?(\d+(?:\.\d+)?)", re.IGNORECASE), ("ft", "in")),
    (lazily(r"(\d+)\s?(?:h|hours?)\s?([0-5]?\d)\s?m?", re.IGNORECASE), ("h", "min")),
    (lazily(r"(\d+)\s?m\s?([0-5]?\d)\s?s", re.IGNORECASE), ("min", "s")),
    (lazily(r"(\d+)\s?h\s?([0-5]?\d)\s?m\s?([0-5]?\d)\s?s", re.IGNORECASE), ("h", "min", "s")),
    (lazily(r"(\d+):([0-5]\d)\s?(?:h|hrs?|hours?)", re.IGNORECASE), ("h", "min")),
    (lazily(r"(\d+):([0-5]\d)\s?(?:min|mins|minutes?)", re.IGNORECASE), ("min", "s")),
    (lazily(r"(\d+):([0-5]\d):([0-5]\d)\s?(?:h|hrs?|hours?)", re.IGNORECASE), ("h", "min", "s")),
    (lazily(r"""(\d+)\s?°\s?(\d+)\s?(?:'|′|’)"""), ("°", "arcmin")),
    (
        lazily(r"""(\d+)\s?°\s?(\d+)\s?(?:'|′|’)\s?(\d+(?:\.\d+)?)\s?(?:"|″|”|'')"""),
        ("°", "arcmin", "arcsec"),
    ),
)


def read_compound(text: str) -> tuple[Fraction, Unit] | None:
    """The sum in the first of the units, and that unit; None if the text is no quantity in several units."""
    for pattern, names in _MARKS:
        if match := pattern.fullmatch(text):
            return _sum([(Fraction(match[at]), name) for at, name in enumerate(names, 1)])
    parts: list[tuple[Fraction, str]] = []
    at = 0
    while at < len(text) and len(parts) < _MOST_UNITS:
        rest = text[at:]
        number = read_number(rest)
        if number is None:
            return None
        name = _NAME.match(rest, number.end)
        if name is None:
            return None
        parts.append((number.value, name["name"]))
        at += name.end()
        if at < len(text) and not name["between"] and not text[at].isdigit():
            return None
    return _sum(parts) if at >= len(text) and len(parts) > 1 else None


def _sum(parts: list[tuple[Fraction, str]]) -> tuple[Fraction, Unit] | None:
    first: Unit | None = None
    total, least = Fraction(0), Fraction(0)
    for value, name in parts:
        unit = known_unit(name)
        unit = unit and of_mass(unit)
        if unit is None or unit.offset or value < 0:
            return None
        if first is None:
            first = unit
        elif unit.dimension != first.dimension or not unit.scale < least or value * unit.scale >= least:
            return None  # "5 ft 13 in" is no height, nor "3 m 5 kg" one quantity
        total, least = total + value * unit.scale, unit.scale
    return None if first is None else (total / first.scale, first)
