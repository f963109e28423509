"""Sets of real numbers: intervals, their unions, bounds joined by "or", and all numbers but a few."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.quantity import Quantity
from orchestrator.consensus.quantities.reading import read_quantity

_MOST = 8
_NAME = lazily(
    r"^(?:.{0,60}?\b(?:domain|range|solution|solution\s+set|inequality)\s+(?:is|are|consists\s+of"
    r"|holds)\s+(?:for\s+)?|(?:D|domain|Domain)\s*[:=]\s*|(?P<name>[a-z])\s*∈\s*)"
)
_WORTH = lazily(r"∞|ℝ|∪|≠|\breals?\b|[<>≤≥]", re.IGNORECASE)
_PIECE = lazily(r"(?P<open>[(\[\]])\s*(?P<a>[^,;()\[\]]+)[,;]\s*(?P<b>[^,;()\[\]]+?)\s*(?P<close>[)\]\[])")
_POINTS = lazily(r"\\?\{(?P<points>[^{}\\]+)\\?\}")
_ALL = lazily(
    r"(?:the\s+)?(?:set\s+of\s+)?(?:all|any|every)?\s*(?:the\s+)?(?:real\s+(?:numbers?|values?)"
    r"|reals?|ℝ)(?:\s+(?:of\s+)?(?P<name>[a-z]))?",
    re.I,
)
_BUT = lazily(
    r"\s*(?:,|\band|\bwith)?\s*(?:\bexcept(?:\s+for)?|\bother\s+than|\bbut\s+not|\bexcluding"
    r"|\bwithout|∖|\\(?=\s*\{)|\bsuch\s+that|\bwhere"
    r"|\bwith)\s*|\s*(?:,|\band)\s*(?=[a-z]\s*≠)"
)
_CHAIN = lazily(
    r"(?:all\s+)?(?P<a>[^<>≤≥=≠]+?)\s*(?P<one>[<>≤≥]=?)\s*(?P<b>[^<>≤≥=≠]+?)(?:\s*(?P<two>[<>≤≥]=?)\s*(?P<c>[^<>≤≥=≠]+))?"
)


class _Span(NamedTuple):
    """Numbers from ``low`` to ``high``, None for no end; ``shut`` and ``closed``: whether an end is in it."""

    low: Fraction | None
    shut: bool
    high: Fraction | None
    closed: bool


_EVERYTHING = _Span(None, False, None, False)


def read_reals(text: str) -> Meaning | None:
    """The set as disjoint spans in order, with the variable's name if one is said; None for anything else."""
    if not _WORTH.search(text):
        return None
    text = text.replace("<=", "≤").replace(">=", "≥").replace("!=", "≠").replace("−", "-").replace("+∞", "∞")
    begin = _NAME.match(text)
    names = {begin["name"]} if begin is not None and begin["name"] else set[str | None]()
    text = text[begin.end() :] if begin is not None else text
    spans: list[_Span] = []
    pieces = re.split(r"\s*∪\s*|\s+or\s+|\s*∨\s*|\s+oder\s+", text)
    if len(pieces) > _MOST:
        return None
    for piece in pieces:
        found = _piece(piece.strip(), names)
        if found is None:
            return None
        spans += found
    names.discard(None)
    if len(names) > 1:
        return None
    return Meaning("reals", tuple(_merged(spans)), (), str(next(iter(names), "")))


def as_reals(meaning: Meaning) -> tuple[object, ...] | None:
    """The spans of a meaning that is a set of numbers; None for any other."""
    if meaning.kind == "reals":
        return meaning.key
    if any(part.unit or part.times for part in meaning.parts):
        return None
    values = [part.amount for part in meaning.parts]
    match meaning.kind:
        case ">" | ">=":
            return (_Span(values[0], meaning.kind == ">=", None, False),)
        case "<" | "<=":
            return (_Span(None, False, values[0], meaning.kind == "<="),)
        case "not" if values and meaning.name:
            return (_Span(None, False, values[0], False), _Span(values[0], False, None, False))
        case "bracketed" if len(values) == 2:
            return (_Span(values[0], meaning.key[0] == "[", values[1], meaning.key[1] == "]"),)
        case "said" if meaning.key == ("all reals",):
            return (_EVERYTHING,)
    return None


def _piece(text: str, names: set[str | None]) -> list[_Span] | None:
    but = _BUT.search(text)
    if but is not None and but.start():
        whole = _piece(text[: but.start()].strip(" ,"), names)
        points = _points(text[but.end() :].strip(), names)
        return None if whole is None or points is None else _without(whole, points)
    if match := re.fullmatch(r"(?P<name>[a-z])\s*≠\s*(?P<what>.+)", text):
        names.add(match["name"])
        points = _points(match["what"], names)
        return None if points is None else _without([_EVERYTHING], points)
    if match := _ALL.fullmatch(text):
        names.add(match["name"])
        return [_EVERYTHING]
    if match := _PIECE.fullmatch(text):
        low, high = _end(match["a"]), _end(match["b"])
        if low is None or high is None:
            return None
        return [_Span(low[0], match["open"] == "[", high[0], match["close"] == "]")]
    if match := _CHAIN.fullmatch(text):
        return _chain(match, names)
    return None


def _end(text: str) -> tuple[Fraction | None] | None:
    text = text.strip()
    if text in ("∞", "-∞"):
        return (None,)
    value = _number(text)
    return None if value is None else (value,)


def _number(text: str) -> Fraction | None:
    found: Quantity | None = read_quantity(text.strip())
    return None if found is None or found.unit or found.times or found.name else found.amount


def _points(text: str, names: set[str | None]) -> list[Fraction] | None:
    if match := _POINTS.fullmatch(text):
        text = match["points"]
    values = []
    for item in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s+or\s+|\s*;\s*", text):
        name, equals, value = item.replace("≠", "=").rpartition("=")
        if equals:
            names.add(name.strip())
        number = _number(value)
        if number is None:
            return None
        values.append(number)
    return values


def _chain(match: re.Match[str], names: set[str | None]) -> list[_Span] | None:
    """-2 < x ≤ 5, x > 5, 5 < x."""
    left, middle, right = match["a"].strip(), match["b"].strip(), (match["c"] or "").strip()
    one, two = match["one"], match["two"]
    if not right:
        if left.isalpha() and len(left) == 1:
            left, middle = middle, left
            one = one.translate(str.maketrans("<>≤≥", "><≥≤"))
        value = _number(left)
        if value is None or len(middle) != 1 or not middle.isalpha():
            return None
        names.add(middle)
        return [
            _Span(value, one == "≤", None, False) if one in "<≤" else _Span(None, False, value, one == "≥")
        ]
    if one in ">≥":
        if two not in ">≥":
            return None
        left, right = right, left
        one, two = (sign.translate(str.maketrans("><≥≤", "<>≤≥")) for sign in (two, one))
    low, high = _end(left), _end(right)
    if low is None or high is None or two not in "<≤" or len(middle) != 1 or not middle.isalpha():
        return None
    names.add(middle)
    return [_Span(low[0], one == "≤", high[0], two == "≤")]


def _without(spans: list[_Span], points: list[Fraction]) -> list[_Span]:
    for point in points:
        rest = []
        for span in spans:
            inside = (span.low is None or span.low < point) and (span.high is None or point < span.high)
            if inside:
                rest += [span._replace(high=point, closed=False), span._replace(low=point, shut=False)]
            else:
                rest.append(
                    span._replace(
                        shut=span.shut and span.low != point, closed=span.closed and span.high != point
                    )
                )
        spans = rest
    return spans


def _merged(spans: list[_Span]) -> list[_Span]:
    """The spans in order, those that overlap or touch as one."""
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda each: (each.low is not None, each.low or 0, not each.shut)):
        last = merged[-1] if merged else None
        if last is None or (last.high is not None and span.low is not None and not _touch(last, span)):
            merged.append(span)
        elif last.high is not None and (
            span.high is None or (span.high, span.closed) > (last.high, last.closed)
        ):
            merged[-1] = last._replace(high=span.high, closed=span.closed)
    return merged


def _touch(last: _Span, span: _Span) -> bool:
    assert last.high is not None
    assert span.low is not None
    return span.low < last.high or (span.low == last.high and (span.shut or last.closed))
