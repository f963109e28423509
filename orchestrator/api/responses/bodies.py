"""What the Responses API sends, as models; items and events are as Open Responses specifies them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from workers.calls import Usage

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class ResponseError(BaseModel):
    """Why a response failed."""

    code: str = Field(description="Stable, for programs.")
    message: str


class IncompleteDetails(BaseModel):
    """Why a response ended early."""

    reason: str = Field(description="`max_output_tokens`, or the bound of the run that was reached.")


class InputDetails(BaseModel):
    """Of the tokens of all prompts."""

    cached_tokens: int = Field(description="Those that came from the prefix cache.")


class OutputDetails(BaseModel):
    """Of the tokens that were generated."""

    reasoning_tokens: int = Field(description="Those that were spent on thinking apart from the text.")


class ResponseUsage(BaseModel):
    """Tokens of all calls of the run."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ReasoningSettings(BaseModel):
    """What was asked for of the way to the answer."""

    effort: str | None
    summary: str | None


class ResponseBody(BaseModel):
    """A response as it stands."""

    id: str = Field(description="`resp_`, then the id of the task and of its trace.")
    object: Literal["response"] = "response"
    created_at: int = Field(description="Seconds since the epoch.")
    completed_at: int | None = Field(description="When it was completed; null if it was not.")
    status: Status
    background: bool
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: list[dict[str, Any]] = Field(description="A reasoning item, then a message; or function calls.")
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: ReasoningSettings
    safety_identifier: str | None
    service_tier: str
    store: bool
    temperature: float
    text: dict[str, Any] = Field(description="`format`: the form that the answer has.")
    tool_choice: Any = Field(description="`auto`, `none`, `required`, or a function.")
    tools: list[dict[str, Any]]
    top_logprobs: int = 0
    top_p: float
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None
    user: str | None


class InputItems(BaseModel):
    """A page of the items that a response answers."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(BaseModel):
    """What was removed."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class StreamEventBody(BaseModel):
    """An event of a stream; the members of each type are those of the specification."""

    type: str
    sequence_number: int = Field(description="From 0, without gaps; pass it as `starting_after` to go on.")


def usage_of(used: Usage) -> ResponseUsage:
    """Tokens as the protocol counts them; those of thinking apart from the text are a part of the output."""
    return ResponseUsage(
        input_tokens=used.prompt_tokens,
        input_tokens_details=InputDetails(cached_tokens=used.cached_tokens),
        output_tokens=used.completion_tokens,
        output_tokens_details=OutputDetails(
            reasoning_tokens=min(used.reasoning_tokens, used.completion_tokens)
        ),
        total_tokens=used.prompt_tokens + used.completion_tokens,
    )
