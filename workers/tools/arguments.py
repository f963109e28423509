"""The arguments of a tool as a pydantic model that validates them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import GenerateJsonSchema

from workers.tools.tool import IDEMPOTENCY_KEY


class PlainSchema(GenerateJsonSchema):
    """A schema without titles for its fields, which would repeat their names and cost tokens."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """None should."""
        return False


def arguments_of(function: Callable[..., object], title: str) -> type[BaseModel]:
    """A model of the parameters of a function.

    Raises:
        TypeError: a parameter has no type or cannot be named.
    """
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"the tool {title} has the parameter {parameter}: all must be plain and named")
        if name == IDEMPOTENCY_KEY:
            continue
        if name not in hints:
            raise TypeError(f"the parameter {name} of the tool {title} needs a type")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    return arguments_model(title, fields)


def schema_of(arguments: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of arguments, as models read it."""
    schema = arguments.model_json_schema(schema_generator=PlainSchema)
    schema.pop("title", None)
    return schema


def takes_key(function: Callable[..., object], title: str) -> bool:
    """Whether a function has a parameter for the idempotency key.

    Raises:
        TypeError: that parameter is not a ``str``.
    """
    if IDEMPOTENCY_KEY not in inspect.signature(function).parameters:
        return False
    if get_type_hints(function).get(IDEMPOTENCY_KEY) is not str:
        raise TypeError(f"the parameter {IDEMPOTENCY_KEY} of the tool {title} must have the type str")
    return True


def arguments_model(title: str, fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    """A model of fields with types and defaults. Names are aliases, as pydantic reserves some for itself."""
    renamed: dict[str, Any] = {
        f"argument_{number}": (kind, Field(default=default, alias=name))
        for number, (name, (kind, default)) in enumerate(fields.items())
    }
    return create_model(title, __config__=ConfigDict(extra="forbid"), **renamed)
