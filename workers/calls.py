"""The values that travel between the orchestrator and an engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

from workers.functions import Function, FunctionCall

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "abort", "refused"]
"""Why a completion ended: it was finished, cut off at its bound of tokens, broken off, or withheld by a
filter or by the model itself. Only the first is an answer."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt that is stable as a whole: calls share either all of it or none.

    ``token_ids`` are the tokens that an engine generated for ``text``, if that is an assistant's text which
    a call continues. The text is what counts: an engine sends the tokens in its place only after checking
    that they spell it. ``calls`` are those that an assistant makes after the text, or the one call whose
    result a tool's text is.
    """

    role: Role
    text: str
    token_ids: tuple[int, ...] = ()
    calls: tuple[FunctionCall, ...] = ()

    def __post_init__(self) -> None:
        if self.role == "tool" and len(self.calls) != 1:
            raise ValueError(f"a tool's segment is the result of one call, not of {len(self.calls)}")
        if self.calls and self.role not in ("assistant", "tool"):
            raise ValueError(f"a {self.role}'s segment has calls: only an assistant makes them")
        if self.token_ids and self.role != "assistant":
            raise ValueError(f"a {self.role}'s segment has token_ids: only an assistant's text is generated")
        if self.token_ids and not (min(self.token_ids) >= 0 and max(self.token_ids) < 1 << 32):
            raise ValueError("token_ids must be unsigned 32-bit integers")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat prompt as segments ordered from stable to volatile.

    Consecutive segments of one role form one message, so a shared prefix may end inside a message.
    If the last segment is the assistant's, the engine continues that text (assistant prefill); if the whole
    message is empty, there is nothing to continue, and it is left out.
    """

    segments: tuple[Segment, ...]

    def messages(self) -> list[dict[str, Any]]:
        """The prompt in the form of the chat-completions protocol: ``[{"role", "content"}, ...]``.

        An assistant's message may have ``tool_calls``, a tool's has ``tool_call_id`` and ``name``.
        """
        merged: list[dict[str, Any]] = []
        for segment in self.segments:
            head: dict[str, Any] = {"role": segment.role}
            if segment.role == "tool":
                head |= {"tool_call_id": segment.calls[0].id, "name": segment.calls[0].name}
            if merged and head.items() <= merged[-1].items():
                merged[-1]["content"] += segment.text
            else:
                merged.append({**head, "content": segment.text})
            if segment.calls and segment.role == "assistant":
                merged[-1].setdefault("tool_calls", []).extend(each.as_tool_call() for each in segment.calls)
        # Chat templates would close the assistant's turn after an empty text.
        return merged[:-1] if merged and merged[-1] == {"role": "assistant", "content": ""} else merged

    @property
    def prefill(self) -> str:
        """The assistant text that the completion continues; empty when the assistant starts afresh."""
        own = takewhile(lambda segment: segment.role == "assistant", reversed(self.segments))
        return "".join(reversed([segment.text for segment in own]))

    def split(self) -> tuple[Prompt, tuple[Segment, ...]]:
        """The prompt up to the first known tokens of its last message, and the segments from there on."""
        start = len(self.segments)
        known = start
        while start and self.segments[start - 1].role == "assistant":
            start -= 1
            if self.segments[start].token_ids:
                known = start
        return Prompt(self.segments[:known]), self.segments[known:]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are sampled. ``top_logprobs`` asks for that many alternatives per token (0: chosen only).

    ``code``, in [0, 1), draws them by arithmetic sampling (arXiv 2210.15458) where an engine can do that.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int | None = None
    top_logprobs: int | None = None
    code: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an engine.

    ``schema`` is a JSON schema that the completion must satisfy; it is a request for guided decoding, and
    engines without it ignore it, so the caller validates. ``grammar`` asks for the same in GBNF,
    llama.cpp's form; a call has one of them at most. ``functions`` may be called by the model if the engine
    can do that; otherwise they are ignored, too. ``role`` says which model of a pool should answer
    (planner, branch, judge, large, draft); an engine with one model ignores it. A larger ``priority`` goes
    first. Calls with the same ``family`` share a prompt prefix long enough to be worth placing together.
    ``tenant`` separates caches and fair shares. ``return_token_ids`` asks for the tokens of the completion,
    with which another call can continue it exactly. ``permit`` is awaited before the call is sent a further
    time, after it has waited, and as it leaves: it returns when that may be, and raises if it no longer may.
    ``task`` names what the call is made for: an engine that fails at calls of one task and at no others is
    not blamed. ``traceparent`` is the span that the call belongs to (W3C Trace Context); an engine behind
    HTTP is told of it in the header of that name.
    """

    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    functions: tuple[Function, ...] = ()
    role: str = "branch"
    priority: float = 0.0
    family: str | None = None
    tenant: str = "default"
    task: str = field(default="", compare=False)
    return_token_ids: bool = False
    traceparent: str | None = field(default=None, compare=False, repr=False)
    permit: Callable[[], Awaitable[None]] | None = field(default=None, compare=False, repr=False)

    async def permitted(self) -> None:
        """Wait until the call may be sent; raises what its ``permit`` raises."""
        if self.permit is not None:
            await self.permit()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more calls.

    ``cached_tokens`` are the ``prompt_tokens`` that came from a cache. ``reasoning_tokens`` were spent on
    thinking that the engine keeps apart from the text; most engines count them in ``completion_tokens``.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Logprob:
    """The natural log-probability of a chosen token, and of its most probable alternatives."""

    token: str
    logprob: float
    top: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a completion as it streams.

    Only the last chunk of a stream has a ``finish_reason``; it also carries ``usage``, the ``token_ids`` of
    the whole completion if the call asked for them, and the name of the worker that answered. ``tokens``
    is the number of tokens in ``text`` and ``reasoning``, as far as the engine knows. ``reasoning`` is what
    the model thinks, if the engine keeps that apart; it is no part of ``text``.

    ``restarted`` voids everything streamed so far: the call failed midway and starts again, with this chunk,
    on another worker. Only a pool sends it; whoever collects a stream discards what it has.

    ``cached``, on the last chunk, says that a cache answered with a completion that it had kept. ``calls``,
    also there, are the functions that the model calls, where the engine keeps them apart from the text.
    """

    text: str = ""
    tokens: int = 0
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    worker: str = ""
    restarted: bool = False
    reasoning: str = ""
    cached: bool = False
    calls: tuple[FunctionCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for a call.

    ``token_ids`` and ``logprobs`` are empty if the call did not ask for them or the engine does not give
    them, and ``token_ids`` also if no tokens spell exactly this text, as when a stop string cuts a token in
    two. ``confidences`` and ``entropies`` (nats) have a value for each token if the orchestrator kept these
    scores instead of the log-probabilities. ``reasoning`` is the thinking that the engine keeps apart;
    ``cached`` says that a cache answered in place of a model. ``calls`` are of functions that the call
    offered, or of others that the model made up; what it wrote as calls is not in the text.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage = Usage()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    worker: str = ""
    confidences: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()
    reasoning: str = ""
    cached: bool = False
    calls: tuple[FunctionCall, ...] = ()

    def __str__(self) -> str:
        return self.text
