"""Values in JSON form, each with one spelling, and the digests taken of that spelling."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from orchestrator.runtime.interruption import RunEnded
from workers import showing
from workers.calls import Completion

DEPTH = 64
"""The deepest nesting that is kept."""

ITEMS = 1_000_000
"""The most members that are kept, whatever their size: a value may contain another one many times over."""

BITS = 14_000
"""The longest integer that is kept: Python writes, and reads, no more than 4,300 digits."""

OMITTED = "omitted"
"""In the metadata of a field of a dataclass: it is left out of the journal where it is None or `()`."""

UNWRITTEN = "unwritten"
"""In the metadata of a field of a dataclass: the journal never has it, since a replay makes it again."""

LEFT_OUT = "… (the rest is left out)"
TOO_DEEP = "maximum recursion depth exceeded"

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def plain(value: object, most: int | None = None) -> Any:
    """A value in JSON form, for the journal and for tools; one without such a form becomes its type name.

    So does what is nested more than :data:`DEPTH` deep, contains itself, or raises when it is looked at.
    Beyond ``most`` characters the rest is left out, with a mark in its place.

    Raises:
        RunEnded: the code of the value did not yield.
    """
    return _Form(most).of(value)


def text(value: str) -> str:
    """The same text as every database and client takes it: halves of surrogate pairs are replaced."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def cut(value: str, most: int | None) -> str:
    """The first ``most`` characters of a text; a mark in their last place says that there are more."""
    return value if most is None else showing.cut(value, most)


def label(value: object, most: int | None) -> str:
    """Any value as a short text."""
    form = text(value) if type(value) is str else plain(value)
    return cut(form if isinstance(form, str) else canonical(form), most)


def said(error: BaseException, most: int | None = None) -> str:
    """What an error says, whatever its class does when it is asked.

    Raises:
        RunEnded: it did not yield.
    """
    try:
        told = cut(text(str(error)), most)
    except RunEnded:
        raise
    except BaseException:
        return "(what it says cannot be read)"
    # The rest of this message names what the interpreter was doing, which depends on who called the code.
    return TOO_DEEP if isinstance(error, RecursionError) and told.startswith(TOO_DEEP) else told


class _Form:
    """One conversion: what is left of its bounds, and the containers around the current place."""

    def __init__(self, most: int | None) -> None:
        self._room: float = math.inf if most is None else most
        self._items = ITEMS
        self._around: set[int] = set()

    def of(self, value: Any) -> Any:
        kind = type(value)  # most values are of the exact types of JSON, which do nothing when looked at
        if kind is str:
            return self._text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if value.bit_length() <= BITS else _type_name(value)
        if kind is float:
            return value if math.isfinite(value) else str(value)
        if id(value) in self._around or len(self._around) >= DEPTH:
            return _type_name(value)
        self._around.add(id(value))
        try:
            return self._look_into(value, _form_of(value))
        except RunEnded:
            raise
        except BaseException:
            return _type_name(value)
        finally:
            self._around.discard(id(value))

    def _look_into(self, value: Any, kind: str) -> Any:
        match kind:
            case "object":
                return self._object(value.items())
            case "list":
                return self._list(value)
            case "fields":
                own = value.__class__
                members = [(name, getattr(value, name)) for name in _field_names(own)]
                omitted = _omitted_names(own)
                return self._object(
                    (name, item) for name, item in members if name not in omitted or not _is_empty(item)
                )
            case "completion":
                return self.of(value.text)
            case "model":
                return self.of(value.model_dump(mode="json", fallback=_type_name))
            case "like a text":
                return self._text(str.__str__(value))
            case "like an integer":
                return self.of(int.__add__(value, 0))
            case "like a number":
                return self.of(float.__pos__(value))
            case _:
                return _type_name(value)

    def _list(self, items: Iterable[object]) -> list[Any]:
        form = []
        for item in items:
            if self._full():
                form.append(LEFT_OUT)
                break
            form.append(self.of(item))
        return form

    def _object(self, members: Iterable[tuple[object, object]]) -> dict[str, Any]:
        form = {}
        of, text_of = self.of, self._text
        for key, item in members:
            if self._full():
                form[LEFT_OUT] = LEFT_OUT
                break
            form[text_of(key if type(key) is str else _key(key))] = of(item)
        return form

    def _text(self, value: str) -> str:
        if not value.isascii():
            value = text(value)
        room = self._room
        self._room = room - len(value)
        return value if self._room >= 0 else f"{value[: max(0, int(room))]}{LEFT_OUT}"

    def _full(self) -> bool:
        self._items -= 1
        self._room -= 1
        return self._items < 0 or self._room < 0


_LIKE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "like a text"),
    (int, "like an integer"),
    (float, "like a number"),
    ((list, tuple), "list"),
    (Mapping, "object"),
    (Completion, "completion"),
    (BaseModel, "model"),
)


def _form_of(value: object) -> str:
    kind: type[object] = type(value)
    try:
        return _form(kind)  # type: ignore[arg-type] # mypy takes a type for its instances
    except Exception:
        return "name"


@lru_cache(1_000)
def _form(kind: type[object]) -> str:
    """What values of a type become."""
    if kind is dict:
        return "object"
    like = next((form for base, form in _LIKE if issubclass(kind, base)), "")
    return like or ("fields" if is_dataclass(kind) else "name")


def _key(key: object) -> str:
    """The text of a key; one that would only name the address of an object names its type."""
    kind = type(key)
    return (
        _type_name(key) if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__ else str(key)
    )


@lru_cache(1_000)
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if not field.metadata.get(UNWRITTEN))


@lru_cache(1_000)
def _omitted_names(kind: Any) -> frozenset[str]:
    """The fields that are left out where they are empty, so that older journals lack nothing."""
    return frozenset(field.name for field in fields(kind) if field.metadata.get(OMITTED))


def _is_empty(value: object) -> bool:
    return value is None or (type(value) is tuple and not value)


def _type_name(value: object) -> str:
    try:
        return text(f"<{type(value).__name__}>")
    except Exception:  # a class can have a class of its own, and that can do anything
        return "<object>"


def canonical(value: object) -> str:
    """JSON with one spelling for each value: sorted keys, no spaces."""
    return _canonical(value)


def digest(value: object) -> str:
    """128 bits over the canonical JSON of ``value``, as 32 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]
