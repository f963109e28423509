"""What the tools take, as models that validate it and as schemas that a language model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.exchange import LONGEST_NAME
from orchestrator.api.openai.models import PLANNERS
from orchestrator.errors import InvalidRequest
from orchestrator.tasks.requests import AbstainBelow, TaskRequest, parse
from orchestrator.validation import Text

SHORTEST_TREE, USUAL_TREE, LONGEST_TREE = 500, 12_000, 100_000
"""How many characters of a trace may be asked for, and how many come if nobody says."""


class Arguments(BaseModel):
    """What a tool takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounds(BaseModel):
    """What an answer may cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int | None = Field(None, ge=1, description="Prompt and completion tokens over all calls.")
    calls: int | None = Field(None, ge=1, description="Calls to the model.")
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False, description="Seconds from the start.")


class SolveArguments(Arguments):
    """What `solve` takes."""

    question: Text = Field(
        description="The question, complete in itself: whoever answers it sees nothing of the conversation."
    )
    context: str = Field("", description="Material to answer from, such as a document or data.")
    choices: tuple[Text, ...] = Field(
        (), max_length=26, description="The choices of a multiple-choice question, in their order."
    )
    planner: str = Field(
        "auto",
        description="The reasoning method. `auto` chooses one by the question; `vote` samples several "
        "solutions and stops when they agree; `direct` asks once. The tool `planners` lists all of them.",
    )
    effort: Literal["low", "medium", "high"] | None = Field(
        None,
        description="How much that planner does, mostly how many branches it may have; `medium` is as it is "
        "by itself. What `options` says counts more.",
    )
    options: dict[str, Any] = Field(
        {}, description='Options of that planner, such as {"n": 16} for `vote`; see the tool `planners`.'
    )
    budget: Bounds = Field(
        default_factory=Bounds,
        description="What the answer may cost; at a bound, the best answer so far is given.",
    )
    abstain_below: AbstainBelow | None = Field(
        None,
        description="Give no firm answer unless it is known to be right with this probability, from a "
        "calibration of the service; refused where there is none.",
    )

    def request(self, tenant: str | None) -> TaskRequest:
        """The request for a task of that tenant.

        Raises:
            InvalidRequest: a value is none that a task can have, or the planner knows no effort; says what
                would be right.
        """
        planner, options = self._at_effort()
        given: dict[str, Any] = {
            "query": self.question,
            "context": self.context,
            "choices": self.choices,
            "planner": planner,
            "options": {**options, **self.options},
            "budget": self.budget.model_dump(exclude_none=True),
        }
        if self.abstain_below is not None:
            given["abstain_below"] = self.abstain_below
        if tenant is not None:
            given["tenant"] = tenant
        return parse(given)

    def _at_effort(self) -> tuple[str, dict[str, Any]]:
        """The planner, and its options for the effort."""
        if self.effort is None:
            return self.planner, {}
        known = PLANNERS.get(self.planner)
        if known is None or not known.effort:
            able = ", ".join(name for name, each in PLANNERS.items() if each.effort)
            raise InvalidRequest(
                f"effort: planner {self.planner!r} has none; give its options instead, or one of {able}"
            )
        return known.at(self.effort)


TraceId = Annotated[
    Text, Field(max_length=LONGEST_NAME, description="The `trace_id` that `solve` has given.")
]


class TraceArguments(Arguments):
    """What `trace` takes."""

    trace_id: TraceId
    characters: int = Field(
        USUAL_TREE,
        ge=SHORTEST_TREE,
        le=LONGEST_TREE,
        description="How long the tree may become; what does not fit is counted and left out.",
    )


class ReplayArguments(Arguments):
    """What `replay` takes."""

    trace_id: TraceId


class PlannersArguments(Arguments):
    """What `planners` takes: nothing."""


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of what a tool gives, without references: not every client can resolve them."""
    schema = model.model_json_schema()
    found = _plain(schema, schema.get("$defs", {}))
    assert isinstance(found, dict)
    del found["description"]  # of the model; the tool has its own
    return found


def schema_of_arguments(model: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of what a tool takes, without null as well, which models then write for no reason.

    Whoever has nothing to say leaves a field out.
    """
    found = _without_null(schema_of(model))
    assert isinstance(found, dict)
    return found


def _plain(value: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if isinstance(name := value.get("$ref"), str):
            others = {key: each for key, each in value.items() if key != "$ref"}
            return _plain({**parts[name.rpartition("/")[2]], **others}, parts)
        return {
            key: {name: _plain(each, parts) for name, each in part.items()}
            if key == "properties"
            else _plain(part, parts)
            for key, part in value.items()
            if key != "$defs" and not (key == "title" and isinstance(part, str))
        }
    if isinstance(value, list):
        return [_plain(each, parts) for each in value]
    return value


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        alternatives = value.get("anyOf", ())
        some = [each for each in alternatives if each != {"type": "null"}]
        if len(some) == 1 < len(alternatives):
            return _without_null({**some[0], **{key: value[key] for key in value if key not in _OF_NULL}})
        return {key: _without_null(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_null(each) for each in value]
    return value


_OF_NULL = ("anyOf", "default")
