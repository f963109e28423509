"""Arguments of tools that are described by a JSON schema, not by a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel

from workers.tools.arguments import arguments_model
from workers.tools.results import as_json

_TYPES: Final[dict[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}
_LONGEST_ENUM: Final = 1_000
NO_SCHEMA: Final = 'the arguments must have a JSON schema with "type": "object"'


class Omitted:
    """Stands for an argument that was not given."""

    def __repr__(self) -> str:
        return "omitted"


OMITTED: Final = Omitted()


def arguments_of_schema(title: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """A model that checks names, plain types and choices; whoever gets the arguments checks the rest.

    Optional ones that are not given have the value ``OMITTED``.

    Raises:
        ValueError: it is not the schema of an object.
    """
    required, properties = schema.get("required", []), schema.get("properties", {})
    if (
        schema.get("type") != "object"
        or not isinstance(properties, Mapping)
        or not isinstance(required, list)
    ):
        raise ValueError(NO_SCHEMA)
    fields = {
        name: (_type(property), ... if name in required else OMITTED) for name, property in properties.items()
    }
    return arguments_model(title, fields)


def plain_schema(schema: object, title: str, most: int | None = None) -> dict[str, Any]:
    """The JSON schema of an object as journals keep it, of at most ``most`` characters.

    Whoever reads it finds an object for each property and definition, where there may be ``true`` for any
    value, and only names that are required.

    Raises:
        ValueError: it is not the schema of an object.
        ToolError: it is no JSON, or larger. ``title`` names it there.
    """
    plain: Any = as_json(schema, title, most)
    if not (isinstance(plain, dict) and isinstance(plain.get("required", []), list)):
        raise ValueError(NO_SCHEMA)  # noqa: TRY004 - it is what a server or a file says
    for part in ("properties", "$defs"):
        if part in plain:
            plain[part] = _described(plain[part])
    if "required" in plain:
        plain["required"] = [name for name in plain["required"] if isinstance(name, str)]
    return plain


def _described(named: object) -> dict[str, Any]:
    if not isinstance(named, dict):
        raise ValueError(NO_SCHEMA)  # noqa: TRY004 - as above
    return {name: each if isinstance(each, dict) else {} for name, each in named.items()}


def given(values: Mapping[str, object]) -> dict[str, object]:
    """The arguments that were given."""
    return {name: value for name, value in values.items() if value is not OMITTED}


def _type(property: object) -> Any:
    if not isinstance(property, Mapping):
        return Any
    match property:
        case {"enum": [*choices]} if choices and len(choices) <= _LONGEST_ENUM and _are_plain(choices):
            return Literal[tuple(choices)]
        case {"type": str(name)}:
            return _TYPES.get(name, Any)
        case {"type": [*names]} if names and all(isinstance(name, str) for name in names):
            kinds = [_TYPES.get(name, Any) for name in names]
            union = kinds[0]
            for kind in kinds[1:]:
                union = union | kind if Any not in (union, kind) else Any
            return union
    return Any


def _are_plain(choices: list[object]) -> bool:
    return all(choice is None or isinstance(choice, str | bool | int) for choice in choices)
