"""Reads the columns of rows that somebody may have changed, and says what is wrong with them.

A SQLite column takes values of every type, whatever its declaration says, and even PostgreSQL takes a NaN or
a text that is not JSON. Each reader raises TypeError or ValueError, worded to follow the name of a column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from storage.tasks import Priority, TaskStatus

T = TypeVar("T")


def text(value: Any) -> str:
    """A text that every program can show."""
    if not isinstance(value, str):
        raise TypeError(f"is {_kind(value)}, not a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("is not UTF-8") from None
    return value


def is_text(value: Any) -> bool:
    """Whether :func:`text` takes it."""
    try:
        text(value)
    except (TypeError, ValueError):
        return False
    return True


def integer(value: Any) -> int:
    """An integer."""
    if value.__class__ is not int:
        raise TypeError(f"is {_kind(value)}, not an integer")
    return int(value)


def count(value: Any) -> int:
    """An integer that is at least 0, and small enough that one more can be stored."""
    if not 0 <= integer(value) < 2**31 - 1:
        raise ValueError(f"is {value}, which is out of range")
    return int(value)


def time(value: Any) -> float:
    """Seconds since the epoch."""
    if value.__class__ is not float and value.__class__ is not int:
        raise TypeError(f"is {_kind(value)}, not a number")
    if not math.isfinite(value):
        raise ValueError(f"is {value}, which is not a time")
    return float(value)


def flag(value: Any) -> bool:
    """A truth value, which SQLite stores as 0 or 1."""
    if not isinstance(value, int) or value not in (0, 1):
        raise ValueError(f"is {_kind(value)}, neither true nor false")
    return bool(value)


def status(value: Any) -> TaskStatus:
    """Where a task stands."""
    if text(value) not in _STATUSES:
        raise ValueError(f"is {value[:40]!r}, not one of {', '.join(_STATUSES)}")
    return TaskStatus(value)


def priority(value: Any) -> Priority:
    """In which line a task waits."""
    if text(value) not in _PRIORITIES:
        raise ValueError(f"is {value[:40]!r}, not one of {', '.join(_PRIORITIES)}")
    return Priority(value)


def json_value(value: Any) -> Any:
    """A text of JSON, without the NaN and the infinities that Python would take."""
    try:
        return _decode(text(value))
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def json_object(value: Any) -> Mapping[str, Any]:
    """A text of a JSON object."""
    found = json_value(value)
    if not isinstance(found, dict):
        raise TypeError("is not a JSON object")
    return found


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A column that may be NULL."""
    return lambda value: None if value is None else read(value)


def printable(value: Any) -> str:
    """Something to show for a value that should have been a text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value).encode(errors="surrogateescape").decode(errors="replace")


def _kind(value: Any) -> str:
    names = {type(None): "missing", bytes: "a blob", str: "a text", float: "a fraction", int: "an integer"}
    return names.get(type(value), type(value).__name__)


def _no_number(name: str) -> float:
    raise ValueError(f"has the number {name[:40]}, which JSON does not know")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


_decode = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite).decode
_STATUSES = tuple(each.value for each in TaskStatus)
_PRIORITIES = tuple(each.value for each in Priority)
