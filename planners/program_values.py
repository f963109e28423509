"""The values of short programs, how they are ordered and written, and the functions on them.

A value is a number (exact, or rounded to 50 digits), a truth value, a day, a text, or a list of such values.
The difference of two days is a number of days. All functions are pure and bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cmp_to_key
from typing import TypeAlias

from planners.measuring import Entry, measured
from workers.errors import ToolError
from workers.showing import show as shortened
from workers.tools.arithmetic import add, divide, multiply, subtract
from workers.tools.functions import FUNCTIONS as OF_NUMBERS
from workers.tools.functions import total
from workers.tools.numbers import Number, checked, shown, whole

Scalar: TypeAlias = "Number | bool | date | str"
Value: TypeAlias = "Scalar | list[Scalar]"

LONGEST_LIST = 10_000
"""Values that a list holds at most."""

LONGEST_TEXT = 200
"""Characters of a text."""

_LONGEST_UNIT = 40
_DAY_MINUTES = 24 * 60
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


# -- reading values -------------------------------------------------------------------------------


def called(value: object) -> str:
    """What a value is called in an error."""
    kinds = {list: "a list", str: "a text", date: "a day", bool: "a truth value"}
    return kinds.get(type(value), "a number")


def as_number(value: Value) -> Number:
    """The number that a value is; a truth value is 1 or 0.

    Raises:
        ToolError: it is something else.
    """
    if isinstance(value, bool):
        return Fraction(int(value))
    if isinstance(value, Fraction | Decimal):
        return value
    raise ToolError(f"a number is needed, not {called(value)}")


def as_text(value: Value) -> str:
    """The text that a value is. Raises ToolError if it is something else."""
    if isinstance(value, str):
        return value
    raise ToolError(f"a text is needed, not {called(value)}")


def as_list(value: Value, *, letters: bool = False) -> list[Scalar]:
    """The list that a value is, or the ``letters`` of a text. Raises ToolError if it is something else."""
    if isinstance(value, list):
        return value
    if letters and isinstance(value, str):
        return [*value]
    raise ToolError(f"a list is needed, not {called(value)}")


def as_scalar(value: Value) -> Scalar:
    """The value, as one that a list may hold. Raises ToolError if it is a list."""
    if isinstance(value, list):
        raise ToolError("a list holds no lists")
    return value


def truth(value: Value) -> bool:
    """Whether a value counts as true: what is true, a number other than 0, a day, and what is not empty."""
    return bool(value)


def order(a: Value, b: Value) -> int:
    """Below 0, 0 or above 0 as the first comes before, is the same, or comes after.

    Raises:
        ToolError: the two have no order.
    """
    if isinstance(a, str) and isinstance(b, str):
        return (a > b) - (a < b)
    if isinstance(a, date) and isinstance(b, date):
        return (a > b) - (a < b)
    if not isinstance(a, str | date | list) and not isinstance(b, str | date | list):
        # Exact as they are: a fraction of a rounded number with a large exponent would have all its digits.
        one, other = as_number(a), as_number(b)
        return (one > other) - (one < other)
    raise ToolError(f"{called(a)} and {called(b)} have no order")


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same; those of different kinds are not."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    kinds = [str if isinstance(each, str) else date if isinstance(each, date) else list for each in (a, b)]
    numbers = [not isinstance(each, str | date | list) for each in (a, b)]
    if all(numbers) or (kinds[0] is kinds[1] and not any(numbers)):
        return order(a, b) == 0
    return False


def written(value: Value) -> str:
    """A value as the claim of a program."""
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value.strip()
        case date():
            return value.isoformat()
        case list():
            return ", ".join(map(written, value))
        case _:
            return shown(value)


# -- the functions --------------------------------------------------------------------------------


def _items(values: Sequence[Value]) -> list[Scalar]:
    """The arguments of a function that takes a list, or the items of one."""
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else [*map(as_scalar, values)]
    if not items:
        raise ToolError("an empty list has no such value")
    return items


def _ordered(values: Sequence[Value]) -> list[Scalar]:
    return sorted(_items(values), key=cmp_to_key(order))


def _total(*values: Value) -> Value:
    first = values[0] if values else []
    items = as_list(first) if len(values) == 1 and isinstance(first, list) else [*map(as_scalar, values)]
    return total(*map(as_number, items)) if items else Fraction(0)


def _length(value: Value) -> Value:
    return Fraction(len(value if isinstance(value, str) else as_list(value)))


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


def _truncated(value: Value) -> Value:
    if isinstance(value, str):
        raise ToolError("a text is no number")
    return checked(Fraction(math.trunc(as_number(value))))


def _date(year: Value, month: Value, day: Value) -> Value:
    parts = [whole("date", as_number(each)) for each in (year, month, day)]
    try:
        return date(*parts)
    except (ValueError, OverflowError):
        raise ToolError(f"there is no day {'-'.join(str(each)[:9] for each in parts)}") from None


def _weekday(value: Value) -> Value:
    if not isinstance(value, date):
        raise ToolError(f"weekday takes a day, not {called(value)}")
    return _WEEKDAYS[value.weekday()]


def moved(day: date, days: Value) -> date:
    """The day so many days later. Raises ToolError if there is none, or no whole number is given."""
    try:
        return day + timedelta(days=whole("a day", as_number(days)))
    except OverflowError:
        raise ToolError("there is no such day") from None


def _clock(minutes: Value) -> Value:
    """A time of the day, from the minutes since midnight."""
    hour, minute = divmod(whole("clock", as_number(minutes)) % _DAY_MINUTES, 60)
    return f"{hour}:{minute:02}"


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


def _of_numbers(name: str) -> Callable[..., Value]:
    function = OF_NUMBERS[name]

    def apply(*values: Value) -> Value:
        numbers = [*map(as_number, _items(values) if function.most is None else values)]
        if not function.least <= len(numbers) <= (function.most or LONGEST_LIST):
            raise ToolError(f"{name} does not take {len(numbers)} numbers")
        return function.apply(*numbers)

    return apply


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    **{name: _of_numbers(name) for name in OF_NUMBERS},
    "min": lambda *values: _ordered(values)[0],
    "max": lambda *values: _ordered(values)[-1],
    "sorted": lambda values: [*_ordered([values])],
    "sum": _total,
    "len": _length,
    "count": _count,
    "range": _range,
    "list": lambda value: [*as_list(value)],
    "any": lambda values: any(map(truth, as_list(values))),
    "all": lambda values: all(map(truth, as_list(values))),
    "int": _truncated,
    "float": as_number,
    "str": lambda value: written(as_scalar(value))[:LONGEST_TEXT],
    "date": _date,
    "weekday": _weekday,
    "clock": _clock,
    "convert": _convert,
}
"""The functions that a program may call, by name."""
