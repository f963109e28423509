"""Units read from a text, in symbols and words, with prefixes, powers, products and quotients."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.spelling import spelt_out
from orchestrator.consensus.quantities.unit_tables import (
    AMBIGUOUS,
    BINARY_PREFIX_WORDS,
    BINARY_PREFIXES,
    DATA,
    LARGE_PREFIXES,
    METRIC,
    NO_UNIT,
    OTHER,
    PREFIX_WORDS,
    PREFIXES,
    SHARE,
    TEMPERATURES,
    UNSURE,
    Unit,
)
from orchestrator.consensus.quantities.unit_words import FOREIGN

__all__ = ["NO_UNIT", "SHARE", "Unit", "known_unit", "of_mass", "singular"]


@cache
def _units() -> dict[str, Unit]:
    table: dict[str, Unit] = {}
    for symbols, words, dimension, scale in METRIC:
        prefixes = [("", 0), *PREFIXES.items()]
        for symbol in symbols.split():
            table |= {prefix + symbol: Unit(dimension, scale * Fraction(10) ** n) for prefix, n in prefixes}
        for word in words.split():
            for prefix, n in [("", 0), *PREFIX_WORDS.items()]:
                unit = Unit(dimension, scale * Fraction(10) ** n)
                table |= dict.fromkeys((prefix + word, prefix + word + "s"), unit)
    for symbols, word, size in DATA:
        dimension = "bit s^-1" if symbols == "bps" else "bit"
        sizes = [("", Fraction(1)), *((prefix, Fraction(10) ** n) for prefix, n in LARGE_PREFIXES.items())]
        sizes += [(prefix, Fraction(2) ** n) for prefix, n in BINARY_PREFIXES.items()]
        for symbol in symbols.split():
            table |= {prefix + symbol: Unit(dimension, size * times) for prefix, times in sizes}
        sizes = [
            ("", Fraction(1)),
            *((prefix, Fraction(10) ** n) for prefix, n in PREFIX_WORDS.items() if n > 2),
        ]
        sizes += [(prefix, Fraction(2) ** n) for prefix, n in BINARY_PREFIX_WORDS.items()]
        for prefix, times in sizes if word else ():
            table |= dict.fromkeys((prefix + word, prefix + word + "s"), Unit(dimension, size * times))
    for dimension, names in OTHER.items():
        for spellings, factor in names.items():
            table |= dict.fromkeys(_listed(spellings), Unit(dimension, Fraction(factor)))
    for spellings, unit in TEMPERATURES.items():
        table |= dict.fromkeys(spellings.split(";"), unit)
    for spellings, name in FOREIGN.items():
        table |= dict.fromkeys(_listed(spellings), table[name])
    table |= {letter: Unit(letter) for letter in AMBIGUOUS if len(letter) == 1} | {"bps": table["bp"]}
    return {
        name: replace(unit, dimension=unit.dimension.replace(" ", "·"))
        for name, unit in table.items()
        if name not in UNSURE
    }


def _listed(spellings: str) -> list[str]:
    """The spellings in a text of them, which has ``;`` between them if some of them have spaces."""
    listed = spellings.split(";") if ";" in spellings else spellings.split()
    return [spelling for spelling in listed if spelling]


@cache
def _whatever_case() -> dict[str, Unit | None]:
    """The units by their folded names; None where the case decides: MHZ is not clearly mHz or MHz."""
    table: dict[str, Unit | None] = {}
    for name, unit in _units().items():
        folded = name.casefold()
        table[folded] = unit if table.get(folded, unit) == unit else None
    return table


_SQUARED = lazily(
    r"(?P<before>sq(?:uare|\.)?|cu(?:bic|\.)?)\s+(?P<unit>\S.*)|(?P<unit2>\S.*?)\s+(?P<after>squared|cubed)",
    re.IGNORECASE,
)
_POWER = lazily(r"(?P<unit>.*?[^\W\d]|[Ωµ°])(?:\^?\{?(?P<power>[-−]?[1-4])\}?)?")
_OVER = lazily(r"\s*(?:/|\bper\b)\s*(?:an?\s+)?|(?<=\w)\s+an?\s+(?=\w)", re.IGNORECASE)
_TIMES = lazily(r"\s*[·⋅*×.]\s*|\s+|(?<=[a-zA-Z])(?:-(?=[a-zA-Z])|(?=°))")
_NO_FACTORS = frozenset(
    {"and", "half", "quarter", "third", "the", "was", "for", "not", "but", "each", "with", "from"}
)
_LARGEST_UNIT = 80


def known_unit(text: str) -> Unit | None:
    """The unit of ``text``, alone or with powers, products and quotients; None if any part is unknown."""
    if len(text) > _LARGEST_UNIT:
        return None
    return _known(text.strip())


@lru_cache(maxsize=4096)
def _known(text: str) -> Unit | None:
    return _named(text) or _squared(text) or (_compound(spelt_out(text)) if text else None)


def _squared(text: str) -> Unit | None:
    match = _SQUARED.fullmatch(text)
    base = None if match is None else _named(match["unit"] or match["unit2"])
    if match is None or base is None or base.dimension not in ("m", "s"):
        return None
    return _combined([(base, 2 if (match["before"] or match["after"]).casefold()[0] == "s" else 3)])


def _named(text: str) -> Unit | None:
    unit = _units().get(text)
    if unit is None and (len(text) > 1 or text == "L") and text not in UNSURE:
        unit = _whatever_case().get(text.casefold())
    return unit


def _compound(text: str) -> Unit | None:
    above, *below = _OVER.split(text)
    factors: list[tuple[Unit | None, int]] = []
    for sign, piece in [(1, above), *((-1, each) for each in below)]:
        inner = piece.strip()
        if inner[:1] == "(" and inner[-1:] == ")":
            inner = inner[1:-1]
        if not inner and not (sign == 1 and below):
            return None
        whole = _named(inner) or _squared(inner)
        if whole is not None:
            factors.append((whole, sign))
            continue
        for name in _TIMES.split(inner) if inner else ():
            match = _POWER.fullmatch(name)
            if match is None:
                return None
            power = int((match["power"] or "1").replace("−", "-"))
            factors.append((_factor(match["unit"], bool(below)), sign * power))
    return _combined(factors) if any(unit is not None for unit, _ in factors) else None


def _factor(name: str, quotient: bool) -> Unit | None:
    """A known unit; in a quotient also what is counted: dollars per apple."""
    unit = _named(name)
    if unit is None and name in ("C", "F") and quotient:
        return _units()["°" + name]
    if unit is None and quotient and len(name) > 2 and name.isalpha() and name not in _NO_FACTORS:
        return Unit(singular(name.casefold()))
    return unit


def of_mass(unit: Unit) -> Unit:
    """The unit, and for pounds the one of mass, as they are wherever they stand beside another unit."""
    return AMBIGUOUS["pound"][0] if unit.dimension == "pound" else unit


def _combined(factors: list[tuple[Unit | None, int]]) -> Unit | None:
    powers: dict[str, int] = {}
    scale = Fraction(1)
    for unit, power in factors:
        if unit is None:
            return None
        unit = of_mass(unit)
        scale *= unit.scale**power
        for base in unit.dimension.split("·"):
            name, _, own = base.partition("^")
            powers[name] = powers.get(name, 0) + power * int(own or 1)
    written = (f"{name}^{n}" if n != 1 else name for name, n in sorted(powers.items()) if n)
    return Unit("·".join(written) or "ratio", scale)  # mg/kg is no bare number


_PLURALS = {"people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse"}
_HISSED = ("xes", "ches", "shes", "sses", "zes")


def singular(word: str) -> str:
    """The word without the plural's ending."""
    if word in _PLURALS or word.endswith(_HISSED):
        return _PLURALS.get(word) or word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
