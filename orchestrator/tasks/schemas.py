"""Whether JSON is a JSON schema, found out in time that grows with its size alone.

Holding a schema to the schema of schemas takes a validator milliseconds for each of its parts, and for lists
of mixed values far more; whoever sends it would stop everything else in this process. So its keywords are
looked at here, and its patterns only where a text is held to it, in a process that can be ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

_SCHEMA: Final = frozenset(
    (
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    )
)
_SCHEMAS: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NAMED: Final = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))
_COUNTS: Final = frozenset(
    (
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
    )
)
_NUMBERS: Final = frozenset(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"))
_TEXTS: Final = frozenset(
    (
        "$anchor",
        "$comment",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$recursiveRef",
        "$ref",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "description",
        "format",
        "id",
        "pattern",
        "title",
    )
)
_FLAGS: Final = frozenset(("deprecated", "readOnly", "uniqueItems", "writeOnly"))
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


def check(schema: Mapping[str, Any]) -> None:
    """Check that a JSON object is a schema; its depth is bounded.

    Raises:
        ValueError: says which part of it is none, and why.
    """
    if not isinstance(schema.get("$schema", ""), str):
        raise ValueError("its $schema is not a text")  # noqa: TRY004 as pydantic takes it
    # Importing it takes a program a tenth of a second, and most never see a schema.
    from jsonschema import Draft3Validator, Draft4Validator, Draft202012Validator
    from jsonschema.validators import validator_for

    draft = validator_for(schema, default=Draft202012Validator)
    if draft is Draft3Validator:
        raise ValueError("draft 3 is not supported; write it as one of 2020-12")
    _Check(is_newest=draft is Draft202012Validator, is_oldest=draft is Draft4Validator).schema(schema, "$")


class _Check:
    def __init__(self, *, is_newest: bool, is_oldest: bool) -> None:
        self._is_newest = is_newest
        self._is_oldest = is_oldest

    def schema(self, value: object, at: str) -> None:
        if isinstance(value, bool) and not self._is_oldest:
            return
        if not isinstance(value, dict):
            raise _wrong(at, value, "a schema")
        for keyword, each in value.items():
            if (told := self._told(keyword, each, f"{at}.{keyword}")) is not None:
                raise _wrong(f"{at}.{keyword}", each, told)

    def _told(self, keyword: str, value: Any, at: str) -> str | None:
        """What a keyword must be, if its value is something else; raises what is wrong within it."""
        if keyword in _SCHEMA:
            self._one(keyword, value, at)
        elif keyword in _SCHEMAS:
            return self._list(value, at)
        elif keyword in _NAMED:
            return self._map(value, at, self.schema)
        elif keyword == "dependencies":
            return self._map(value, at, self._dependency)
        elif keyword == "dependentRequired":
            return self._map(value, at, self._names)
        elif keyword == "required":
            self._names(value, at)
        elif keyword in _COUNTS:
            return None if _is_count(value) else "a whole number that is not negative"
        elif keyword in _NUMBERS:
            return self._number(keyword, value)
        elif keyword in _TEXTS:
            return None if isinstance(value, str) else "a text"
        elif keyword in _FLAGS:
            return None if isinstance(value, bool) else "true or false"
        elif keyword in ("enum", "examples"):
            return None if isinstance(value, list) else "a list"
        elif keyword == "type":
            return _told_of_type(value)
        return None

    def _one(self, keyword: str, value: Any, at: str) -> None:
        if keyword == "items" and not self._is_newest and isinstance(value, list):
            for index, each in enumerate(value):
                self.schema(each, f"{at}[{index}]")
        elif not (keyword.startswith("additional") and isinstance(value, bool)):
            self.schema(value, at)

    def _list(self, value: Any, at: str) -> str | None:
        if not isinstance(value, list) or not value:
            return "a list of schemas"
        for index, each in enumerate(value):
            self.schema(each, f"{at}[{index}]")
        return None

    def _map(self, value: Any, at: str, check: Callable[[Any, str], None]) -> str | None:
        if not isinstance(value, dict):
            return "an object"
        for name, each in value.items():
            check(each, f"{at}.{name}")
        return None

    def _dependency(self, value: Any, at: str) -> None:
        (self._names if isinstance(value, list) else self.schema)(value, at)

    def _names(self, value: Any, at: str) -> None:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _wrong(at, value, "a list of texts")
        if len(set(value)) < len(value):
            raise _wrong(at, value, "a list of different texts")

    def _number(self, keyword: str, value: Any) -> str | None:
        if isinstance(value, bool):
            fits = self._is_oldest and keyword.startswith("exclusive")
        else:
            fits = isinstance(value, int | float) and (keyword != "multipleOf" or value > 0)
        return None if fits else "a number above 0" if keyword == "multipleOf" else "a number"


def _is_count(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value)
    )


def _told_of_type(value: Any) -> str | None:
    some = value if isinstance(value, list) else [value]
    if (
        some
        and all(isinstance(each, str) and each in _TYPES for each in some)
        and len(set(some)) == len(some)
    ):
        return None
    return f"one of {', '.join(_TYPES)}, or a list of some of them"


def _wrong(at: str, value: object, told: str) -> ValueError:
    return ValueError(f"{at[:200]}: {json.dumps(value, ensure_ascii=False)[:100]} is not {told}")
