"""JSON objects inside a text that a model wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BRACE = re.compile(r"\{")
_DECODER = json.JSONDecoder()

READINGS = 64
"""Bounds the work: at most so many times the length of the text is read, however deeply braces are nested."""


def json_objects(
    text: str, start: re.Pattern[str] = _BRACE, *, nested: bool = False
) -> Iterator[dict[str, Any]]:
    """The JSON objects in ``text``, in the order in which they begin.

    ``start`` matches where an object may begin. Objects inside an object follow it if ``nested``. The search
    ends at what is nested too deeply to be read.
    """
    left = READINGS * len(text)
    match = start.search(text)
    while match is not None and left >= 0:
        at, end = match.span()
        try:
            value, stop = _DECODER.raw_decode(text, at)
        except ValueError as error:  # that of a number with too many digits has no position
            left -= (error.pos if isinstance(error, json.JSONDecodeError) else len(text)) - at
        except RecursionError:
            return
        else:
            left -= stop - at
            yield value
            end = end if nested else stop
        match = start.search(text, end)
