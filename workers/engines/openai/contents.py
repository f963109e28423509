"""What a message, or a piece of one, says: text, thinking that is kept apart, calls, and a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from workers.engines.openai.answers import garbage

_REASONING: Final = ("reasoning_content", "reasoning", "thinking", "thinking_blocks", "reasoning_details")
"""Where servers put the thinking. Some put the same into two fields, so the first that has any counts."""

_APART: Final = frozenset({*_REASONING, "refusal", "tool_calls", "function_call"})

_THOUGHTS: Final = frozenset({"thinking", "thought", "reasoning"})
_WORDS: Final = ("text", "content", "thinking", "reasoning", "summary", "value")


class Said(NamedTuple):
    """What a piece of a message says; each may be empty."""

    text: str
    reasoning: str
    refusal: str
    calls: Sequence[object] = ()
    """Pieces of calls, as they were sent."""


def read_said(message: Mapping[str, object]) -> Said:
    """What ``message`` says, which may be a delta. Its content may come in parts, each with its type.

    Raises:
        EngineProtocolError: its content is not text.
    """
    content = message.get("content")
    if isinstance(content, str) and _APART.isdisjoint(message):  # as nearly all are
        return Said(content, "", "")
    texts, thoughts, refusals = [], [], []
    for part in content if isinstance(content, list) else [content]:
        match part:
            case None:
                pass
            case str():
                texts.append(part)
            case {"type": str(kind)} if kind.partition(".")[0] in _THOUGHTS:
                thoughts.append(_words(part))
            case {"refusal": str(words)}:
                refusals.append(words)
            case dict():
                texts.append(_words(part))
            case _:
                raise garbage("content that is not text", content)
    for field in _REASONING:
        if (value := message.get(field)) and (words := _words(value)):
            thoughts.append(words)
            break
    if isinstance(refusal := message.get("refusal"), str):
        refusals.append(refusal)
    calls = message.get("tool_calls") or message.get("function_call") or ()
    pieces = tuple(calls) if isinstance(calls, list | tuple) else (calls,)
    return Said("".join(texts), "".join(thoughts), "".join(refusals), pieces)


def _words(value: object) -> str:
    """The text in a value of any of the forms in use; empty if there is none."""
    match value:
        case str():
            return value
        case list():
            return "".join(map(_words, value))
        case dict():
            return next(filter(None, (_words(value.get(field)) for field in _WORDS)), "")
    return ""
