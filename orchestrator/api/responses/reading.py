"""Reads a request for a response: its parameters, and what it asks of a planner, as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openai.asking import chat_task
from orchestrator.api.openai.asking import param_of as chat_param_of
from orchestrator.api.openai.messages import Turn, conversation_of
from orchestrator.api.openai.models import ENGINE, PREFIX, Effort
from orchestrator.api.openai.parameters import Target, given, validated
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.openai.schemas import ChatRequest, OwnOptions, Temperature, Tokens, TopP
from orchestrator.api.responses.bodies import ReasoningSettings
from orchestrator.api.responses.items import turns_of
from orchestrator.api.responses.kept import Asked
from orchestrator.api.responses.parameters import RESPONSES
from orchestrator.planning.finding import FindPlanner

Name = Annotated[str, Field(max_length=512)]

Tier = Literal["auto", "default", "flex", "priority"]

INSTRUCTIONS = "instructions"

NO_FUNCTION: dict[str, Any] = {"type": "function", "description": None, "parameters": None, "strict": None}
"""What a response says of a tool of which a request does not say it."""

PARAMS = {"messages": "input", "response_format": "text.format", "max_tokens": "max_output_tokens"}
"""What parameters of chat completions are called here."""


class FormatParameter(BaseModel):
    """The form that the text of the answer is to have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = Field(None, max_length=64)
    description: str | None = Field(None, max_length=1_000)
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextParameter(BaseModel):
    """What is asked for of the text of the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: FormatParameter | None = None
    verbosity: Literal["medium"] | None = None


class ReasoningParameter(BaseModel):
    """What is asked for of the way to the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    effort: Effort | None = Field(None, description="How many branches or rounds.")
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        None, description="No matter which: what happens is told in lines."
    )
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ResponseRequest(BaseModel):
    """A request for a response. Parameters that only repeat what is so anyway may be given, too."""

    model_config = ConfigDict(extra="allow", strict=True)

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
    max_output_tokens: Tokens | None = Field(None, description="Tokens that one call may write.")
    temperature: Temperature | None = None
    top_p: TopP | None = None
    service_tier: Tier = "auto"
    tools: list[dict[str, Any]] = Field(default_factory=list)
    tool_choice: Literal["none", "auto"] = "auto"
    parallel_tool_calls: bool = True
    max_tool_calls: int | None = None
    prompt_cache_key: Name | None = None
    safety_identifier: Name | None = None
    user: Name | None = None
    anabranch: OwnOptions | None = None


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


def format_of(text: TextParameter) -> dict[str, Any]:
    """The form that the answer is to have, as chat completions ask for it.

    Raises:
        InvalidParameter: a schema is missing, or is there where none belongs.
    """
    asked = text.format or FormatParameter(type="text")
    if (asked.schema_ is None) == (asked.type == "json_schema"):
        raise InvalidParameter("a schema belongs to type json_schema, and to no other", "text.format.schema")
    if asked.schema_ is None:
        return {"type": asked.type}
    return {"type": asked.type, "json_schema": {"schema": asked.schema_}}


def as_chat(request: Request) -> ChatRequest:
    """The request as a chat completion would say it, but for its conversation.

    Raises:
        InvalidParameter: it has something that is none of the protocol.
    """
    asked = request.parameters
    said: dict[str, Any] = {
        "model": asked.model,
        "messages": [{}],
        "max_completion_tokens": asked.max_output_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "reasoning_effort": asked.reasoning.effort,
        "response_format": format_of(asked.text),
        "service_tier": asked.service_tier,
        "metadata": asked.metadata,
        "tools": [_tool(tool, f"tools[{place}]") for place, tool in enumerate(asked.tools)],
        "tool_choice": asked.tool_choice,
    }
    return ChatRequest.model_validate({**said, "anabranch": asked.anabranch})


def _tool(tool: dict[str, Any], param: str) -> dict[str, Any]:
    """A function as chat completions offer it."""
    if tool.get("type") != "function":
        raise UnsupportedParameter("only functions can be offered to a model", f"{param}.type")
    function = {name: tool.get(name) for name in ("name", "description", "parameters")}
    for name, kind in (("name", str), ("description", str), ("parameters", dict)):
        if not isinstance(function[name], kind) and (name == "name" or function[name] is not None):
            raise InvalidParameter(
                "must be a text" if kind is str else "must be a JSON schema", f"{param}.{name}"
            )
    return {"type": "function", "function": function}


def task_of(request: Request, before: Sequence[Turn], find: FindPlanner) -> dict[str, Any]:
    """The members of the task that a planner is asked for; ``before`` are the turns that the request follows.

    Raises:
        InvalidParameter, UnsupportedParameter, ModelNotFound: it cannot be asked.
    """
    turns = turns_for(request, before)
    task = chat_task(as_chat(request), conversation_of(turns, "input"), find)
    instructed = turns[0].param == INSTRUCTIONS
    return {
        **task,
        "asked_by": asked_in(request, instructed=instructed, store=request.parameters.store).stored,
    }


def turns_for(request: Request, before: Sequence[Turn]) -> list[Turn]:
    """The whole conversation: the instructions, what the request follows, and what it says itself."""
    told = request.parameters.instructions or ""
    instructions = [Turn("system", told, INSTRUCTIONS)] if told.strip() else []
    return [*instructions, *before, *request.said]


def param_of(message: str) -> str | None:
    """The parameter that a mistake in a task is about, by what its message begins with."""
    return PARAMS.get(chat_param_of(message) or "", chat_param_of(message))


def asked_in(request: Request, *, store: bool, instructed: bool = False) -> Asked:
    """What is kept of a request, so that the response can repeat it."""
    asked = request.parameters
    own, form = asked.anabranch or OwnOptions(), asked.text.format
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
        tools=[{**NO_FUNCTION, **tool} for tool in asked.tools],
        user=asked.user,
        content=own.content,
    )
