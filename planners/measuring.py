"""Results that are compared: their names, the value that each states, and which of two is more."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key

from orchestrator.consensus.quantities import Quantity
from orchestrator.consensus.quantities.unit_tables import AMBIGUOUS, SHARE, Unit
from planners.stated import ASIDE, Value, is_known, likeliest, name_in, unit_text, values_in
from workers.errors import ToolError
from workers.showing import show

MOST = 1_000
"""How many values are compared at once."""

_LONGEST_NAME = 80
_ENTRY = re.compile(
    r"""\s*["'“‘]?(?P<name>[^\W\d][^:=\n]*?)["'”’]?\s*(?:=|:(?!\d))\s*(?P<value>\S.*?)\s*""", re.DOTALL
)
_BETWEEN = re.compile(r"[;\n]|,\s+(?=[^\W\d][^,:=]*[:=])")
_TOKEN = re.compile(r"\w+|\W")
_NAME = re.compile(r"[^\W\d][^()\[\]{}$\"]*")
_MARKS = " .,;:?!\"'"
_EVERY = slice(None, None, 2), slice(1, None, 2)


@dataclass(frozen=True, slots=True)
class Entry:
    """A result that is compared with others, and its name, which may be empty."""

    name: str
    result: object


@dataclass(frozen=True, slots=True)
class Measured:
    """The value that an entry states.

    ``size`` grows with it: what is compared, the largest part first. Of a quantity it is ``scale`` for each
    unit in which the value is written.
    """

    name: str
    value: Value
    size: tuple[Fraction, ...]
    scale: Fraction = Fraction(1)

    @property
    def called(self) -> str:
        """The name, or else the value as it is written."""
        return self.name or self.value.text

    @property
    def with_value(self) -> str:
        """The name with the value, unless either of them is not there or says both."""
        apart = self.name and self.value.text not in self.name
        return f"{self.name} ({self.value.text})" if apart else self.called


# -- which results, and what they are called ------------------------------------------------------


def entries_of(values: object, names: object = None, *, record: bool = False) -> list[Entry]:
    """The results to compare, with their names, in any of the forms in which models write them.

    ``record`` says that an object may be one result with its name, and not names with their results.

    Raises:
        ToolError: there are none, too many, or not as many as names.
    """
    values = _parsed(values)
    entries = [_entry(values)] if record and name_in(values) else list(_entries(values))
    if names not in (None, "", [], {}):
        entries = _called(entries, list(_entries(_parsed(names))))
    if not entries:
        raise ToolError(
            f'there is nothing to compare in {show(values)}: give names and values, {{"x": 1, "y": 2}}'
        )
    if len(entries) > MOST:
        raise ToolError(f"{len(entries)} values are too many to compare: at most {MOST}")
    return entries


def _called(entries: list[Entry], others: list[Entry]) -> list[Entry]:
    """The entries with names that were given beside them; the two may have been exchanged."""
    if all(entry.name for entry in entries) and all(other.name for other in others):
        return entries + others  # x=1, y=2 as two arguments
    values, names = (entries, others) if not _state(others) or _state(entries) else (others, entries)
    if len(values) != len(names):
        raise ToolError(f"there are {len(values)} values, but {len(names)} names")
    return [Entry(str(name.result), value.result) for name, value in zip(names, values, strict=True)]


def _state(entries: list[Entry]) -> bool:
    return all(values_in(entry.result) for entry in entries)


def _parsed(values: object) -> object:
    if isinstance(values, str) and values.strip()[:1] in ("{", "["):
        try:
            parsed: object = json.loads(values)
        except (ValueError, RecursionError):
            return values
        return parsed
    return values


def _entries(values: object) -> Iterator[Entry]:
    match values:
        case None:
            return
        case str():
            yield from (_entry(piece.strip()) for piece in _BETWEEN.split(values) if piece.strip())
        case Mapping() if len(values) == 1 and isinstance(next(iter(values.values())), list):
            yield from _entries(next(iter(values.values())))  # {"cities": [...]}
        case Mapping():
            yield from (Entry(str(name), value) for name, value in values.items())
        case list() if (pairs := _pairs(values)) is not None:
            yield from pairs
        case list():
            for item in values:
                alone = isinstance(item, Mapping) and len(item) == 1
                yield from _entries(item) if alone else [_entry(item)]
        case _:
            yield _entry(values)


def _pairs(items: list[object]) -> list[Entry] | None:
    """Names with values: in lists of two, or one after the other."""
    if items and all(isinstance(item, list) and len(item) == 2 for item in items):
        names = [item[0] for item in items if isinstance(item, list)]
        results = [item[1] for item in items if isinstance(item, list)]
    elif len(items) % 2 == 0:
        names, results = (items[every] for every in _EVERY)
    else:
        return None
    for one, other in ((names, results), (results, names)):
        named = all(isinstance(name, str) and name.strip() and not _is_value(name) for name in one)
        if named and all(values_in(result) for result in other):
            return [Entry(str(name), result) for name, result in zip(one, other, strict=True)]
    return None


def _is_value(text: str) -> bool:
    """Whether a text states a value that is no part of a name, such as the number in Apollo 11."""
    return any(value.weight < ASIDE or value.moment is not None for value in values_in(text))


def _entry(result: object) -> Entry:
    if name := name_in(result):
        return Entry(name, result)
    if isinstance(result, str):
        if (match := _ENTRY.fullmatch(result)) and values_in(match["value"]):
            return Entry(match["name"], match["value"])
        if len(result) <= _LONGEST_NAME and len(result.split()) > 3:
            return Entry(result.rstrip("."), result)
    return Entry("", result)


# -- what they come to ----------------------------------------------------------------------------


def measured(entries: Sequence[Entry]) -> list[Measured]:
    """The values of entries, in sizes that can be compared.

    Raises:
        ToolError: one states no value, or several of which none is the likeliest, or they cannot be compared.
    """
    chosen = _chosen([values_in(entry.result) for entry in entries], entries)
    sizes = _sizes(chosen)
    return [
        Measured(entry.name, value, *size) for entry, value, size in zip(entries, chosen, sizes, strict=True)
    ]


def _chosen(readings: list[list[Value]], entries: Sequence[Entry]) -> list[Value]:
    """One value of each result; where one states several, that of the one kind of which all state one."""
    for values, entry in zip(readings, entries, strict=True):
        if not values:
            what = f" of {entry.name}" if entry.name else ""
            raise ToolError(f"no number or date can be made out in the value{what}: {show(entry.result)}")
    best = [likeliest(values) for values in readings]
    if all(len(values) == 1 for values in best):
        return [values[0] for values in best]
    kinds = [[value.kind for value in values] for values in readings]
    common = [kind for kind in dict.fromkeys(kinds[0]) if all(each.count(kind) == 1 for each in kinds)]
    if len(common) == 1:
        return [next(value for value in values if value.kind == common[0]) for values in readings]
    unclear = next(at for at, values in enumerate(best) if len(values) > 1)
    several = ", ".join(value.text for value in best[unclear])
    raise ToolError(
        f"several values stand in {show(entries[unclear].result)}: {several}; give the one that is meant"
    )


_Size = tuple[tuple[Fraction, ...], Fraction]


def _sizes(values: list[Value]) -> list[_Size]:
    """The size and the scale of each value."""
    quantities = [value.quantity for value in values if value.quantity is not None]
    if len(quantities) == len(values) and (amounts := _amounts(quantities)) is not None:
        return amounts
    moments = [_moment(value) for value in values]
    kinds = {kind for kind, _ in filter(None, moments)}
    if None in moments or len(kinds) != 1:
        raise ToolError(f"these cannot be compared: {', '.join(value.text for value in values)}")
    return [(moment[1], Fraction(1)) for moment in moments if moment is not None]


def _amounts(quantities: list[Quantity]) -> list[_Size] | None:
    """The amounts in one unit; None if they are of different dimensions.

    A bare number beside a unit has this unit, if all others are written with it, as in "is it above 100".
    """
    if len({each.times for each in quantities}) > 1:
        return None
    as_written: list[_Size] = [((each.value,), Fraction(1)) for each in quantities]
    units = {(each.unit, each.scale, each.offset) for each in quantities}
    kinds = {_dimension(each) for each in quantities}
    if len(units) == 1 or kinds == {""}:
        return as_written
    if "" in kinds:
        bare = [each for each in quantities if not _dimension(each)]
        unclear = any(each.unit or (SHARE in kinds and abs(each.value) <= 1) for each in bare)
        return None if unclear or len(units) > 2 else as_written
    resolved = [_resolved(each, kinds) for each in quantities]
    if len({unit.dimension for unit in resolved}) > 1:
        return None
    return [
        ((each.value * unit.scale + unit.offset,), unit.scale)
        for each, unit in zip(quantities, resolved, strict=True)
    ]


def _dimension(quantity: Quantity) -> str:
    return quantity.unit if is_known(quantity.unit) else ""


def _resolved(quantity: Quantity, kinds: set[str]) -> Unit:
    """The unit of a quantity, which the others tell if it has several meanings: 20 C."""
    meant = [unit for unit in AMBIGUOUS.get(quantity.unit, ()) if unit.dimension in kinds]
    return meant[0] if len(meant) == 1 else Unit(quantity.unit, quantity.scale, quantity.offset)


def _moment(value: Value) -> tuple[str, tuple[Fraction, ...]] | None:
    """Whether a value is a day or a time of the day, with its parts, the largest first, as far as it says."""
    if value.moment is None:
        quantity = value.quantity
        is_year = quantity is not None and not quantity.unit and quantity.value.denominator == 1
        return ("day", (quantity.value,)) if quantity is not None and is_year else None
    kind, key = value.moment
    match kind, key:
        case "year", (int(year),):
            return "day", (Fraction(year),)
        case "date", (year, month, day):
            return _day(year, month, day)
        case "date and time", (("date" | "year"), (year, month, day), "clock", (int(seconds), _), *_):
            found = _day(year, month, day)
            return found[0], (*found[1], Fraction(seconds))
        case "clock", (int(seconds), _):
            return "time", (Fraction(seconds),)
        case "clock of either half", (int(hour), minute, second, *_):
            return "time", (Fraction(hour * 3600 + int(str(minute)) * 60 + int(str(second or 0))),)
    return None


def _day(*parts: object) -> tuple[str, tuple[Fraction, ...]]:
    """A date as far as it goes; one without a year is a day of any year."""
    known = [part for part in parts if isinstance(part, int) and part]
    return "day" if parts[0] is not None else "day of a year", tuple(map(Fraction, known))


# -- which is more --------------------------------------------------------------------------------


def difference(a: Measured, b: Measured) -> int:
    """Below 0, 0 or above 0 as the first is less, the same or more.

    Raises:
        ToolError: one of two dates says less than the other, and they agree as far as it goes.
    """
    for one, other in zip(a.size, b.size, strict=False):
        if one != other:
            return -1 if one < other else 1
    if len(a.size) != len(b.size):
        raise ToolError(
            f"{a.value.text} and {b.value.text} cannot be told apart: one of them is not exact enough"
        )
    return 0


def ranked(all_of_them: Sequence[Measured]) -> list[list[Measured]]:
    """All in order, the largest or latest first; those that tie together, in the order in which they came.

    Raises:
        ToolError: as :func:`difference`.
    """
    groups: list[list[Measured]] = []
    for each in sorted(all_of_them, key=cmp_to_key(difference), reverse=True):
        if groups and difference(groups[-1][0], each) == 0:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def unit_of(measures: Measured) -> str:
    """The unit in which a value is written; empty for a date or a bare number."""
    return "" if measures.value.quantity is None else unit_text(measures.value)


# -- names that the plan gives --------------------------------------------------------------------


def told_apart(texts: Sequence[str]) -> list[str]:
    """What tells texts apart: without what all begin or end with; whole if no name is left of one.

    ``height("Mont Blanc")`` and ``height("K2")`` are told apart by "Mont Blanc" and "K2".
    """
    words = [_TOKEN.findall(text) for text in texts]
    first, last = (_shared(side) for side in (words, [each[::-1] for each in words]))
    rest = ["".join(each[first : len(each) - last]).strip(_MARKS) for each in words]
    names = all(_NAME.fullmatch(each) for each in rest) and len(set(rest)) == len(texts)
    return rest if names else list(texts)


def _shared(texts: Sequence[Sequence[str]]) -> int:
    """How many words all begin with."""
    return next((at for at, column in enumerate(zip(*texts, strict=False)) if len(set(column)) > 1), 0)
