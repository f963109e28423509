"""Bodies as JSON that every client can read, whatever is in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def dumped(body: BaseModel) -> str:
    """The model as JSON; what UTF-8 or JSON cannot express is replaced, as in :func:`dumped_json`."""
    try:
        return body.model_dump_json()
    except ValueError:  # half of a surrogate pair, or nested too deeply for pydantic
        return dumped_json(body.model_dump())


def dumped_json(value: Any) -> str:
    """A value as JSON, with U+FFFD for half of a surrogate pair, and null for NaN and infinity."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False)
    return encodable(text)


def encodable(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
