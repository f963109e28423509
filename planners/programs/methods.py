"""The methods and attributes of values that a short program may use, by the kind of value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from planners.programs.days import DIRECTIVES
from planners.programs.functions import FUNCTIONS, made
from planners.programs.values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    Fixed,
    Once,
    Unordered,
    Value,
    as_key,
    as_list,
    as_number,
    as_text,
    called,
    equal,
    in_text,
    seconds_of,
)
from workers.errors import ToolError
from workers.tools.numbers import decimal, whole

Method = Callable[..., Value]

_FORM = re.compile(r"(?:0?\d{1,2})?,?(?:\.\d{1,2}[f%]?|[fd%])?")


_OF_TEXTS = (
    "lower upper title capitalize casefold swapcase strip lstrip rstrip replace removeprefix removesuffix "
    "startswith endswith find rfind index isalpha isdigit isnumeric isalnum isupper islower isspace"
)


# -- texts ----------------------------------------------------------------------------------------


def _made(name: str) -> Method:
    """A method of texts that takes texts and gives one, a truth value, or a number."""
    method = getattr(str, name)

    def apply(whose: str, *arguments: Value) -> Value:
        found = method(whose, *map(as_text, arguments))
        if isinstance(found, str):
            return made(found)
        return found if isinstance(found, bool) else Fraction(found)

    return apply


def _counted(whose: str, part: Value) -> Value:
    return Fraction(whose.count(as_text(part)))


def _joined(between: str, items: Value) -> Value:
    return made(between.join(as_text(each) for each in as_list(items, letters=True)))


def _pieces(whose: str, separator: Value = None) -> Value:
    return [*whose.split(None if separator is None else as_text(separator))]


def formed(value: Value, form: str) -> str:
    """A value in the form that a format string asks for; as it is written, where there is none."""
    if not form:
        return made(in_text(value))
    if isinstance(value, date) and DIRECTIVES.fullmatch(form):
        return made(value.strftime(form))
    if isinstance(value, bool | Fraction | Decimal) and _FORM.fullmatch(form):
        number = as_number(value)
        if form.endswith("d"):
            return made(format(whole("the form d", number), form))
        exact = Decimal(number.numerator) if number == int(number) else decimal(number)  # type: ignore[union-attr]
        return made(format(exact, form))
    raise ToolError(f"{called(value)} has no such form")


_TEXTS: Mapping[str, Method] = {
    **{name: _made(name) for name in _OF_TEXTS.split()},
    "count": _counted,
    "join": _joined,
    "split": _pieces,
    "splitlines": lambda text: [*text.splitlines()],
}


# -- lists and dictionaries -----------------------------------------------------------------------


def _put(items: list[Value], at: int, added: list[Value]) -> None:
    if len(items) + len(added) > LONGEST_LIST:
        raise ToolError(f"a list holds at most {LONGEST_LIST:,} values")
    items[at:at] = added


def _place(items: list[Value], item: Value) -> int:
    found = next((at for at, each in enumerate(items) if equal(each, item)), None)
    if found is None:
        raise ToolError("the list has no such value")
    return found


def _popped(items: list[Value], at: Value = Fraction(-1)) -> Value:
    place = whole("pop", as_number(at))
    if not -len(items) <= place < len(items):
        raise ToolError("the list has no such value")
    return items.pop(place)


def _sort(items: list[Value], key: Value = None, reverse: Value = False) -> None:
    items[:] = as_list(FUNCTIONS["sorted"](items, key=key, reverse=reverse))


def _added(items: list[Value], item: Value) -> None:
    if not any(equal(each, item) for each in items):
        _put(items, len(items), [item])


_LISTS: Mapping[str, Method] = {
    "append": lambda items, item: _put(items, len(items), [item]),
    "add": _added,
    "extend": lambda items, others: _put(items, len(items), as_list(others, letters=True)),
    "insert": lambda items, at, item: _put(items, whole("insert", as_number(at)), [item]),
    "remove": lambda items, item: items.__delitem__(_place(items, item)),
    "pop": _popped,
    "index": lambda items, item: Fraction(_place(items, item)),
    "count": lambda items, item: FUNCTIONS["count"](items, item),
    "sort": _sort,
    "reverse": lambda items: items.reverse(),
    "copy": lambda items: [*items],
}
_DICTIONARIES: Mapping[str, Method] = {
    "get": lambda pairs, key, default=None: pairs.get(as_key(key), default),
    "keys": lambda pairs: [*pairs],
    "values": lambda pairs: [*pairs.values()],
    "items": lambda pairs: [Fixed((key, each)) for key, each in pairs.items()],
}


# -- days and spans of time -----------------------------------------------------------------------

_DAYS: Mapping[str, Method] = {
    "weekday": lambda day: Fraction(day.weekday()),
    "isoweekday": lambda day: Fraction(day.isoweekday()),
    "isoformat": lambda day: day.isoformat(),
    "strftime": lambda day, form: formed(day, as_text(form)),
    "date": lambda day: day.date() if isinstance(day, datetime) else day,
    "replace": lambda day, **parts: day.replace(
        **{name: whole(name, as_number(each)) for name, each in parts.items()}
    ),
}
_METHODS: tuple[tuple[type, Mapping[str, Method]], ...] = (
    (str, _TEXTS),
    (Unordered, {name: _LISTS[name] for name in ("add", "remove")}),
    (Once, {}),
    (Fixed, {name: _LISTS[name] for name in ("index", "count")}),
    (list, _LISTS),
    (dict, _DICTIONARIES),
    (date, _DAYS),
    (timedelta, {"total_seconds": lambda span: seconds_of(span)}),
)
_ATTRIBUTES: Mapping[type, tuple[str, ...]] = {
    datetime: ("year", "month", "day", "hour", "minute", "second"),
    date: ("year", "month", "day"),
    timedelta: ("days", "seconds"),
}
CHEAP = frozenset(("append", "pop", "get"))
"""Methods that take no longer for longer lists."""


def method(value: Value, name: str) -> Callable[..., Any]:
    """A method of a value. Raises ToolError if it has none of that name."""
    for kind, methods in _METHODS:
        if isinstance(value, kind) and (name in methods or kind in (Fixed, Once, Unordered)):
            if name not in methods:
                break
            found = methods[name]
            return lambda *arguments, **named: found(value, *arguments, **named)
    raise ToolError(f"{called(value)} has no method {name[:LONGEST_TEXT]!r}")


def attribute(value: Value, name: str) -> Value:
    """An attribute of a value: parts of days and of spans. Raises ToolError if it has none of that name."""
    for kind, names in _ATTRIBUTES.items():
        if isinstance(value, kind) and name in names:
            return Fraction(getattr(value, name))
    if name == "days" and isinstance(value, Fraction | Decimal):
        return value  # of a number of days
    if (name == "get" and isinstance(value, dict)) or (name == "count" and isinstance(value, str | list)):
        return method(value, name)
    raise ToolError(f"{called(value)} has no attribute {name[:LONGEST_TEXT]!r}")
