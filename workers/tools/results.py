"""What a tool returned, as JSON of bounded size."""

from __future__ import annotations

import json
import math
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from workers.errors import ToolError, ToolResultTooLarge
from workers.showing import show, whole_characters

MOST_ITEMS = 1_000_000
"""How many items are taken from an iterator, which may have no end, if nothing else bounds it."""

_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset)

_written = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


MARK = " … (cut)"
"""What stands at the end of a text that was cut."""


def as_json(result: object, tool: str, most: int | None, *, cuts: bool = False) -> JsonValue:
    """A result in JSON form, with halves of surrogate pairs replaced.

    Args:
        tool: its name, for errors.
        most: characters of its JSON, without blanks; None: unbounded.
        cuts: whether a text that is larger is cut, instead of being refused.

    Raises:
        ToolResultTooLarge: it is larger. What is far larger is not looked at to its end.
        ToolError: it has no form in JSON.
    """
    if isinstance(result, Coroutine):
        result.close()
    elif type(result) is str and most is None:
        return whole_characters(result)
    elif type(result) is str and cuts and most is not None:
        return _cut(result, most)
    size = _Size(tool, most)
    try:
        if isinstance(result, Iterator):
            result = size.taken(result)
        else:
            size.add(result)
        plain: JsonValue = to_jsonable_python(result)
        text = _written(plain)
    except ToolError:
        raise
    except Exception as error:  # models write themselves, with code of their own
        raise ToolError(
            f"{tool} returned {show(result)}, not JSON: return text, numbers, lists or dicts"
        ) from error
    if most is not None and len(text) > most:
        raise _too_large(tool, f"{len(text)}", most)
    whole = whole_characters(text)
    return plain if whole == text else json.loads(whole)


def _cut(text: str, most: int) -> str:
    """As much of a text as has at most ``most`` characters of JSON, with a mark if that is not all."""
    kept = whole_characters(text[:most])
    room, end = most, "" if len(text) <= most else MARK
    while (length := len(_written(kept[:room] + end))) > most:
        room, end = min(room - 1, room * most // length) - len(MARK), MARK  # characters may be escaped
        if room <= 0:
            return ""
    return kept[:room] + end


class _Size:
    """Adds up at least how many characters of JSON values take, and refuses them beyond ``most``.

    It looks at built-in collections past whatever their classes make of ``len`` and ``iter``.
    """

    def __init__(self, tool: str, most: int | None) -> None:
        self._tool = tool
        self._most = most
        self._size = 0

    def taken(self, items: Iterator[object]) -> list[object]:
        """The items of an iterator, as far as there is room."""
        most = MOST_ITEMS if self._most is None else self._most
        taken: list[object] = []
        for item in items:
            taken.append(item)
            self.add(item)
            if len(taken) > most:
                raise ToolResultTooLarge(f"{self._tool} returned an iterator with more than {most} items")
        return taken

    def add(self, value: object) -> None:
        """Add a value with all that is in it. Raises ValueError if it contains itself."""
        path: list[tuple[int, Iterator[object]]] = [(0, iter((value,)))]
        within: set[int] = set()
        while path:
            mark, items = path[-1]
            for item in items:
                inner = self._weighed(item)
                if inner is None:
                    continue
                if id(item) in within:
                    raise ValueError("it contains itself")
                within.add(id(item))
                path.append((id(item), iter(inner)))
                break
            else:
                path.pop()
                within.discard(mark)

    def _weighed(self, value: object) -> Iterable[object] | None:
        """Add the weight of a value by itself; returns what is in it, if it is a collection."""
        inner: Iterable[object] | None = None
        weight = 1
        if isinstance(value, str):
            weight = 2 + str.__len__(value)
        elif isinstance(value, bytes | bytearray):
            weight = 2 + len(value)
        elif isinstance(value, int):
            weight = max(1, int(int.bit_length(value) * math.log10(2)))
        elif isinstance(value, dict):
            weight = 2 + dict.__len__(value)
            inner = chain(dict.keys(value), dict.values(value))
        elif (kind := next((kind for kind in _SEQUENCES if isinstance(value, kind)), None)) is not None:
            weight = 1 + kind.__len__(value)
            inner = kind.__iter__(value)
        elif is_dataclass(value) and not isinstance(value, type):
            inner = [getattr(value, field.name) for field in fields(value)]
        elif isinstance(value, Iterator):
            raise ValueError("an iterator within it may have no end")
        self._size += weight
        if self._most is not None and self._size > self._most:
            raise _too_large(self._tool, f"at least {self._size}", self._most)
        return inner


def _too_large(tool: str, size: str, most: int) -> ToolResultTooLarge:
    return ToolResultTooLarge(
        f"{tool} returned {size} characters of JSON, more than the {most} that a result may have: "
        "let it return less, such as a page, a summary or a reference"
    )
