"""The days and times of short programs: how they are made, read and moved."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction

from planners.programs.values import Value, as_number, as_text, called
from workers.errors import ToolError
from workers.showing import show as shortened
from workers.tools.numbers import whole

_DAY_MINUTES = 24 * 60

DIRECTIVES = re.compile(r"(?:%[-#]?[AaBbdeHIjMmpSYy]|[^%])*")
"""What the form of a day or time has in it."""


def day(year: Value, month: Value, day: Value) -> Value:
    """A day. Raises ToolError if there is none."""
    return _moment("date", date, year, month, day)


def moment(
    year: Value, month: Value, day: Value, hour: Value = Fraction(0), minute: Value = Fraction(0)
) -> Value:
    """A time of a day. Raises ToolError if there is none."""
    return _moment("datetime", datetime, year, month, day, hour, minute)


def _moment(name: str, made: Callable[..., date], *values: Value) -> Value:
    parts = [whole(name, as_number(each)) for each in values]
    try:
        return made(*parts)
    except (ValueError, OverflowError):
        raise ToolError(f"there is no day {'-'.join(str(each)[:9] for each in parts)}") from None


def span(
    days: Value = Fraction(0),
    seconds: Value = Fraction(0),
    *,
    minutes: Value = Fraction(0),
    hours: Value = Fraction(0),
    weeks: Value = Fraction(0),
) -> Value:
    """A span of time. Raises ToolError if it is too long."""
    sizes = {604_800: weeks, 86_400: days, 3_600: hours, 60: minutes, 1: seconds}
    amount = sum((Fraction(as_number(each)) * size for size, each in sizes.items()), Fraction(0))
    try:
        return timedelta(seconds=float(amount))
    except OverflowError:
        raise ToolError("there is no such span of time") from None


def parsed(text: Value, form: Value) -> Value:
    """A time that is written in a form. Raises ToolError if there is none."""
    if not DIRECTIVES.fullmatch(as_text(form)):
        raise ToolError(f"there is no such form of a day as {shortened(as_text(form))}")
    try:
        return datetime.strptime(as_text(text), as_text(form))
    except (ValueError, re.error):  # the latter of a part that is there twice
        raise ToolError(f"{shortened(as_text(text))} has not the form {shortened(as_text(form))}") from None


def from_iso(text: Value) -> Value:
    """A day that is written as 2024-02-29. Raises ToolError if there is none."""
    try:
        return date.fromisoformat(as_text(text))
    except ValueError:
        raise ToolError(f"{shortened(as_text(text))} is no day") from None


def weekday(value: Value, days: Value = Fraction(0)) -> Value:
    """The name of a day of the week, of a day or so many days after one of a name.

    Raises ToolError if there is none.
    """
    if isinstance(value, date):
        return calendar.day_name[moved(value, days).weekday()]
    if (place := _place(value)) is None:
        raise ToolError(f"weekday takes a day or the name of a weekday, not {called(value)}")
    return calendar.day_name[(place + whole("weekday", as_number(days))) % 7]


def _place(value: Value) -> int | None:
    """Which day of the week a name is, whole or of three letters; None if it is none."""
    name = value.strip().casefold() if isinstance(value, str) else ""
    names = [(each.casefold(), each[:3].casefold()) for each in calendar.day_name]
    return next((place for place, each in enumerate(names) if name in each), None)


def weekday_anew(own: Callable[..., Value]) -> Callable[..., Value]:
    """A program's own :func:`weekday`, which models write anew, and wrong, though they are told of it.

    Where it fails, that one is called; where the two name different days, nobody knows what is meant, and
    ToolError is raised.
    """

    def call(*arguments: Value, **named: Value) -> Value:
        given = (*arguments, *named.values())
        try:
            known = weekday(*given) if len(given) == 2 else None
        except ToolError:
            known = None
        try:
            value = own(*arguments, **named)
        except ToolError:
            if known is None:
                raise
            return known
        if known is not None and _place(value) not in (None, _place(known)):
            raise ToolError(f"{value} is not the day that weekday names, which is {known}")
        return value

    return call


def days_of_month(year: Value, month: Value) -> Value:
    """The weekday that a month begins with, and how many days it has. Raises ToolError if there is none."""
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


def leap(year: Value) -> Value:
    """Whether a year is a leap year. Raises ToolError if there is none."""
    return calendar.isleap(*_of_calendar(year))


def clock(minutes: Value) -> Value:
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
