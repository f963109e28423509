"""The bodies of requests to a simulator that is a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from workers.calls import Call, Prompt, Role, Sampling, Segment
from workers.errors import CallRejected
from workers.functions import Function, FunctionCall

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "tool",
    "assistant": "assistant",
}


class Part(BaseModel):
    """A piece of a message's content."""

    text: str


class Called(BaseModel):
    """What is called, and with what."""

    name: str
    arguments: str = ""


class ToolCall(BaseModel):
    """A call of a function that an assistant's message makes."""

    id: str
    function: Called


class Offered(BaseModel):
    """A function as a request describes it."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class Tool(BaseModel):
    """A function that the model may call."""

    function: Offered

    def described(self) -> Function:
        """The function as a call has it."""
        return Function(self.function.name, self.function.description, self.function.parameters)


class Message(BaseModel):
    """A message of a chat."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    name: str = ""

    def segment(self) -> Segment:
        """The message as a piece of a prompt.

        Raises:
            CallRejected: its role is unknown.
        """
        if self.role not in _ROLES:
            raise CallRejected(f"unknown role {self.role!r}: give one of {', '.join(_ROLES)}")
        content = self.content or ""
        text = content if isinstance(content, str) else "".join(p.text for p in content)
        calls = [
            FunctionCall(each.id, each.function.name, each.function.arguments) for each in self.tool_calls
        ]
        if self.role == "tool":
            calls = [FunctionCall(self.tool_call_id, self.name, "")]
        return Segment(_ROLES[self.role], text, calls=tuple(calls))


class StreamOptions(BaseModel):
    """What a stream is to carry besides the text."""

    include_usage: bool = False


class Body(BaseModel):
    """The fields of a request that mean something here; others are ignored."""

    model: str = ""
    messages: list[Message] = []
    prompt: str = ""
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    priority: int = 0
    cache_salt: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    continue_final_message: bool = False
    tools: list[Tool] = []

    def call(self, *, chat: bool) -> Call:
        """The call that is asked for, a chat or a plain completion.

        Raises:
            CallRejected: a message has an unknown role.
        """
        if chat:
            segments = [message.segment() for message in self.messages]
            if segments and segments[-1].role == "assistant" and not self.continue_final_message:
                segments.append(Segment("user", ""))  # the message is finished, so another one begins
        else:
            segments = [Segment("user", self.prompt)]
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Call(
            Prompt(tuple(segments)),
            Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_tokens or 1024,
                stop=tuple(stop),
                seed=self.seed,
            ),
            functions=tuple(each.described() for each in self.tools),
            priority=-self.priority,  # vLLM runs small numbers first
            tenant=self.cache_salt or "",
        )
