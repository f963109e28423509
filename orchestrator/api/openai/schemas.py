"""What the routes of OpenAI's protocol take and send."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openai.models import Effort
from orchestrator.tasks.requests import AbstainBelow

ProgressField = Literal["reasoning_content", "reasoning", "none"]
"""The member of a delta that tells how a run goes; or none does."""

Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Tokens = Annotated[int, Field(ge=1, lt=2**31)]
StopTexts = (
    Annotated[str, Field(min_length=1)]
    | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)]
)
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Many = Annotated[int, Field(ge=1, le=16)]
"""How many choices one request may ask an engine for."""


class StreamOptions(BaseModel):
    """How a stream is sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool | None = Field(None, description="Whether a chunk with the usage comes last.")
    include_obfuscation: bool | None = Field(None, description="Without effect.")


class OwnOptions(BaseModel):
    """What only we know: how a planner is to answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    planner: str | None = Field(None, description="Another planner than the one of the model's name.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the planner.")
    budget: dict[str, Any] = Field(default_factory=dict, description="As in a task: `tokens` and others.")
    abstain_below: AbstainBelow | None = Field(None, description="As in a task.")
    deadline: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Seconds after which the answer is of no use any more."
    )
    context: str | None = Field(None, description="Material to answer from.")
    choices: list[str] | None = Field(None, description="Makes it a multiple-choice question.")
    content: Literal["text", "answer"] = Field(
        "text", description="Whether the content is the whole text, or the short answer alone."
    )
    progress: ProgressField | None = Field(
        None, description="Where a stream tells how the run goes; by default, as the setting says."
    )


class Parameters(BaseModel):
    """What chat completions and completions have in common."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(description="`anabranch/…`, or one of the engine's own names.", min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = Field(None, description="Tokens of one call.")
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    stop: StopTexts | None = None
    n: Many | None = None
    anabranch: OwnOptions | None = None

    def only(self, names: Collection[str]) -> Self:
        """The same without what it says but for these parameters."""
        return self.model_copy(update=dict.fromkeys(type(self).model_fields.keys() - set(names)))

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts at which the answer stops."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def own(self) -> OwnOptions:
        """Our own options."""
        return self.anabranch or OwnOptions()

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(Parameters):
    """A chat completion that is asked for; other parameters are in the table of the docs."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    max_completion_tokens: Tokens | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: Effort | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    metadata: dict[str, str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["none", "auto"] | None = None


class CompletionRequest(Parameters):
    """A completion that is asked for; other parameters are in the table of the docs."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=16)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


class PromptDetails(BaseModel):
    """Of which tokens a prompt consisted."""

    cached_tokens: int = Field(description="Those that were in the engine's cache.")


class CompletionDetails(BaseModel):
    """Of which tokens completions consisted."""

    reasoning_tokens: int = Field(description="Those that were spent on thinking apart from the text.")
    cancelled_tokens: int = Field(description="Those of branches that were cancelled.")


class UsageBody(BaseModel):
    """Tokens of all calls."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class RunBody(BaseModel):
    """What only we tell: how a planner came to the answer."""

    task: str = Field(description="The task that was run; also the id of its trace.")
    planner: str
    outcome: str
    answer: str = Field(description="The short answer.")
    trust: str = Field(description="Why the answer may be trusted, or why not.")
    unsure: bool
    confidence: float | None
    entropy: float | None
    probability: float | None = Field(description="How likely it is to be right, if that is known.")
    calls: int
    revised: bool = Field(
        False, description="Of a stream: it had shown another text before the one that counts."
    )


class MessageBody(BaseModel):
    """What an assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChoiceBody(BaseModel):
    """One answer."""

    index: int
    message: MessageBody
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]
    logprobs: dict[str, Any] | None = None


class ChatBody(BaseModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChoiceBody]
    usage: UsageBody
    service_tier: str | None = None
    anabranch: RunBody | None = None


class TextChoiceBody(BaseModel):
    """One text."""

    index: int
    text: str
    finish_reason: Literal["stop", "length", "content_filter"]
    logprobs: dict[str, Any] | None = None


class CompletionBody(BaseModel):
    """A completion."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoiceBody]
    usage: UsageBody
    anabranch: RunBody | None = None


class ModelBody(BaseModel):
    """A model that can be named."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = Field(description="`anabranch` for planners, `engine` for the engine's own models.")
    description: str = ""


class ModelsBody(BaseModel):
    """The models that can be named."""

    object: Literal["list"] = "list"
    data: list[ModelBody]
