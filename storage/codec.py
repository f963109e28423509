"""Event data to and from the text of a column; long strings are addressed by their content.

A string longer than ``INLINE`` characters becomes ``{"$text": hash}`` and is stored once for all events of
all tasks. A caller's key that looks like that mark gets one more ``$``, so that every JSON value comes back
as it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from storage.errors import NotStorable

INLINE = 64
"""Strings of up to this many characters stay in place. For a string of this length that is used once, a
reference costs more; but instructions and questions are used by every branch."""

Redact = Callable[[str], str]
"""Applied to every string (not to keys, and not to identifiers) before it is stored."""

Places = frozenset[tuple[str, ...]]
"""Members of a JSON object, each by the keys that lead to it."""

EVENT_IDENTIFIERS: Places = frozenset(
    {
        *((key,) for key in ("kind", "inputs", "after", "outcome", "limit", "planner", "tenant", "versions")),
        *(("request", key) for key in ("key", "idempotency_key", "tool", "role")),
        *(("error", key) for key in ("code", "path")),
        ("reused", "from"),
    }
)
"""The identifiers in an event's data; a journal whose identifiers were changed would mean nothing."""

ENDING_IDENTIFIERS: Places = frozenset({("outcome",), ("limit",), ("planner",), ("trace_id",), ("code",)})
"""The identifiers in a task's solution and error."""


def _no_number(name: str) -> float:
    raise ValueError(f"has the number {name}, which JSON does not know")


def _decoder(object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Callable[[str], Any]:
    return json.JSONDecoder(object_hook=object_hook, parse_constant=_no_number).decode


_plain = _decoder()

_MARK = '$text"'
_ESCAPED = '$$text"'
_REFERENCE = re.compile(r'"\$text":"([\w-]{24})"')

_readable = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
_ascii = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """JSON without blanks that every database accepts: no NUL, and no half of a surrogate pair.

    Raises:
        NotStorable: ``value`` is not JSON.
    """
    try:
        text = _readable(value)
        if not text.isascii() and not _encodable(text):
            text = _ascii(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(f"a value cannot be stored as JSON: {error}") from error
    return text


def pack(data: Any) -> tuple[str, Mapping[str, str]]:
    """``data`` as JSON with references, and the texts that they stand for, by hash. Raises NotStorable."""
    texts: dict[str, str] = {}
    try:
        outline = _outline(data, texts)
    except RecursionError as error:
        raise NotStorable(
            "a value cannot be stored as JSON: it is nested too deeply, or contains itself"
        ) from error
    return dumps(outline), texts


def unpack(text: str, texts: Mapping[str, str]) -> Any:
    """What :func:`pack` was given."""
    return unpacker(texts)(text)


def unpacker(texts: Mapping[str, str]) -> Callable[[str], Any]:
    """:func:`unpack` for many rows; ``texts`` must have at least those that they refer to."""

    def resolve(members: dict[str, Any]) -> Any:
        return texts[members["$text"]] if "$text" in members else members

    def restore(members: dict[str, Any]) -> Any:
        if "$text" in members:
            return texts[members["$text"]]
        return {(key[1:] if _is_mark(key) else key): value for key, value in members.items()}

    with_references = (_decoder(resolve), _decoder(restore))
    return lambda text: with_references[_ESCAPED in text](text) if _MARK in text else _plain(text)


def references(text: str) -> list[str]:
    """The hashes of the texts that packed data refers to."""
    return _REFERENCE.findall(text) if _MARK in text else []


def redacted(value: Any, redact: Redact, spared: Places = frozenset(), at: tuple[str, ...] = ()) -> Any:
    """A copy of the JSON ``value``, with every string but the ``spared`` ones passed through ``redact``."""
    if at in spared:
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redacted(item, redact, spared, (*at, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, redact, spared, (*at, "")) for item in value]
    return value


def _outline(value: Any, texts: dict[str, str]) -> Any:
    # Exact types first: this runs for every member of every event.
    kind = type(value)
    if kind is str:
        return value if len(value) <= INLINE else _reference(value, texts)
    if kind is dict:
        return {
            (key if key.__class__ is str and key[-4:] != "text" else _escaped(key)): (
                item
                if (of := type(item)) is int or of is float or (of is str and len(item) <= INLINE)
                else _outline(item, texts)
            )
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return [_outline(item, texts) for item in value]
    if isinstance(value, str):
        return _outline(str(value), texts)
    if isinstance(value, Mapping):
        return _outline(dict(value), texts)
    return value


def _reference(text: str, texts: dict[str, str]) -> Any:
    key = _address(text) if len(text) > _REMEMBERED else _remembered_address(text)
    if key is None:
        return text
    texts[key] = text
    return {"$text": key}


def _address(text: str) -> str | None:
    """The content address: 144 bits of BLAKE2b in 24 characters.

    None for a text that cannot be a row on PostgreSQL, only JSON: one with a NUL, or one that is not UTF-8.
    """
    if "\0" in text:
        return None
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return None
    return base64.urlsafe_b64encode(hashlib.blake2b(encoded, digest_size=18).digest()).decode()


_REMEMBERED = 8_000  # characters: siblings share prompts, and remembering a few of these takes little memory
_remembered_address = lru_cache(256)(_address)


def _escaped(key: object) -> str:
    if not isinstance(key, str):
        raise NotStorable(f"the keys of a JSON object are strings, but one is {key!r}")
    return f"${key}" if _is_mark(key) else key


def _is_mark(key: str) -> bool:
    return key.startswith("$") and key.lstrip("$") == "text"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
