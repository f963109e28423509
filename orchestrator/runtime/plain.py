"""Values in JSON form, each with one spelling, and the digests taken of that spelling."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from workers.calls import Completion

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def plain(value: object) -> Any:
    """A value in JSON form, for the journal and for tools; one without such a form becomes its type name."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Completion):
        return value.text
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", fallback=_type_name))
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _field_names(type(value))}
    return _type_name(value)


@cache
def _field_names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _type_name(value: object) -> str:
    return f"<{type(value).__name__}>"


def canonical(value: object) -> str:
    """JSON with one spelling for each value: sorted keys, no spaces."""
    return _canonical(value)


def digest(value: object) -> str:
    """128 bits over the canonical JSON of ``value``, as 32 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]
