"""Prompts as planners write them: messages whose parts may be the results of other nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import PlannerError
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.plain import DEPTH, canonical, plain, text
from workers.calls import Completion, Prompt, Role, Segment
from workers.functions import FunctionCall

Part = str | Segment | Completion | Node[Any]
_PARTS = (str, Segment, Completion, Node)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a prompt. Its parts go from stable to volatile: what siblings share comes first."""

    role: Role
    parts: tuple[Part, ...]
    calls: tuple[FunctionCall, ...] = ()
    """Those that an assistant's message of one part makes, or the one whose result a tool's message is."""


Draft = str | Prompt | Sequence[Message]


def system(*parts: Part) -> Message:
    """A system message."""
    return Message("system", parts)


def user(*parts: Part) -> Message:
    """A user message."""
    return Message("user", parts)


def assistant(*parts: Part) -> Message:
    """An assistant message; as the last one of a prompt, text that the completion continues.

    A completion that was asked for with ``return_token_ids`` is continued from the very tokens that the
    engine wrote, if the engine can do that; everywhere else it stands for its text.
    """
    return Message("assistant", parts)


def calling(completion: Completion) -> Message:
    """The assistant's message that made the calls of ``completion``; the :func:`result` of each follows."""
    return Message("assistant", (split_thinking(completion.text).answer,), completion.calls)


def result(call: FunctionCall, *parts: Part) -> Message:
    """What came of a call."""
    return Message("tool", parts, (call,))


def messages_of(draft: Draft) -> tuple[Message, ...]:
    """The messages of a prompt; a plain string is one user message.

    Raises:
        PlannerError: the prompt holds something other than messages of texts and nodes.
    """
    if isinstance(draft, str):
        return (user(draft),)
    if isinstance(draft, Prompt):
        messages = tuple(
            Message(segment.role, (segment if segment.token_ids else segment.text,), segment.calls)
            for segment in draft.segments
        )
    else:
        messages = tuple(draft)
    for message in messages:
        parts = getattr(message, "parts", [message])
        odd = [part for part in parts if not isinstance(part, _PARTS)]
        if odd or not isinstance(message, Message):
            wrong = type(odd[0] if odd else message).__name__
            raise PlannerError(f"a prompt is a text, or messages of texts and nodes; it cannot hold {wrong}")
        if not isinstance(message.role, str):
            raise PlannerError(f"the role of a message is a str, not {type(message.role).__name__}")
        if message.calls or message.role == "tool":
            _check_calls(message)
    return messages


def _check_calls(message: Message) -> None:
    if message.role not in ("assistant", "tool"):
        raise PlannerError(f"a {message.role}'s message has calls: only an assistant makes them")
    if len(message.calls if message.role == "tool" else message.parts) != 1:
        raise PlannerError("make messages with calls by calling(completion) and result(call, ...)")
    if not all(isinstance(each, FunctionCall) for each in message.calls):
        raise PlannerError("the calls of a message are FunctionCalls")


def render(messages: Sequence[Message]) -> Prompt:
    """The prompt with the results of settled nodes in place of their handles.

    A completion comes without its thinking, unless it is the assistant's own text, which may be continued.
    """
    return Prompt(
        tuple([_segment(message.role, part, message.calls) for message in messages for part in message.parts])
    )


def _segment(role: Role, part: Part, calls: tuple[FunctionCall, ...]) -> Segment:
    if type(part) is str:
        return Segment(role, text(part), (), calls)
    value = part.value if isinstance(part, Node) else part
    if role == "assistant" and isinstance(value, Completion | Segment):
        return Segment(role, text_of(value), value.token_ids, calls)
    if isinstance(value, Completion):
        return Segment(role, text(split_thinking(value.text).answer), (), calls)
    return Segment(role, text_of(value), (), calls)


def text_of(value: object) -> str:
    """How a result reads inside a prompt: text as it is, anything else as JSON."""
    own = value if isinstance(value, str) else getattr(value, "text", None)
    return text(str.__str__(own)) if isinstance(own, str) else canonical(plain(value))


def inputs_of(messages: Sequence[Message]) -> list[Node[Any]]:
    """The handles in messages, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, Node)]


def nodes_in(value: object, depth: int = 0) -> Iterator[Node[Any]]:
    """The handles anywhere inside an argument, in order.

    Raises:
        PlannerError: the argument is nested too deeply.
    """
    if depth > DEPTH:
        raise PlannerError(f"an argument is nested more than {DEPTH} deep, or contains itself")
    if isinstance(value, Node):
        yield value
    elif isinstance(value, Message):
        yield from inputs_of([value])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nodes_in(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from nodes_in(item, depth + 1)


def bind(value: Any) -> Any:
    """The same argument with the values of settled nodes in place of their handles."""
    if isinstance(value, Node):
        return value.value
    if isinstance(value, Mapping):
        return {key: bind(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bind(item) for item in value]
    if type(value) is tuple:
        return tuple(bind(item) for item in value)
    return value
