"""Steps that compute on the results of other steps, which models do badly with the right results in hand.

The tools take what small models write: names with their values in one object, lists, pairs, names in a
second list or as the names of arguments. The values are results of any kind that state one value
(:mod:`planners.stated`). All are pure, and refuse with a :class:`ToolError` where no value, or no single one,
can be made out, or units cannot be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

from pydantic import create_model, model_validator

from orchestrator.consensus.quantities import SCALES, Quantity, parse_quantity
from orchestrator.consensus.quantities.unit_tables import SHARE
from planners.conditions import SIGNS, conditions
from planners.measuring import Measured, difference, entries_of, measured, ranked, told_apart, unit_of
from planners.stated import Value, is_known, likeliest, shown, unit_text, values_in
from workers.errors import ToolError
from workers.showing import show
from workers.tools.calculator import evaluate
from workers.tools.declaration import tool
from workers.tools.numbers import shown as calculated
from workers.tools.tool import Tool

_MONEY = "$€£¥₹"
_OPERAND = re.compile(
    rf"(?P<money>[{_MONEY}]\s*)?(?<![\w.])(?P<number>\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?P<unit>\s*[^\W\d_][^\W\d_]*[²³23]?(?:/[^\W\d_]+|\s+[^\W\d_]+)*(?!\w|\s*\()|\s?°\s?[CF]?)?"
)
_TIMES = re.compile(r"(?<=[\d)])\s*[x\u00d7]\s*(?=[\d(])")
_SHARE_OF = re.compile(r"(?<=%)\s+of\s+(?=[\d(]|[$€£¥₹])")
_SHARE_ADDED = re.compile(
    r"(?<![\d.,])(?!1\s*[+-])[\d.,]+\)?\s*[+-]\s*[\d.,]+\s*%(?!\s*(?:[\d.,(*/^%]|of\b))"
)
_END = re.compile(r"\s*=\s*\??\s*$")
_KEEPS_NO_UNIT = re.compile(
    r"/\s*\(*\s*u|u\s*\)*\s*\*\s*\(*\s*u|\^|\*\*|//|%|(?:sqrt|log|exp|gcd|lcm|factorial)\s*\(", re.IGNORECASE
)
_SHORT_NAMES = {"avg": "mean", "average": "mean", "total": "sum", "add": "sum"}
_ORDER = re.compile(
    r"\b(?:(?P<ascending>asc|aufst|small|low|least|earl|short|increas|up\b|cheap)|(?P<old>old)|(?P<young>young)"
    r"|desc|abst|larg|big|high|great|most|lat|long|new|decreas|down\b|expens)",
    re.IGNORECASE,
)
_LAST_DAY = 31
_TAKEN = frozenset({"a", "b", "values", "names", "order", "condition", "expression"})
"""Names of arguments, which are no names for what is compared."""
_DAY = re.compile(r"(?<![\d-])\d{4}-\d\d-\d\d(?![\d-])")
_SCALE = re.compile(rf"\s*(?:{'|'.join(SCALES)})\b\.?\s*", re.IGNORECASE)


# -- what a result states, in an expression -------------------------------------------------------


def as_number(value: object) -> str:
    """The number that a result states, as plain text for an expression: 2102650, (-5), 0.12 of "12%".

    Raises:
        ToolError: the result states no number, or several; it says what was there.
    """
    return _figures(_only(value)[1])


def as_operand(value: object) -> str:
    """As :func:`as_number`, but with a unit whose size is known, which :data:`calculate` converts.

    A list of numbers becomes what a function such as ``sum`` takes.

    Raises:
        ToolError: as above.
    """
    if isinstance(value, list) and len(value) > 1:
        return ", ".join(map(as_operand, value))
    stated, number = _only(value)
    unit = unit_text(stated) if stated.kind not in ("", SHARE) else ""
    if not unit:
        return _figures(number)
    figures = shown(abs(number)) if number.denominator == 1 else f"{float(abs(number)):.15g}"
    text = f"{unit}{figures}" if unit in _MONEY else f"{figures} {unit}"
    return f"(-{text})" if number < 0 else text


def as_value(value: object) -> object:
    """A result as the other steps compare it: itself, with its unit, date or names.

    Raises:
        ToolError: it states no value; or it is a text that states several.
    """
    stated = values_in(value)
    if not stated or (isinstance(value, str) and len(likeliest(stated)) > 1):
        _ = _one(value, stated)
    return value


def reading_for(computing: str) -> Callable[[object], object]:
    """How the step of this name is given a result: what it refers to by ``$1``."""
    return as_operand if computing == calculate.name else as_value


def with_names(arguments: Mapping[str, Any], call_of: Callable[[str], str | None]) -> dict[str, Any]:
    """The arguments of a step that compares, with names for results that the plan compares without any.

    They are what tells the calls apart that the results come from: ``compare($1, $2)`` would otherwise say
    which number is more, but not of what. ``call_of`` gives for "$1" that step as text, or None. Names and
    results that the plan has mixed up belong together as the calls say: Ollo is not what was found of Vurm.
    """
    given = dict(arguments)
    if isinstance(values := given.get("values"), Mapping):
        given["values"] = _belonging(values, call_of)
    named = {name: value for name, value in given.items() if name not in _TAKEN}
    given |= _belonging(named, call_of)
    compared = values if isinstance(values, list) else [given.get("a"), given.get("b")]
    if isinstance(values, Mapping) or len(compared) < 2 or any(each is None for each in compared):
        return given
    if names := given.get("names"):
        if isinstance(names, list) and len(set(map(str, names))) == len(names) == len(compared):
            found = list(_belonging(dict(zip(map(str, names), compared, strict=True)), call_of).values())
            given |= {"values": found} if isinstance(values, list) else {"a": found[0], "b": found[1]}
        return given
    calls = [call_of(each) if isinstance(each, str) else None for each in compared]
    known = [call for call in calls if call is not None]
    return {**given, "names": told_apart(known)} if len(known) == len(calls) else given


def _belonging(named: Mapping[str, Any], call_of: Callable[[str], str | None]) -> dict[str, Any]:
    """Names with values: that of the call which alone speaks of it, if there is such a call for each."""
    calls = {name: call_of(value) if isinstance(value, str) else None for name, value in named.items()}
    about = {
        name: [other for other, call in calls.items() if call is not None and _speaks_of(call, name)]
        for name in named
    }
    apart = {found[0] for found in about.values() if len(found) == 1}
    return {name: named[about[name][0]] for name in named} if len(apart) == len(named) else dict(named)


def _speaks_of(call: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", call, re.IGNORECASE) is not None


def _only(result: object) -> tuple[Value, Fraction]:
    """The one value that a result states, and its number: of a share, that which it is of one."""
    value = _one(result, values_in(result))
    quantity = value.quantity
    if quantity is None:
        raise ToolError(f"{value.text} is a date or a time, no number; compare says how far two are apart")
    if quantity.times:
        raise ToolError(f"{value.text} is no number in figures")
    return value, quantity.amount if quantity.unit == SHARE else quantity.value


def _one(result: object, stated: list[Value]) -> Value:
    if not stated:
        raise ToolError(f"no number can be made out in {show(result)}")
    if len(values := likeliest(stated)) > 1:
        several = ", ".join(each.text for each in values)
        raise ToolError(f"several values stand in {show(result)}: {several}; give the one that is meant")
    return values[0]


def _figures(number: Fraction) -> str:
    text = shown(number)
    if Fraction(text) != number:
        text = f"({number.numerator}/{number.denominator})"
    return f"({text})" if text.startswith("-") else text


# -- the tools ------------------------------------------------------------------------------------


@tool(timeout=10.0)
def calculate(expression: str) -> str:
    """Arithmetic on numbers and results, as in ($1 + $2) / 2. Also sum, mean, min, max, abs, round, sqrt."""
    if added := _SHARE_ADDED.search(expression):
        raise ToolError(f"{added[0]} is not clear: multiply by 1 plus the share, or write it without %")
    text = _TIMES.sub(" * ", _END.sub("", expression)).replace("[", "").replace("]", "")
    text = _SHARE_OF.sub(" * ", text)
    for word, name in _SHORT_NAMES.items():
        text = re.sub(rf"\b{word}\s*\(", f"{name}(", text, flags=re.IGNORECASE)
    if day := _DAY.search(text):
        raise ToolError(f"{day[0]} is a date, no number; compare says how far two are apart")
    operands = [(match, _quantity(match)) for match in _OPERAND.finditer(text)]
    first: dict[str, tuple[Quantity, str]] = {}
    for match, quantity in operands:
        if quantity is not None and is_known(quantity.unit):
            first.setdefault(
                quantity.unit, (quantity, match["money"] or _SCALE.sub("", match["unit"], count=1))
            )
    filled, marked, at = "", "", 0
    for match, quantity in operands:
        known = quantity is not None and is_known(quantity.unit)
        filled += text[at : match.start()] + _number(match, quantity, first)
        marked += text[at : match.start()] + ("u" if known else "0")
        at = match.end()
    number = calculated(evaluate(filled + text[at:]))
    keeps = len(first) == 1 and not _KEEPS_NO_UNIT.search(marked + text[at:])
    if len(first) > 1 and not re.search(r"[*/^]", marked):
        raise ToolError(
            f"these units cannot be added: {', '.join(unit.strip() for _, unit in first.values())}"
        )
    if not keeps:
        return number
    unit = next(iter(first.values()))[1].strip()
    return f"{unit}{number}" if unit in _MONEY else f"{number} {unit}"


@tool(timeout=10.0)
def compare(a: Any, b: Any, names: Any = None) -> str:
    """Say which of two values is more, or later, and by how much: compare($1, $2)."""
    values = [each for each in (a, b) if each is not None]
    entries = [entry for each in values for entry in entries_of(each, record=True)]
    if names is not None:
        entries = entries_of([entry.result for entry in entries], names)
    measures = measured(entries)
    if len(measures) < 2:
        raise ToolError(f"compare takes two values, not {show(values)}")
    groups = ranked(measures)
    if len(groups) == 1:
        return f"Equal: {' = '.join(each.with_value for each in groups[0])}"
    if len(measures) > 2:
        return "From the largest: " + " > ".join(
            " = ".join(each.with_value for each in group) for group in groups
        )
    more, less = groups[0][0], groups[1][0]
    word = "later" if more.value.quantity is None or less.value.quantity is None else "more"
    apart = _apart(more, less)
    return f"{more.with_value} is {word} than {less.with_value}{f', by {apart}' if apart else ''}"


@tool(timeout=10.0)
def argmax(values: Any, names: Any = None) -> str:
    """Name the largest, or latest, of several results: argmax([$1, $2, $3])."""
    return _tied(ranked(measured(entries_of(values, names)))[0])


@tool(timeout=10.0)
def argmin(values: Any, names: Any = None) -> str:
    """Name the smallest, or earliest, of several results: argmin([$1, $2, $3])."""
    return _tied(ranked(measured(entries_of(values, names)))[-1])


@tool(name="sort", timeout=10.0)
def sort(values: Any, order: str = "descending", names: Any = None) -> str:
    """List the names of several results, the largest first, or the smallest if order is "ascending"."""
    measures = measured(entries_of(values, names))
    groups = ranked(measures)
    if _is_ascending(order, ages=any(each.value.kind in ("s", "month") for each in measures)):
        groups.reverse()
    return ", ".join(" = ".join(each.called for each in group) for group in groups)


@tool(name="filter", timeout=10.0)
def filtered(values: Any, condition: Any, names: Any = None) -> dict[str, Any]:
    """Name and count the results that meet a condition: filter([$1, $2, $3], "> 7319")."""
    entries, given = entries_of(values, names), conditions(condition)
    limits = [entry for _, limit in given for entry in entries_of(limit)]
    if len(limits) != len(given):
        raise ToolError(f"{show(condition)} has several limits: give one sign and one value")
    measures = measured([*entries, *limits])
    bounds = [(SIGNS[sign], bound) for (sign, _), bound in zip(given, measures[len(entries) :], strict=True)]
    met = [
        each.called
        for each in measures[: len(entries)]
        if all(difference(each, bound) in allowed for allowed, bound in bounds)
    ]
    return {"count": len(met), "names": met}


def _is_ascending(order: str, *, ages: bool) -> bool:
    """Whether the smallest comes first; the oldest is the largest of ages, but the earliest of dates."""
    found = _ORDER.search(order)
    if found is None:
        raise ToolError(f'{show(order)} is no order: give "ascending" or "descending"')
    return found["ascending"] is not None or found["young" if ages else "old"] is not None


def _tied(group: list[Measured]) -> str:
    return " and ".join(each.called for each in group) + (" (tied)" if len(group) > 1 else "")


def _apart(more: Measured, less: Measured) -> str:
    """How far two values are apart, in the unit of the larger; empty if that cannot be said."""
    if more.value.quantity is not None and less.value.quantity is not None:
        apart, unit = shown((more.size[0] - less.size[0]) / more.scale), unit_of(more) or unit_of(less)
        return f"{unit}{apart}" if unit and unit in _MONEY else f"{apart} {unit}".rstrip()
    parts, others = [int(part) for part in more.size], [int(part) for part in less.size]
    if more.value.moment is not None and more.value.moment[0].startswith("clock"):
        minutes, seconds = divmod(parts[0] - others[0], 60)
        return f"{minutes} minutes" + (f" {seconds} seconds" if seconds else "")
    if min(parts[0], others[0]) <= _LAST_DAY:
        return ""  # before that year, or without a year
    known = min(len(parts), len(others))
    if known == 1 and len(parts) != len(others):
        return ""  # a year and a day in another may be almost a year closer
    if known < len(("year", "month", "day")):
        months = 12 * (parts[0] - others[0]) + sum(parts[1:known]) - sum(others[1:known])
        return _counted(months, "month") if months % 12 else _counted(months // 12, "year")
    days = (date(*parts[:3]) - date(*others[:3])).days
    years = parts[0] - others[0] - (parts[1:3] < others[1:3])
    return f"{days} days" + (f" ({years} full years)" if years else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _quantity(match: re.Match[str]) -> Quantity | None:
    return parse_quantity(match[0]) if match["money"] or match["unit"] else None


def _number(
    match: re.Match[str], quantity: Quantity | None, first: Mapping[str, tuple[Quantity, str]]
) -> str:
    """The number of an operand, in the unit of the first operand of its dimension."""
    if quantity is None:
        return match[0]
    if not is_known(quantity.unit):
        return _figures(quantity.value)
    unit = first[quantity.unit][0]
    same = (quantity.scale, quantity.offset) == (unit.scale, unit.offset)
    return _figures(quantity.value if same else (quantity.amount - unit.offset) / unit.scale)


# -- names as the names of arguments --------------------------------------------------------------


def _taking_names(computing: Tool, *into: str) -> Tool:
    """The tool, which also takes names for values as the names of arguments: argmax(Ollo=$1, Vurm=$2)."""
    known = set(computing.parameters)

    def gathered(cls: type, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        named = {key: value for key, value in given.items() if key not in known}
        rest = {**dict.fromkeys(into), **{key: value for key, value in given.items() if key in known}}
        if named:
            before = rest[into[0]]
            rest[into[0]] = (
                named if before is None else [before, *({key: value} for key, value in named.items())]
            )
        return rest

    arguments = create_model(
        computing.name,
        __base__=computing.arguments,
        __validators__={"gathered": model_validator(mode="before")(classmethod(gathered))},  # type: ignore[arg-type, dict-item]
    )
    return replace(computing, arguments=arguments)


COMPUTING: tuple[Tool, ...] = (
    calculate,
    *(
        _taking_names(each, *into)
        for each, *into in (
            (compare, "a", "b"),
            (argmax, "values"),
            (argmin, "values"),
            (sort, "values"),
            (filtered, "values"),
        )
    ),
)
