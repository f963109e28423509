"""Several values in one answer: which stand in an order, and which are alternatives in any order."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from operator import itemgetter

from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.quantity import Quantity
from orchestrator.consensus.quantities.reading import read_quantity

_MOST = 12
_OR = lazily(r"\s*,?\s+or\s+|\s*,?\s+oder\s+|\s*∨\s*|\s*;\s*|\s*,\s+|\s*,\s*(?=[a-z]\s*=)", re.IGNORECASE)
_AND = lazily(
    r"\s*,?\s+and\s+|\s*;\s*|\s*,\s+|\s*,\s*(?=[a-z]\w?\s*=)|(?<!\d)\s*,\s*|\s*,\s*(?!\d{3}(?!\d))",
    re.IGNORECASE,
)
_INSIDE = lazily(r"\\?[{](?P<inside>[^{}\\]*)\\?[}]")
_BRACKETED = lazily(r"(?P<opening>[(\[])(?P<inside>[^()\[\]{}]+)(?P<closing>[)\]])")
_MEMBER = lazily(r"^[^\W\d_]\s*∈\s*")
_CHAIN = lazily(r"(?P<a>[^<>≤≥=]+)(?P<one>[<≤]=?)\s*(?P<name>[a-z])\s*(?P<two>[<≤]=?)(?P<b>[^<>≤≥=]+)", re.I)
_EQUATION = lazily(r"(?P<name>[^\W\d_](?:_?\{?\w\}?)?)\s*=\s*(?P<value>[^=<>]+)")
_ALTERNATIVES = lazily(r"\s(?:or|oder)\s|∨", re.IGNORECASE)
_BOTH_SIGNS = lazily(r"(?:(?P<name>[^\W\d_]\w?)\s*=\s*)?±\s*(?P<value>\S.*)")
_PHRASE = lazily(r"(?!not\b|both\b|either\b|neither\b)[^\W\d_][\w'’.-]*(?:\s[\w'’.-]+){0,2}", re.IGNORECASE)
_TUPLE = lazily(
    r"\(\s*(?P<names>[a-z]\w?(?:\s*,\s*[a-z]\w?)+)\s*\)\s*=\s*\((?P<values>[^()=]+)\)", re.IGNORECASE
)
_CLAUSES = lazily(r"\s*[,;]?\s+(?:and|while|whereas|but)\s+|\s*;\s+|,\s+(?=the\s|[A-Z])")
_SUBJECT = lazily(
    r"(?:the\s+)?(?P<name>[^\W\d_][^\d=<>]{1,40}?)\s+(?P<verb>is|are|was|were|equals|gets|has|gives|costs"
    r"|weighs|scored)\s+"
    r"(?P<value>\S.*)",
    re.IGNORECASE,
)
_COPULA = lazily(r"is|are|was|were|equals", re.IGNORECASE)
_WORTH = lazily(r"[,;{±∨]|\s(?:or|and|oder)\s", re.IGNORECASE)


def read_several(text: str) -> Meaning | None:
    """The values of ``text``: a "set" in any order, a "list", "bracketed", or named "values"."""
    text = _MEMBER.sub("", text)
    if match := _CHAIN.fullmatch(text):
        return _interval(match)
    if not _WORTH.search(text):
        return None
    if match := _BOTH_SIGNS.fullmatch(text):
        found = read_quantity(match["value"])
        both = [] if found is None else [found, replace(found, value=-found.value)]
        return _set(both, match["name"] or "")
    if match := _TUPLE.fullmatch(text):
        named = list(zip(_AND.split(match["names"]), _AND.split(match["values"].strip()), strict=False))
        return _equations(named) if match["names"].count(",") == match["values"].count(",") else None
    if match := _BRACKETED.fullmatch(text):
        parts = tuple(_read(_AND.split(match["inside"].strip())))
        return Meaning("bracketed", (match["opening"], match["closing"]), parts) if len(parts) > 1 else None
    if match := _INSIDE.fullmatch(text):
        return _set(_read(_AND.split(match["inside"].strip())), "")
    alternatives = bool(_ALTERNATIVES.search(text))
    items = [item.strip() for item in (_OR if alternatives else _AND).split(_without(text))]
    if not 1 < len(items) <= _MOST:
        return None
    equations = [_EQUATION.fullmatch(item) for item in items]
    first = equations[0]
    if first is not None and all(equations):
        return _equations([(each["name"], each["value"]) for each in equations if each is not None])
    if first is not None and not any(equations[1:]):  # x = 2 or -3
        return _set(_read([first["value"], *items[1:]]), first["name"])
    if any(equations):
        return None
    values = _read(items)
    if values:
        if alternatives:
            return _set(values, "", "alternatives")
        units = {each.unit for each in values}
        return (
            _set(values, "")
            if "" not in units and len(units) == len(values)
            else Meaning("list", (), tuple(values))
        )
    if alternatives and all(map(_PHRASE.fullmatch, items)):
        return Meaning("either", tuple(sorted(item.casefold() for item in items)))
    return None


def read_named(text: str) -> Meaning | None:
    """Values of several subjects, in any order: "the mean is 5 and the median is 4", "Ann gets 3, Bob 4"."""
    items = _CLAUSES.split(text)
    found = [_SUBJECT.fullmatch(item.strip()) for item in items] if 1 < len(items) <= _MOST else []
    if not found or not all(found):
        return None
    said = [match for match in found if match is not None]
    names = [f"{match['name']} {_COPULA.sub('', match['verb'])}".casefold().rstrip() for match in said]
    values = [read_quantity(match["value"].rstrip(". ")) for match in said]
    if None in values or len(set(names)) < len(names):
        return None
    named = sorted(
        zip(names, (value for value in values if value is not None), strict=True), key=itemgetter(0)
    )
    return Meaning("values", tuple(name for name, _ in named), tuple(value for _, value in named))


def _interval(match: re.Match[str]) -> Meaning | None:
    """-3 < x < 3, which is the interval (-3, 3)."""
    parts = tuple(_read([match["a"], match["b"]]))
    ends = ("(" if match["one"] == "<" else "[", ")" if match["two"] == "<" else "]")
    return Meaning("bracketed", ends, parts) if parts else None


def _without(text: str) -> str:
    return re.sub(r"^(?:either|both)\s+", "", text, flags=re.IGNORECASE)


def _read(items: list[str]) -> list[Quantity]:
    """The items as quantities, or nothing if one is none; the last one's unit is that of all: 2 or 3 km."""
    found = [quantity for item in items if (quantity := read_quantity(item.strip())) is not None]
    if not found or len(found) < len(items):
        return []
    last = found[-1]
    return [
        each if each.unit else replace(each, unit=last.unit, scale=last.scale, offset=last.offset)
        for each in found
    ]


def _equations(pairs: list[tuple[str, str]]) -> Meaning | None:
    values = _read([value for _, value in pairs])
    if not values:
        return None
    names = [name for name, _ in pairs]
    if len(set(names)) == 1:
        return _set(values, names[0])
    if len(set(names)) < len(names):
        return None
    order = sorted(range(len(names)), key=names.__getitem__)
    return Meaning("values", tuple(names[at] for at in order), tuple(values[at] for at in order))


def _set(values: list[Quantity], name: str, kind: str = "set") -> Meaning | None:
    by_amount: dict[tuple[str, Fraction], Quantity] = {(each.unit, each.amount): each for each in values}
    parts = tuple(by_amount[key] for key in sorted(by_amount))
    return Meaning(kind, (), parts, name) if parts else None
