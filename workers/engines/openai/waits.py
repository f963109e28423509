"""How long a server that has no room asks to wait: in its headers, or in what it says."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "mil": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
"""Seconds in a unit, by how its name begins; the longest beginning counts."""

_NAMES = "milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d"
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_NAMES})(?![a-z])", re.IGNORECASE)
_DURATION = re.compile(rf"(?:{_PART.pattern}(?:[\s,]|and\s)*)+", re.IGNORECASE)
_ASKED = re.compile(
    rf"\b(?:try|retry|wait|come\s+back|resets?)\b[^.\d]{{0,60}}?({_DURATION.pattern})", re.IGNORECASE
)
_RESET = re.compile(r"(?=.*rate-?limit)(?:.*-)?reset(?:-.*)?", re.IGNORECASE)
_WINDOW = re.compile(r"\b(r|remaining|t|reset)\s*=\s*(\d+)", re.IGNORECASE)
_FIELDS = ("retry_after", "retryafter", "retrydelay", "estimated_time")
_QUOTING = frozenset({"input", "body", "request", "ctx"})
_ITEMS = 8  # of a list in an error's body that are looked at
_EPOCH = 1e9  # a number from there on is a time since 1970, in seconds
_EPOCH_MS = 1e12  # and from there on in milliseconds


def asked_wait(headers: Mapping[str, str], told: object, message: str) -> float | None:
    """Seconds that a server asks to wait; None if it does not say.

    Headers come first: ``retry-after-ms``, ``Retry-After`` (RFC 9110, section 10.2.3), then the resets of the
    rate limits that are said to be used up (several: the latest). Then the fields of the body ``told``, and
    last the words of its ``message``.
    """
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    if (wait := _number(named.get("retry-after-ms"))) is not None:
        return max(0.0, wait / 1_000)
    if (wait := read_wait(named.get("retry-after"))) is not None:
        return wait
    if resets := [*_resets(named)]:
        return max(resets)
    for field, value in fields_of(told):
        if field == "headers" and isinstance(value, dict):
            if (wait := asked_wait(value, None, "")) is not None:
                return wait
        elif field in _FIELDS and (wait := read_wait(value)) is not None:
            return wait
    if (asked := _ASKED.search(message)) is not None:
        return _duration(asked[1])
    return None


def read_wait(value: object) -> float | None:
    """Seconds from now, in any of the forms in use: a number, ``6m0s``, a time since 1970, a date.

    None if it is none of them. What lies in the past is 0.
    """
    if (number := _number(value)) is not None:
        if number >= _EPOCH:
            number = number / (1_000 if number >= _EPOCH_MS else 1) - time.time()
        return max(0.0, number)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _DURATION.fullmatch(text):
        return _duration(text)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text)
        except ValueError:
            continue
        aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, aware.timestamp() - time.time())
    return None


def seconds_in_words(seconds: float) -> str:
    """A wait as an error names it, such as ``3600 s``."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.3g} s"


def fields_of(told: object, depth: int = 4) -> Iterator[tuple[str, object]]:
    """The fields of an object that a server sent, and of the objects in it; names in small letters.

    Where it quotes the request, it is not looked into: anything may stand there.
    """
    if isinstance(told, dict):
        for name, value in told.items():
            yield str(name).lower(), value
            if depth and name not in _QUOTING:
                yield from fields_of(value, depth - 1)
    elif isinstance(told, list) and depth:
        for value in told[:_ITEMS]:
            yield from fields_of(value, depth - 1)


def _number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _duration(text: str) -> float:
    """The sum of the parts of a duration, in seconds."""
    return sum(float(number) * _unit(name.lower()) for number, name in _PART.findall(text))


def _unit(name: str) -> float:
    return _UNITS[max((start for start in _UNITS if name.startswith(start)), key=len)]


def _resets(headers: Mapping[str, str]) -> Iterator[float]:
    """The waits for the limits that are used up."""
    for name, value in headers.items():
        if name == "ratelimit" or name.endswith("-ratelimit"):  # the draft's single field, "r=0;t=30"
            window = {key.lower()[0:3]: int(number) for key, number in _WINDOW.findall(value)}
            if window.get("r", window.get("rem")) == 0 and (seconds := window.get("t", window.get("res"))):
                yield float(seconds)
        elif _RESET.fullmatch(name) and (wait := read_wait(value)) is not None:
            left = _number(headers.get(re.sub("reset", "remaining", name)))
            if left is None or left <= 0:
                yield wait
