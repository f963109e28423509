"""What may be asked for beside a question: its conversation, the form of the answer, what is kept with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from orchestrator.runtime.values import Turn
from orchestrator.tasks.schemas import check

MOST_TURNS = 4_096
MOST_PAIRS = 16
LONGEST_KEPT = 65_536
"""The most bytes of JSON of a schema, and of what a protocol keeps with its task."""

DEEPEST = 48
"""A journal keeps 64 levels, of which those around a schema are some."""


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


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema that refers to nothing outside of itself.

    Raises:
        ValueError: it is none, or refers to something elsewhere.
    """
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"is no JSON schema: {error}") from None
    if (elsewhere := next(_references_elsewhere(value), None)) is not None:
        raise ValueError(f'refers to {elsewhere!r}: a reference must begin with "#", within the schema')
    return value


def _references_elsewhere(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name in ("$ref", "$dynamicRef"):
            if isinstance(to := value.get(name), str) and not to.startswith("#"):
                yield to
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in within:
        yield from _references_elsewhere(each)


class SchemaFormat(TypedDict):
    """JSON that a schema describes."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    type: Literal["json_schema"]
    schema: Annotated[Kept, AfterValidator(_schema)]


Format = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=MOST_PAIRS),
]

StopText = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
