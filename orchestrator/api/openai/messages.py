"""The messages of a chat, read strictly: who says what, and what of it a planner or an engine can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from workers.calls import Role, Segment
from workers.functions import FunctionCall

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
"""The roles of the protocol, and whose turn each is here; a developer is what the system is."""

MEMBERS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "tool": {"role", "content", "tool_call_id", "name"},
    "assistant": {
        *("role", "content", "name", "refusal", "tool_calls"),
        *("audio", "function_call", "annotations", "reasoning_content", "reasoning"),
    },
}
"""What a message may say. What an assistant thought, and what it cited, is read and not told again."""

TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""The parts of a content that are texts, and where they keep them; also those of the Responses API."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: its text, the calls that an assistant makes after it, or the call whose result it is.

    ``param`` is where it stands in the request.
    """

    role: Role
    text: str
    param: str
    calls: tuple[FunctionCall, ...] = ()


class Said(NamedTuple):
    """A turn of a conversation before its question, as a task keeps it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a planner is told: the turns before the question, and the question itself."""

    history: tuple[Said, ...]
    query: str

    @property
    def members(self) -> dict[str, Any]:
        """The members of a request for a task that say so."""
        return {"query": self.query, "history": [each._asdict() for each in self.history]}


def turns_of(messages: object, param: str = "messages") -> tuple[Turn, ...]:
    """The messages of a request, in order.

    Raises:
        InvalidParameter: one is none; says which and what would be right.
        UnsupportedParameter: one has what cannot be told to anybody here, such as sound.
    """
    if not isinstance(messages, list) or not messages:
        raise InvalidParameter("must be a list of at least one message", param)
    turns: list[Turn] = []
    called: dict[str, str] = {}  # the names of functions, by the id of their call
    for place, message in enumerate(messages):
        turn = _turn(message, f"{param}[{place}]", called)
        called.update({call.id: call.name for call in turn.calls if turn.role == "assistant"})
        turns.append(turn)
    return tuple(turns)


def conversation_of(turns: Sequence[Turn], param: str = "messages") -> Conversation:
    """The turns as a question and what was said before it.

    The question is the last message of a user; only the system may say something after that. What tools were
    called for before it, and what they returned, is told as text.

    Raises:
        InvalidParameter: nobody asks anything.
        UnsupportedParameter: the last turn is an assistant's, or the result of a tool, which a planner cannot
            continue.
    """
    spoken = [place for place, turn in enumerate(turns) if turn.role != "system"]
    if not spoken:
        raise InvalidParameter("there is no message of a user, so nothing is asked", param)
    last = turns[spoken[-1]]
    if last.role != "user":
        what = "an assistant's text" if last.role == "assistant" else "the result of a tool"
        raise UnsupportedParameter(
            f"a planner answers what a user asks, and cannot go on after {what}; the last message must be "
            "the user's, or name one of the engine's own models",
            last.param,
        )
    if not last.text.strip():
        raise InvalidParameter("it is empty, so nothing is asked", f"{last.param}.content")
    before = [turn for turn in turns if turn is not last]
    said = (Said(role, text) for role, text in map(_told, before) if text.strip())
    return Conversation(tuple(said), last.text)


def segments_of(turns: Sequence[Turn]) -> tuple[Segment, ...]:
    """The turns as an engine is told them."""
    return tuple(Segment(turn.role, turn.text, calls=turn.calls) for turn in turns)


def text_of(content: object, param: str) -> str:
    """The text of a content: a string, or a list of parts, each of which begins a line.

    Raises:
        InvalidParameter: it is neither.
        UnsupportedParameter: a part is no text.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidParameter("must be a text, or a list of parts", param)
    return "\n".join(_part(part, f"{param}[{place}]") for place, part in enumerate(content))


def _part(part: object, param: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise InvalidParameter('must be a part such as {"type": "text", "text": …}', param)
    if (member := TEXTS.get(kind)) is None:
        raise UnsupportedParameter(f"parts of type {kind[:40]!r} cannot be read here; send text", param)
    if not isinstance(text := part.get(member), str):
        raise InvalidParameter("must be a text", f"{param}.{member}")
    return text


def _turn(message: object, param: str, called: Mapping[str, str]) -> Turn:
    if not isinstance(message, dict):
        raise InvalidParameter('must be a message such as {"role": "user", "content": …}', param)
    said = message.get("role")
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None or not isinstance(said, str):
        raise InvalidParameter(f"must be one of {', '.join(ROLES)}", f"{param}.role")
    for name, value in message.items():
        if name not in MEMBERS[said] and value is not None:
            raise InvalidParameter(f"a message of {said} has no such member", f"{param}.{name[:40]}")
    for name in ("audio", "function_call"):
        if message.get(name) is not None:
            raise UnsupportedParameter("this cannot be told here", f"{param}.{name}")
    if role == "tool":
        return _result(message, param, called)
    calls = _calls(message.get("tool_calls"), f"{param}.tool_calls") if role == "assistant" else ()
    content = message.get("content")
    if role == "assistant" and content is None:
        content = message.get("refusal") or ""
        if not calls and not content:
            raise InvalidParameter("an assistant's message needs a content or tool_calls", f"{param}.content")
    return Turn(role, text_of(content, f"{param}.content"), param, calls)


def _result(message: Mapping[str, Any], param: str, called: Mapping[str, str]) -> Turn:
    given = message.get("tool_call_id")
    if not isinstance(given, str) or not given:
        raise InvalidParameter("must be the id of the call whose result this is", f"{param}.tool_call_id")
    if given not in called:
        raise InvalidParameter(
            f"no assistant before it has made the call {given[:40]!r}", f"{param}.tool_call_id"
        )
    text = text_of(message.get("content"), f"{param}.content")
    return Turn("tool", text, param, (FunctionCall(given, called[given], ""),))


def _calls(given: object, param: str) -> tuple[FunctionCall, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InvalidParameter("must be a list of calls", param)
    return tuple(_call(each, f"{param}[{place}]") for place, each in enumerate(given))


def _call(given: object, param: str) -> FunctionCall:
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(function, dict):
        raise UnsupportedParameter(
            'must be a call such as {"id": …, "type": "function", "function": {"name": …, "arguments": …}}',
            param,
        )
    named, name, arguments = given.get("id"), function.get("name"), function.get("arguments", "")
    for value, where in ((named, "id"), (name, "function.name")):
        if not isinstance(value, str) or not value:
            raise InvalidParameter("must be a text", f"{param}.{where}")
    if not isinstance(arguments, str):
        raise InvalidParameter("must be JSON as a text", f"{param}.function.arguments")
    return FunctionCall(str(named), str(name), arguments)


def _told(turn: Turn) -> Said:
    """A turn before the question as text; calls of tools and their results are spelt out."""
    if turn.role == "tool":
        return Said("user", f"Result of {turn.calls[0].name}:\n{turn.text}")
    if turn.role == "assistant":
        made = [f"Calls {call.name} with {call.arguments or '{}'}" for call in turn.calls]
        return Said("assistant", "\n".join([*([turn.text] if turn.text else []), *made]))
    return Said(turn.role, turn.text)
