"""What may be asked for beside a question: its conversation, the form of the answer, what is kept with it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from orchestrator.runtime.values import Turn

MOST_TURNS = 4_096
MOST_PAIRS = 16
LONGEST_KEPT = 65_536
"""The most bytes of JSON of a schema, and of what a protocol keeps with its task."""

DEEPEST = 64


class TurnRequest(BaseModel):
    """A message of the conversation before the question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str

    @property
    def turn(self) -> Turn:
        """The message as planners see it."""
        return Turn(self.role, self.content)


class TextFormat(TypedDict):
    """Any text."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc] # pydantic reads it here

    type: Literal["text"]


class ObjectFormat(TypedDict):
    """A JSON object."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    type: Literal["json_object"]


def _small(value: dict[str, Any]) -> dict[str, Any]:
    """JSON that a task can carry.

    Raises:
        ValueError: it is too large, too deep, or no JSON at all.
    """
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"must be JSON: {error}") from None
    if size > LONGEST_KEPT:
        raise ValueError(f"has {size} bytes of JSON; at most {LONGEST_KEPT} are kept")
    if not _is_shallow(value, DEEPEST):
        raise ValueError(f"is nested more than {DEEPEST} deep")
    return value


def _is_shallow(value: object, most: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return True
    within = value.values() if isinstance(value, dict) else value
    return most > 0 and all(_is_shallow(each, most - 1) for each in within)


Kept = Annotated[dict[str, Any], AfterValidator(_small)]
"""A JSON object of bounded size."""


class SchemaFormat(TypedDict):
    """JSON that a schema describes."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    type: Literal["json_schema"]
    schema: Kept


Format = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=MOST_PAIRS),
]

StopText = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
