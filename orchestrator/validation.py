"""What requests, files and settings share: non-empty texts, strict JSON, and problems put into words."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Annotated, Any, LiteralString, Never

from pydantic import StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from storage.reading import explained

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def worded(message: LiteralString) -> WrapValidator:
    """For an annotation: whatever is wrong with the value, people are told this.

    The library tells of each form that a value might have had, one by one.
    """

    def check(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError("worded", message) from None

    return WrapValidator(check)


def explain(error: ValidationError) -> str:
    """The problems of a validation in one line."""
    return explained(error, most=None, whole="request")


def strict_json(text: str) -> Any:
    """The value that a JSON text is.

    Raises:
        ValueError: it is none, has a member twice or a number that is not finite, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_refused, parse_float=_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{twice[:40]!r} is given twice")
    return members


def _refused(constant: str) -> Never:
    raise ValueError(f"{constant} is not a JSON number")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
