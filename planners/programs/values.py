"""The values of short programs: what each may be used as, how they are ordered, and how they are written.

A value is a number (exact, or rounded to 50 digits), a truth value, a day (with or without a time), a span of
time, a text, None, a list or a dictionary of values, or a function.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from workers.errors import ToolError
from workers.tools.numbers import Number, shown

Scalar: TypeAlias = "Number | bool | date | timedelta | str | None"
Value: TypeAlias = "Scalar | list[Value] | dict[Scalar, Value] | Callable[..., Value]"


class Fixed(list[Any]):
    """A tuple: a list that cannot be changed, and is the same as no other list."""


class Unordered(list[Any]):
    """A set: its items have no places, and none is there twice."""


class Once(list[Any]):
    """What is gone through once: what generators and functions such as ``map`` give."""

    spent = False

    def __bool__(self) -> bool:
        """True, as of all that has no length."""
        return True


LONGEST_LIST = 10_000
"""Values that a list holds at most."""

LONGEST_TEXT = 200
"""Characters of a text."""

_NO_YEAR = 1900
"""The year of a time of which no day was given, as Python has it."""


def called(value: Value) -> str:
    """What a value is called in an error."""
    kinds = {
        list: "a list",
        dict: "a dictionary",
        str: "a text",
        datetime: "a time",
        date: "a day",
        timedelta: "a span of time",
        bool: "a truth value",
        type(None): "None",
    }
    if isinstance(value, Fixed | Unordered):
        return "a tuple" if isinstance(value, Fixed) else "a set"
    return (
        "a function"
        if callable(value)
        else kinds.get(type(value), "a list" if isinstance(value, list) else "a number")
    )


# -- what a value may be used as ------------------------------------------------------------------


def as_number(value: Value) -> Number:
    """The number that a value is: a truth value is 1 or 0, whole days are their number.

    Raises:
        ToolError: it is something else.
    """
    match value:
        case bool():
            return Fraction(int(value))
        case Fraction() | Decimal():
            return value
        case timedelta() if not value.seconds and not value.microseconds:
            return Fraction(value.days)
    raise ToolError(f"a number is needed, not {called(value)}")


def seconds_of(span: timedelta) -> Fraction:
    """The seconds of a span of time, exactly."""
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


def as_text(value: Value) -> str:
    """The text that a value is. Raises ToolError if it is something else."""
    if isinstance(value, str):
        return value
    raise ToolError(f"a text is needed, not {called(value)}")


def as_list(value: Value, *, letters: bool = False) -> list[Value]:
    """The list that a value is, the keys of a dictionary, or the ``letters`` of a text.

    Raises:
        ToolError: it is something else.
    """
    match value:
        case Once() if value.spent:
            raise ToolError("what can be gone through only once is used again")
        case Once():
            value.spent = True
            return value
        case list():
            return value
        case dict():
            return [*value]
        case str() if letters:
            return [*value]
    raise ToolError(f"a list is needed, not {called(value)}")


def as_key(value: Value) -> Scalar:
    """The value, as a key of a dictionary. Raises ToolError if it can be none."""
    if isinstance(value, list | dict) or callable(value):
        raise ToolError(f"{called(value)} is no key of a dictionary")
    return value


def hashed(value: Value) -> object:
    """What stands for the value in a set. Raises ToolError if it can be in none."""
    if isinstance(value, Fixed):
        return tuple(map(hashed, value))
    if isinstance(value, list | dict):
        raise ToolError(f"{called(value)} is in no set")
    return value


def as_function(value: Value) -> Callable[..., Value]:
    """The function that a value is. Raises ToolError if it is something else."""
    if callable(value):
        return value
    raise ToolError(f"a function is needed, not {called(value)}")


def truth(value: Value) -> bool:
    """Whether a value counts as true: what is true, a number other than 0, a day, and what is not empty."""
    return bool(value)


# -- comparing and writing ------------------------------------------------------------------------


def order(a: Value, b: Value) -> int:
    """Below 0, 0 or above 0 as the first comes before, is the same, or comes after.

    Raises:
        ToolError: the two have no order.
    """
    match a, b:
        case (str(), str()) | (timedelta(), timedelta()):
            return (a > b) - (a < b)  # type: ignore[operator]
        case date(), date() if isinstance(a, datetime) is isinstance(b, datetime):
            return (a > b) - (a < b)
        case list(), list() if type(a) is type(b) and not isinstance(a, Unordered):
            differing = (each for each in map(order, a, b) if each)
            return next(differing, (len(a) > len(b)) - (len(a) < len(b)))
    if _is_number(a) and _is_number(b):
        # Exact as they are: a fraction of a rounded number with a large exponent would have all its digits.
        one, other = as_number(a), as_number(b)
        return (one > other) - (one < other)
    raise ToolError(f"{called(a)} and {called(b)} have no order")


def _is_number(value: Value) -> bool:
    return isinstance(value, bool | Fraction | Decimal | timedelta)


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same; those of different kinds are not."""
    match a, b:
        case Unordered(), Unordered():
            return {*map(hashed, a)} == {*map(hashed, b)}
        case list(), list():
            return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
        case dict(), dict():
            return a.keys() == b.keys() and all(equal(value, b[key]) for key, value in a.items())
        case None, None:
            return True
    try:
        return order(a, b) == 0
    except ToolError:
        return False


def in_text(value: Value, *, inside: bool = False) -> str:
    """A value as a part of a text, as Python writes it, but for numbers, which are exact.

    ``inside`` says that it stands in a list or dictionary. Raises ToolError if it cannot be written.
    """
    match value:
        case bool() | None:
            return str(value)
        case str():
            return repr(value) if inside else value
        case date() | timedelta() if not inside:
            return str(value)
        case list() if not isinstance(value, Unordered | Once):
            within = ", ".join(in_text(each, inside=True) for each in value)
            return f"({within}{',' * (len(value) == 1)})" if isinstance(value, Fixed) else f"[{within}]"
        case dict():
            pairs = ((in_text(key, inside=True), in_text(each, inside=True)) for key, each in value.items())
            return f"{{{', '.join(map(': '.join, pairs))}}}"
        case Fraction() | Decimal():
            return shown(value)
    raise ToolError(f"{called(value)} is not written in a text")


def written(value: Value) -> str:
    """A value as the claim of a program. Raises ToolError for a function, which is none."""
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value.strip()
        case None:
            return ""
        case datetime():
            clock = f"{value.hour}:{value.minute:02}"
            return clock if value.year == _NO_YEAR else f"{value.date().isoformat()} {clock}"
        case date():
            return value.isoformat()
        case timedelta():
            return _span(value)
        case list():
            return ", ".join(map(written, value))
        case dict():
            return ", ".join(f"{written(key)}: {written(each)}" for key, each in value.items())
        case Fraction() | Decimal():
            return shown(value)
    raise ToolError("a function is no answer")


def _span(span: timedelta) -> str:
    """A span of time in days, or in its units from days to seconds."""
    if not span.seconds:
        return str(span.days)
    minutes, seconds = divmod(abs(span).seconds, 60)
    parts = {"d": abs(span).days, "h": minutes // 60, "min": minutes % 60, "s": seconds}
    sign = "-" if span < timedelta() else ""
    return sign + " ".join(f"{number} {unit}" for unit, number in parts.items() if number)
