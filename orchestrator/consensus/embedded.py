"""JSON objects inside a text that a model wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BRACE = re.compile(r"\{")
_DECODER = json.JSONDecoder()

READINGS, CHARACTERS = 64, 8_000_000
"""Bounds on the work, however deeply braces are nested: a text is read at most so many times over, or so
many characters of it if that is more."""


def json_objects(
    text: str, start: re.Pattern[str] = _BRACE, *, nested: bool = False
) -> Iterator[dict[str, Any]]:
    """The JSON objects in ``text``, in the order in which they begin.

    ``start`` matches where an object may begin. If ``nested``, the objects inside an object follow it, and
    what is nested too deeply to be read is passed over; otherwise the search ends there.
    """
    left = max(CHARACTERS, READINGS * len(text))
    match = start.search(text)
    while match is not None and left >= 0:
        at, end = match.span()
        try:
            value, stop = _DECODER.raw_decode(text, at)
        except ValueError as error:  # that of a number with too many digits has no position
            left -= (error.pos if isinstance(error, json.JSONDecodeError) else len(text)) - at
        except RecursionError:
            if not nested:
                return
            left -= len(text) - at
        else:
            left -= stop - at
            yield value
            end = end if nested else stop
        match = start.search(text, end)
