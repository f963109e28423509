"""Functions that a model may call by itself, and its calls of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """What a model is told of a function; ``schema`` is the JSON schema of its arguments by name."""

    name: str
    description: str
    schema: Mapping[str, Any]

    def as_tool(self) -> dict[str, Any]:
        """The entry for it in the ``tools`` of the chat-completions protocol."""
        told = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": told}


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A model's call of a function; ``arguments`` are as it wrote them: a JSON object, if it wrote one.

    The ``id`` connects the call with its result in the messages that follow.
    """

    id: str
    name: str
    arguments: str

    @classmethod
    def at(cls, position: int, name: str, arguments: str) -> FunctionCall:
        """The call at that position of its message, with an id made for it, as the model's has none.

        The id has nine letters and digits, as chat templates of Mistral demand.
        """
        key = blake2b(f"{position} {name} {arguments}".encode(errors="surrogatepass"), digest_size=5)
        return cls(key.hexdigest()[:9], name, arguments)

    def values(self) -> dict[str, Any] | None:
        """The arguments by name; None if they are not a JSON object. No text at all means no arguments."""
        try:
            values = json.loads(self.arguments) if self.arguments.strip() else {}
        except (ValueError, RecursionError):
            return None
        return values if isinstance(values, dict) else None

    def as_tool_call(self) -> dict[str, Any]:
        """The entry for it in the ``tool_calls`` of an assistant's message.

        Servers and chat templates read the arguments, so those that are no JSON object are wrapped in one.
        """
        written = self.arguments if self.arguments.strip() and self.values() is not None else None
        if written is None:
            written = json.dumps({"unreadable": self.arguments} if self.arguments.strip() else {})
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": written}}
