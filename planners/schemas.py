"""What the JSON schemas of tools say of their arguments, of which servers send any form that is valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

ANY = "any"


def properties_of(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The schemas of the arguments by name; one that says nothing, such as ``true``, is empty."""
    return {
        name: each if isinstance(each, Mapping) else {} for name, each in schema.get("properties", {}).items()
    }


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that a value may have, none where the schema does not say: ``["string", "null"]``."""
    types = schema.get("type")
    return [each for each in (types if isinstance(types, list) else [types]) if isinstance(each, str)]


def takes_text(schema: Mapping[str, Any]) -> bool:
    """Whether a value is a text wherever it is anything."""
    return [each for each in types_of(schema) if each != "null"] == ["string"]


class Told(Protocol):
    """What a model is told of: a tool, or a step that a plan may have."""

    @property
    def name(self) -> str:
        """What it is called by."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        ...


def described(tool: Told, signature: str | None = None) -> str:
    """A line about a tool for a model: ``- name(argument: type, …): what it does``.

    ``signature`` is how its arguments are shown, instead of by their types.
    """
    shown = signature_of(tool.schema) if signature is None else signature
    return f"- {tool.name}{shown}: {' '.join(tool.description.split())}"


def signature_of(schema: Mapping[str, Any]) -> str:
    """The arguments of a tool as models are shown them: ``(query: string, limit: integer (optional))``."""
    required = schema.get("required", ())
    arguments = (
        f"{name}: {' or '.join(types_of(each)) or ANY}{'' if name in required else ' (optional)'}"
        for name, each in properties_of(schema).items()
    )
    return f"({', '.join(arguments)})"
