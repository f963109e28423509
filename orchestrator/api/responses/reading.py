"""Reads a request for a response: its parameters, and what it asks of a planner, as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openai.messages import Turn, conversation_of
from orchestrator.api.openai.models import ENGINE, PREFIX, SAMPLED, Effort, PlannerModel, planner_model
from orchestrator.api.openai.parameters import Target, given, validated
from orchestrator.api.openai.refusals import InvalidParameter
from orchestrator.api.responses.bodies import ReasoningSettings
from orchestrator.api.responses.items import turns_of
from orchestrator.api.responses.kept import Asked
from orchestrator.api.responses.parameters import RESPONSES
from orchestrator.planning.finding import FindPlanner

Tier = Literal["auto", "default", "flex", "priority"]


class FormatParameter(BaseModel):
    """The form that the text of the answer is to have."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = Field(None, max_length=64)
    description: str | None = Field(None, max_length=1_000)
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextParameter(BaseModel):
    """What is asked for of the text of the answer."""

    model_config = ConfigDict(extra="forbid")

    format: FormatParameter | None = None
    verbosity: Literal["medium"] | None = None


class ReasoningParameter(BaseModel):
    """What is asked for of the way to the answer."""

    model_config = ConfigDict(extra="forbid")

    effort: Effort | None = Field(None, description="How many branches or rounds.")
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        None, description="No matter which: what happens is told in lines."
    )
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class OwnOptions(BaseModel):
    """What only this service knows, for a planner."""

    model_config = ConfigDict(extra="forbid")

    planner: str | None = Field(None, description="Another planner than the model names.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the planner.")
    budget: dict[str, Any] = Field(default_factory=dict, description="Bounds of the run, as of a task.")
    seed: int | None = Field(None, description="All sampling seeds are derived from it.")


class ResponseRequest(BaseModel):
    """A request for a response. Parameters that only repeat what is so anyway may be given, too."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="`anabranch/` and a planner, or one of the engine's own names.")
    input: str | list[Any] = Field(description="A text, or items; the last is what a user asks.")
    instructions: str | None = None
    previous_response_id: str | None = Field(None, description="Go on after that response.")
    background: bool = Field(False, description="Answer at once, and go on working.")
    store: bool = Field(True, description="Whether the response can be retrieved later.")
    stream: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)
    text: TextParameter = TextParameter()
    reasoning: ReasoningParameter = ReasoningParameter()
    max_output_tokens: int | None = Field(None, ge=1, description="Tokens that one call may write.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    service_tier: Tier = "auto"
    tools: list[Any] = Field(default_factory=list)
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    anabranch: OwnOptions = OwnOptions()


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was read. ``said`` are the turns of its own input."""

    target: Target
    parameters: ResponseRequest
    said: tuple[Turn, ...]
    names_store: bool
    """Whether it says itself if the response is to be stored."""


def request_of(body: Mapping[str, Any]) -> Request:
    """The request that a body is.

    Raises:
        InvalidParameter: a parameter is unknown or wrong.
        UnsupportedParameter: a parameter is refused; the message says why.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidParameter("must be the name of a model, such as anabranch/vote", "model")
    target: Target = "planner" if model.startswith(PREFIX) and model != ENGINE else "engine"
    honoured = given(body, RESPONSES, target)
    if "input" not in honoured:
        raise InvalidParameter("must be a text, or a list of items: what is asked", "input")
    parameters = validated(ResponseRequest, honoured)
    if parameters.background and not parameters.store:
        raise InvalidParameter(
            "it must be stored to be retrieved; leave out store, or background", "background"
        )
    return Request(target, parameters, turns_of(honoured["input"]), "store" in honoured)


def format_of(text: TextParameter) -> dict[str, Any] | None:
    """The form of JSON that the answer is to have; None if it may be any text.

    Raises:
        InvalidParameter: a schema is missing, or is there where none belongs.
    """
    asked = text.format or FormatParameter(type="text")
    if (asked.schema_ is None) == (asked.type == "json_schema"):
        raise InvalidParameter("a schema belongs to type json_schema, and to no other", "text.format.schema")
    if asked.type == "text":
        return None
    return {"type": asked.type, **({"schema": asked.schema_} if asked.schema_ is not None else {})}


def task_of(request: Request, before: Sequence[Turn], find: FindPlanner) -> dict[str, Any]:
    """The members of the task that a planner is asked for; ``before`` are the turns that the request follows.

    Raises:
        InvalidParameter, UnsupportedParameter, ModelNotFound: it cannot be asked.
    """
    asked = request.parameters
    model = planner_model(asked.anabranch.planner or asked.model, find)
    effort = asked.reasoning.effort
    planner, options = model.at(effort)
    sampling = _sampling(asked, model)
    known = find(planner).schemas()
    options |= {name: value for name, value in sampling.items() if name in known}
    instructed = bool(asked.instructions and asked.instructions.strip())
    instructions = [Turn("system", asked.instructions or "", "instructions")] if instructed else []
    form = format_of(asked.text)
    return {
        **conversation_of([*instructions, *before, *request.said], "input").members,
        "planner": planner,
        "options": {**options, **asked.anabranch.options},
        "sampling": sampling,
        "budget": asked.anabranch.budget,
        "metadata": asked.metadata,
        **({"format": form} if form is not None else {}),
        **({"seed": asked.anabranch.seed} if asked.anabranch.seed is not None else {}),
        **({"priority": "batch"} if asked.service_tier == "flex" else {}),
        "asked_by": asked_in(request, instructed=instructed, store=asked.store).stored,
    }


def asked_in(request: Request, *, instructed: bool, store: bool) -> Asked:
    """What is kept of a request, so that the response can repeat it."""
    asked = request.parameters
    form = asked.text.format
    shown = {} if form is None else form.model_dump(exclude_none=True, exclude={"schema_"})
    return Asked(
        model=asked.model,
        instructed=instructed,
        background=asked.background,
        store=store,
        previous_response_id=asked.previous_response_id,
        max_output_tokens=asked.max_output_tokens,
        max_tool_calls=asked.max_tool_calls,
        parallel_tool_calls=asked.parallel_tool_calls,
        prompt_cache_key=asked.prompt_cache_key,
        reasoning=ReasoningSettings(
            effort=asked.reasoning.effort,
            summary=asked.reasoning.summary or asked.reasoning.generate_summary,
        ),
        safety_identifier=asked.safety_identifier,
        service_tier="default" if asked.service_tier == "auto" else asked.service_tier,
        text={
            **({"format": shown} if shown else {}),
            **({"verbosity": asked.text.verbosity} if asked.text.verbosity else {}),
        },
        tool_choice=asked.tool_choice,
        tools=asked.tools,
        user=asked.user,
    )


def _sampling(asked: ResponseRequest, model: PlannerModel) -> dict[str, Any]:
    """How calls are sampled, where the request says something about that."""
    temperature = asked.temperature
    if temperature is not None and model.compares:
        temperature = max(SAMPLED, temperature)
    told = {"temperature": temperature, "top_p": asked.top_p, "max_tokens": asked.max_output_tokens}
    return {name: value for name, value in told.items() if value is not None}
