"""The functions that a short program may call by name, all of them pure and bounded."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cmp_to_key
from types import MappingProxyType

from planners.measuring import Entry, measured
from planners.programs.values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    Fixed,
    Unordered,
    Value,
    as_function,
    as_key,
    as_list,
    as_number,
    as_text,
    called,
    equal,
    in_text,
    order,
    truth,
)
from workers.errors import ToolError
from workers.showing import show as shortened
from workers.tools.arithmetic import add, divide, floor_divide, modulo, multiply, power, subtract
from workers.tools.functions import FUNCTIONS as OF_NUMBERS
from workers.tools.functions import total
from workers.tools.numbers import checked, literal, whole

MODULES = frozenset(("math", "datetime", "date", "calendar", "statistics", "fractions", "decimal"))
"""Modules, and classes in them, whose functions are there without them: ``math.sqrt`` is ``sqrt``."""

_LONGEST_UNIT = 40
_MOST_PLACES = 50
_DAY_MINUTES = 24 * 60
_NOTHING = object()

DIRECTIVES = re.compile(r"(?:%[-#]?[AaBbdeHIjMmpSYy]|[^%])*")
"""What the form of a day or time has in it."""


# -- lists ----------------------------------------------------------------------------------------


def _items(values: tuple[Value, ...]) -> list[Value]:
    """The arguments of a function that takes a list, or the items of one."""
    one = len(values) == 1 and isinstance(values[0], list | dict | str)
    items = [*as_list(values[0], letters=True)] if one else [*values]
    if not items:
        raise ToolError("an empty list has no such value")
    return items


def _ranks(items: list[Value], key: Value) -> list[Value]:
    """What the items are ordered by."""
    return items if key is None else [as_function(key)(each) for each in items]


def _sorted(values: Value, key: Value = None, reverse: Value = False) -> list[Value]:
    items = [*as_list(values, letters=True)]
    ranks = _ranks(items, key)
    ranked = [*zip(ranks, items, strict=True)]
    by_rank = cmp_to_key(_by_rank)
    return [item for _, item in sorted(ranked, key=by_rank, reverse=truth(reverse))]


def _by_rank(a: tuple[Value, Value], b: tuple[Value, Value]) -> int:
    return order(a[0], b[0])


def _extreme(sign: int) -> Callable[..., Value]:
    def extreme(*values: Value, key: Value = None, default: object = _NOTHING) -> Value:
        if default is not _NOTHING and values == ([],):
            return default  # type: ignore[return-value]
        items = _items(values)
        ranks = _ranks(items, key)
        best = 0
        for place in range(1, len(items)):
            if sign * order(ranks[place], ranks[best]) > 0:
                best = place
        return items[best]

    return extreme


def _total(*values: Value, start: Value = Fraction(0)) -> Value:
    listed = bool(values) and isinstance(values[0], list | dict)
    items = as_list(values[0]) if listed else [*values]
    begun = values[1] if listed and len(values) == 2 else start
    return total(as_number(begun), *map(as_number, items))


def _length(value: Value) -> Value:
    return Fraction(len(value) if isinstance(value, str | dict) else len(as_list(value)))


def _count(value: Value, item: Value) -> Value:
    if isinstance(value, str):
        return Fraction(value.casefold().count(as_text(item).casefold()) if item else 0)
    return Fraction(sum(equal(each, item) for each in as_list(value)))


def _range(*values: Value) -> Value:
    bounds = [whole("range", as_number(each)) for each in values]
    if not 1 <= len(bounds) <= 3 or (len(bounds) == 3 and not bounds[2]):
        raise ToolError("range takes one to three whole numbers, and a step other than 0")
    numbers = range(*bounds)
    if any(abs(each) > 10**18 for each in bounds) or len(numbers) > LONGEST_LIST:
        raise ToolError(f"a list holds at most {LONGEST_LIST:,} values")
    return [Fraction(each) for each in numbers]


def _unique(values: Value = "") -> Value:
    found: dict[object, Value] = {}
    for each in as_list(values, letters=True):
        if isinstance(each, list | dict) and not isinstance(each, Fixed):
            raise ToolError(f"{called(each)} is in no set")
        found.setdefault(tuple(each) if isinstance(each, list) else each, each)
    return Unordered(found.values())


def _enumerated(values: Value, start: Value = Fraction(0)) -> Value:
    begun = whole("enumerate", as_number(start))
    return [Fixed((Fraction(at), each)) for at, each in enumerate(as_list(values, letters=True), begun)]


def _zipped(*values: Value) -> Value:
    return [Fixed(each) for each in zip(*(as_list(value, letters=True) for value in values), strict=False)]


def _mapped(function: Value, *values: Value) -> Value:
    lists = [as_list(value, letters=True) for value in values]
    return [as_function(function)(*each) for each in zip(*lists, strict=False)]


def _filtered(function: Value, values: Value) -> Value:
    kept = truth if function is None else as_function(function)
    return [each for each in as_list(values, letters=True) if truth(kept(each))]


def _keyed(values: Value = None) -> Value:
    if isinstance(values, dict):
        return dict(values)
    pairs = [] if values is None else [as_list(each) for each in as_list(values)]
    if any(len(pair) != 2 for pair in pairs):
        raise ToolError("a dictionary is made of pairs of a key and a value")
    return {as_key(key): each for key, each in pairs}


# -- numbers and texts ----------------------------------------------------------------------------


def _number(value: Value = Fraction(0)) -> Value:
    if isinstance(value, str):
        try:
            return checked(literal(value.strip().replace("_", "")))
        except ValueError:
            raise ToolError(f"{shortened(value)} is no number") from None
    return as_number(value)


def _truncated(value: Value = Fraction(0)) -> Value:
    return checked(Fraction(math.trunc(as_number(_number(value)))))


def _rounded(value: Value, ndigits: Value = Fraction(0)) -> Value:
    """Halves go to the even digit where Python holds them exactly, and away from 0 among other decimals."""
    number, places = as_number(value), as_number(ndigits or Fraction(0))
    is_binary = isinstance(number, Fraction) and not number.denominator & (number.denominator - 1)
    if is_binary and abs(digits := whole("round", places)) <= _MOST_PLACES:
        return checked(Fraction(round(number, digits)))  # type: ignore[call-overload]
    return OF_NUMBERS["round"].apply(number, places)


def _of_numbers(name: str) -> Callable[..., Value]:
    function = OF_NUMBERS[name]

    def apply(*values: Value) -> Value:
        numbers = [*map(as_number, _items(values) if function.most is None else values)]
        if not function.least <= len(numbers) <= (function.most or LONGEST_LIST):
            raise ToolError(f"{name} does not take {len(numbers)} numbers")
        return function.apply(*numbers)

    return apply


def _pairwise(function: Callable[..., Value]) -> Callable[..., Value]:
    return lambda a, b: function(as_number(a), as_number(b))


def _median(*values: Value) -> Value:
    ordered = [as_number(each) for each in _sorted(_items(values))]
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return divide(add(ordered[middle - 1], ordered[middle]), Fraction(2))


def _chosen(n: Value, k: Value) -> Value:
    several, of = whole("comb", as_number(n)), whole("comb", as_number(k))
    if not 0 <= several <= 3_000:
        raise ToolError("comb takes whole numbers of at most 3,000")
    return checked(Fraction(math.comb(several, max(of, 0))))


def _product(*values: Value) -> Value:
    product: Value = Fraction(1)
    for each in _items(values):
        product = multiply(as_number(product), as_number(each))
    return product


def made(found: str) -> str:
    """A text that was made. Raises ToolError if it is too long."""
    if len(found) > LONGEST_TEXT:
        raise ToolError(f"a text has at most {LONGEST_TEXT} characters")
    return found


def _in_base(sign: str) -> Callable[..., Value]:
    def digits(value: Value) -> Value:
        return made(format(whole("a whole number", as_number(value)), f"#{sign}"))

    return digits


def _code(letter: Value) -> Value:
    if len(as_text(letter)) != 1:
        raise ToolError("ord takes a text of one letter")
    return Fraction(ord(as_text(letter)))


def _letter(code: Value) -> Value:
    number = whole("chr", as_number(code))
    if not 32 <= number < 0xD800:
        raise ToolError("there is no such letter")
    return chr(number)


# -- days and times -------------------------------------------------------------------------------


def _date(year: Value, month: Value, day: Value) -> Value:
    return _moment("date", date, year, month, day)


def _time(
    year: Value, month: Value, day: Value, hour: Value = Fraction(0), minute: Value = Fraction(0)
) -> Value:
    return _moment("datetime", datetime, year, month, day, hour, minute)


def _moment(name: str, made: Callable[..., date], *values: Value) -> Value:
    parts = [whole(name, as_number(each)) for each in values]
    try:
        return made(*parts)
    except (ValueError, OverflowError):
        raise ToolError(f"there is no day {'-'.join(str(each)[:9] for each in parts)}") from None


def _span(
    days: Value = Fraction(0),
    seconds: Value = Fraction(0),
    *,
    minutes: Value = Fraction(0),
    hours: Value = Fraction(0),
    weeks: Value = Fraction(0),
) -> Value:
    sizes = {604_800: weeks, 86_400: days, 3_600: hours, 60: minutes, 1: seconds}
    amount = sum((Fraction(as_number(each)) * size for size, each in sizes.items()), Fraction(0))
    try:
        return timedelta(seconds=float(amount))
    except OverflowError:
        raise ToolError("there is no such span of time") from None


def _parsed(text: Value, form: Value) -> Value:
    if not DIRECTIVES.fullmatch(as_text(form)):
        raise ToolError(f"there is no such form of a day as {shortened(as_text(form))}")
    try:
        return datetime.strptime(as_text(text), as_text(form))
    except (ValueError, re.error):  # the latter of a part that is there twice
        raise ToolError(f"{shortened(as_text(text))} has not the form {shortened(as_text(form))}") from None


def _from_iso(text: Value) -> Value:
    try:
        return date.fromisoformat(as_text(text))
    except ValueError:
        raise ToolError(f"{shortened(as_text(text))} is no day") from None


def _weekday(value: Value) -> Value:
    if not isinstance(value, date):
        raise ToolError(f"weekday takes a day, not {called(value)}")
    return calendar.day_name[value.weekday()]


def _days_of_month(year: Value, month: Value) -> Value:
    try:
        return [Fraction(each) for each in calendar.monthrange(*_of_calendar(year, month))]
    except ValueError:
        raise ToolError("there is no such month") from None


def _of_calendar(*values: Value) -> Iterator[int]:
    for value in values:
        number = whole("calendar", as_number(value))
        if not 1 <= number <= 9_999:
            raise ToolError("there is no such year")
        yield number


def _leap(year: Value) -> Value:
    return calendar.isleap(*_of_calendar(year))


def _clock(minutes: Value) -> Value:
    """A time of the day, from the minutes since midnight."""
    hour, minute = divmod(whole("clock", as_number(minutes)) % _DAY_MINUTES, 60)
    return f"{hour}:{minute:02}"


def moved(day: date, days: Value) -> date:
    """The day so many days, or such a span, later. Raises ToolError if there is none."""
    try:
        return day + (
            days if isinstance(days, timedelta) else timedelta(days=whole("a day", as_number(days)))
        )
    except OverflowError:
        raise ToolError("there is no such day") from None


# -- units ----------------------------------------------------------------------------------------


def _convert(value: Value, unit: Value, into: Value) -> Value:
    """A number of one unit in another."""
    names = [as_text(unit), as_text(into)]
    if any(len(name) > _LONGEST_UNIT or any(char.isdigit() for char in name) for name in names):
        raise ToolError(f"these are no units: {', '.join(map(shortened, names))}")
    one, other = measured([Entry("", f"1 {name}") for name in names])
    if not (one.value.kind and other.value.kind):
        raise ToolError(f"these are no units: {', '.join(map(shortened, names))}")
    offsets = [each.size[0] - each.scale for each in (one, other)]
    amount = add(multiply(as_number(value), one.scale), offsets[0])
    return divide(subtract(amount, offsets[1]), other.scale)


FUNCTIONS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        **{name: _of_numbers(name) for name in OF_NUMBERS},
        "min": _extreme(-1),
        "max": _extreme(1),
        "round": _rounded,
        "pow": _pairwise(power),
        "divmod": lambda a, b: Fixed((_pairwise(floor_divide)(a, b), _pairwise(modulo)(a, b))),
        "Fraction": lambda a, b=Fraction(1): divide(as_number(_number(a)), as_number(b)),
        "Decimal": _number,
        "isqrt": lambda value: _truncated(OF_NUMBERS["sqrt"].apply(as_number(value))),
        "comb": _chosen,
        "prod": _product,
        "median": _median,
        "sum": _total,
        "sorted": _sorted,
        "reversed": lambda values: [*reversed(as_list(values, letters=True))],
        "enumerate": _enumerated,
        "zip": _zipped,
        "map": _mapped,
        "filter": _filtered,
        "len": _length,
        "count": _count,
        "range": _range,
        "list": lambda value="": [*as_list(value, letters=True)],
        "tuple": lambda value="": Fixed(as_list(value, letters=True)),
        "set": _unique,
        "dict": _keyed,
        "any": lambda values: any(map(truth, as_list(values))),
        "all": lambda values: all(map(truth, as_list(values))),
        "bool": truth,
        "int": _truncated,
        "float": _number,
        "str": lambda value="": made(in_text(value)),
        "ord": _code,
        "bin": _in_base("b"),
        "oct": _in_base("o"),
        "hex": _in_base("x"),
        "chr": _letter,
        "date": _date,
        "datetime": _time,
        "timedelta": _span,
        "strptime": _parsed,
        "fromisoformat": _from_iso,
        "weekday": _weekday,
        "monthrange": _days_of_month,
        "isleap": _leap,
        "clock": _clock,
        "convert": _convert,
    }
)
"""The functions that a program may call, by name."""
