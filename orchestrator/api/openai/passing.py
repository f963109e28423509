"""Requests for the engine's own models, straight through: calls without a task, and what comes of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.access.spending import Tokens
from orchestrator.api.openai.answers import usage_body
from orchestrator.api.openai.asking import chat_limit, format_of
from orchestrator.api.openai.messages import Turn, segments_of
from orchestrator.api.openai.models import EngineModel
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.openai.schemas import ChatRequest, CompletionRequest, Parameters, UsageBody
from orchestrator.api.rendering import dumped_json
from orchestrator.runtime.written_calls import written_calls
from orchestrator.structured import task_group
from workers.calls import Call, Chunk, Logprob, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities, Engine
from workers.errors import EngineInterrupted, EngineTimeout, WorkerError
from workers.functions import Function, FunctionCall

USUAL_TOKENS = 4_096
"""What one call may write if the request does not say; half of what the model can read, if that is less."""

_CALLS = re.compile(r"[<\[{*`]")
"""With what the calls of functions begin that a model writes into its text."""

Items = AsyncGenerator[tuple[int, Chunk], None]
"""Chunks, each with the number of the call that it belongs to."""

WAITING = 64
"""How many chunks may wait for a client that reads slowly before the engine has to."""


@dataclass(frozen=True, slots=True)
class Asking:
    """For whom calls are made: the tenant, a name for what they are for, and the span that they belong to."""

    tenant: str
    task: str
    traceparent: str | None = None


def chat_calls(
    request: ChatRequest,
    turns: Sequence[Turn],
    model: EngineModel,
    able: Capabilities,
    asking: Asking,
) -> list[Call]:
    """The calls that a chat completion of the engine's own is: one for each choice.

    Raises:
        UnsupportedParameter: it asks for what the engine cannot do.
        InvalidParameter: a part of it is malformed.
    """
    if not turns:
        raise InvalidParameter("it says nothing, so nothing is asked", "messages")
    if turns[-1].role == "assistant" and not able.assistant_prefill:
        raise UnsupportedParameter("the engine cannot go on with an assistant's text", turns[-1].param)
    tops = _tops(request)
    _need(tops is None or able.logprobs, "logprobs", "gives no log-probabilities")
    functions = _functions(request)
    _need(not functions or able.function_calls, "tools", "cannot call functions")
    schema = _schema(request)
    _need(schema is None or able.guided_json, "response_format", "cannot be held to a form")
    call = Call(
        Prompt(segments_of(turns)),
        _sampling(request, chat_limit(request), able, tops),
        schema=schema,
        functions=functions,
        role=model.role,
        tenant=asking.tenant,
        task=asking.task,
        traceparent=asking.traceparent,
    )
    return _several(call, request.n or 1)


def completion_calls(
    request: CompletionRequest,
    prompts: Sequence[str],
    model: EngineModel,
    able: Capabilities,
    asking: Asking,
) -> list[Call]:
    """The calls that a completion is: ``n`` for each prompt. Raises as :func:`chat_calls`."""
    _need(request.logprobs is None or able.logprobs, "logprobs", "gives no log-probabilities")
    sampling = _sampling(request, request.max_tokens, able, request.logprobs)
    calls = []
    for prompt in prompts:
        call = Call(
            Prompt((Segment("user", prompt),)),
            sampling,
            role=model.role,
            tenant=asking.tenant,
            task=asking.task,
            traceparent=asking.traceparent,
        )
        calls += _several(call, request.n or 1)
    return calls


def most_tokens(calls: Sequence[Call]) -> int:
    """The most tokens that calls can take: a character of a prompt is hardly ever more than one token."""
    return sum(_characters(call) + call.sampling.max_tokens for call in calls)


def _characters(call: Call) -> int:
    """All that the prompt of a call has: also calls of functions in it, and the functions that it offers."""
    segments = call.prompt.segments
    made = sum(len(each.name) + len(each.arguments) for segment in segments for each in segment.calls)
    offered = sum(len(dumped_json(function.as_tool())) for function in call.functions)
    return sum(len(segment.text) for segment in segments) + made + offered


def _need(able: bool, param: str, lacks: str) -> None:
    if not able:
        raise UnsupportedParameter(f"the engine {lacks}", param)


def _tops(request: ChatRequest) -> int | None:
    if not request.logprobs:
        if request.top_logprobs:
            raise InvalidParameter("needs logprobs to be true", "top_logprobs")
        return None
    return request.top_logprobs or 0


def _schema(request: ChatRequest) -> Mapping[str, Any] | None:
    form = None if request.response_format is None else format_of(request.response_format)
    if form is None:
        return None
    return {"type": "object"} if form["type"] == "json_object" else form["schema"]


def _functions(request: ChatRequest) -> tuple[Function, ...]:
    if request.tool_choice == "none":
        return ()
    return tuple(_function(tool, f"tools[{place}]") for place, tool in enumerate(request.tools or ()))


def _function(tool: Mapping[str, Any], param: str) -> Function:
    if tool.get("type") != "function":
        raise UnsupportedParameter("only functions can be offered to a model", f"{param}.type")
    told = tool.get("function")
    if not isinstance(told, dict) or not isinstance(name := told.get("name"), str) or not name:
        raise InvalidParameter("must be a text", f"{param}.function.name")
    described, schema = told.get("description") or "", told.get("parameters")
    if not isinstance(described, str):
        raise InvalidParameter("must be a text", f"{param}.function.description")
    if schema is not None and not isinstance(schema, dict):
        raise InvalidParameter("must be a JSON schema", f"{param}.function.parameters")
    return Function(name, described, schema or {"type": "object", "properties": {}})


def _sampling(request: Parameters, limit: int | None, able: Capabilities, tops: int | None) -> Sampling:
    most = able.max_model_len
    usual = USUAL_TOKENS if most is None else max(1, min(USUAL_TOKENS, most // 2))
    return Sampling(
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        max_tokens=limit or usual,
        stop=request.stops,
        seed=request.seed,
        top_logprobs=tops,
    )


def _several(call: Call, n: int) -> list[Call]:
    seed = call.sampling.seed
    if n == 1 or seed is None:
        return [call] * n
    return [replace(call, sampling=replace(call.sampling, seed=seed + place)) for place in range(n)]


@asynccontextmanager
async def arriving(engine: Engine, calls: Sequence[Call], seconds: float) -> AsyncIterator[Items]:
    """What the engine says to the calls within some seconds, as it comes.

    Leaving the block aborts the calls that go on. Reading raises what the engine raises.
    """
    queue: asyncio.Queue[tuple[int, Chunk] | WorkerError | None] = asyncio.Queue(WAITING)

    async def read(place: int, call: Call) -> None:
        try:
            async with (
                asyncio.timeout(seconds),
                aclosing(engine.generate(call)) as chunks,  # type: ignore[type-var]
            ):
                async for chunk in chunks:
                    await queue.put((place, chunk))
            await queue.put(None)
        except TimeoutError:
            await queue.put(EngineTimeout(f"the call took longer than {seconds:g} s"))
        except WorkerError as error:
            await queue.put(error)

    async def told() -> Items:
        left = len(calls)
        while left:
            item = await queue.get()
            if isinstance(item, WorkerError):
                raise item
            if item is None:
                left -= 1
            else:
                yield item

    async with task_group() as group:
        reading = [
            group.create_task(read(place, call), name=f"call {place} of {call.task}")
            for place, call in enumerate(calls)
        ]
        try:
            yield told()
        finally:
            for each in reading:
                each.cancel()


@dataclass(slots=True)
class Choice:
    """What has come of one call so far."""

    call: Call
    text: str = ""
    reasoning: str = ""
    sent: int = 0
    """How many characters of the text a client has."""
    thought: int = 0
    """How many characters of the reasoning it has."""
    before: str = ""
    """What the client had of a text when its call was begun again."""
    tokens: int = 0
    usage: Usage | None = None
    finish: str = ""
    calls: tuple[FunctionCall, ...] = ()
    logprobs: list[Logprob] = field(default_factory=list)

    def take(self, chunk: Chunk) -> None:
        """Take in what has come.

        Raises:
            EngineInterrupted: the call was begun again, and says something else than its client already has.
        """
        if chunk.restarted:
            if len(self.text) >= self.sent:  # else what it has is still being said again
                self.before = self.text[: self.sent]
            self.text, self.reasoning, self.tokens, self.calls = "", "", 0, ()
            self.logprobs.clear()
        self.text += chunk.text
        self.reasoning += chunk.reasoning
        self.tokens += chunk.tokens
        self.logprobs += chunk.logprobs
        self.calls += chunk.calls
        self.usage = chunk.usage or self.usage
        if chunk.finish_reason is not None:
            self._read_calls()
            ends = {"length": "length", "refused": "content_filter"}
            self.finish = "tool_calls" if self.calls else ends.get(chunk.finish_reason, "stop")
        if self.before:
            length = min(len(self.text), len(self.before))
            if self.text[:length] != self.before[:length] or (self.finish and length < len(self.before)):
                raise EngineInterrupted("the call was begun again after a part of its text was sent")

    def _read_calls(self) -> None:
        """Find the calls of functions that stand in the text, where the engine does not keep them apart."""
        names = {each.name for each in self.call.functions}
        if not names or self.calls:
            return
        said, calls = written_calls(self.text, names)
        if calls and all(each.name in names for each in calls):
            had = self.text[: self.sent]
            self.text, self.calls = said if said.startswith(had) else had, calls

    def news(self) -> str:
        """The text that the client does not have yet; what may begin a call only once the call has ended."""
        known = self.text
        if self.call.functions and not self.finish:
            begins = _CALLS.search(known)
            known = known[: begins.start()].rstrip() if begins else known.rstrip()
        told = known[self.sent :]
        self.sent = max(self.sent, len(known))
        return told

    def thoughts(self) -> str:
        """What was thought that the client does not have yet; it is not told it again by a call that is."""
        told = self.reasoning[self.thought :]
        self.thought = max(self.thought, len(self.reasoning))
        return told

    @property
    def used(self) -> Usage:
        """The tokens that it took; where the engine has not said so yet, about as many."""
        return self.usage or Usage(prompt_tokens=_characters(self.call) // 4, completion_tokens=self.tokens)


async def taken(engine: Engine, choices: Sequence[Choice], seconds: float) -> Sequence[Choice]:
    """The choices, once they have taken in all that the engine says to their calls.

    Raises:
        EngineTimeout: that takes more than some seconds.
        WorkerError: what the engine raises.
    """

    async def take(choice: Choice) -> None:
        async with aclosing(engine.generate(choice.call)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                choice.take(chunk)

    try:
        async with asyncio.timeout(seconds):
            if len(choices) == 1:  # it needs no task of its own
                await take(choices[0])
            else:
                async with task_group() as group:
                    for place, choice in enumerate(choices):
                        group.create_task(take(choice), name=f"call {place} of {choice.call.task}")
    except TimeoutError:
        raise EngineTimeout(f"the call took longer than {seconds:g} s") from None
    return choices


def tokens_of(choices: Sequence[Choice]) -> Tokens:
    """What the calls took, for the budget of who asked for them."""
    total = sum((each.used for each in choices), Usage())
    return Tokens(total.prompt_tokens, total.completion_tokens)


def usage_of_calls(choices: Sequence[Choice]) -> UsageBody:
    """What the calls took, for who asked for them."""
    total = sum((each.used for each in choices), Usage())
    return usage_body(
        total.prompt_tokens,
        total.completion_tokens,
        total.cached_tokens,
        reasoning=total.reasoning_tokens,
    )


def chat_logprobs(logprobs: Sequence[Logprob]) -> dict[str, Any] | None:
    """Log-probabilities as a chat completion has them; None if there are none."""
    if not logprobs:
        return None
    return {
        "content": [
            {
                **_token(each.token, each.logprob),
                "top_logprobs": [_token(token, logprob) for token, logprob in each.top.items()],
            }
            for each in logprobs
        ],
        "refusal": None,
    }


def text_logprobs(logprobs: Sequence[Logprob], start: int = 0) -> dict[str, Any] | None:
    """Log-probabilities as a completion has them, from a place in its text on; None if there are none."""
    if not logprobs:
        return None
    offsets = []
    for each in logprobs:
        offsets.append(start)
        start += len(each.token)
    return {
        "tokens": [each.token for each in logprobs],
        "token_logprobs": [each.logprob for each in logprobs],
        "top_logprobs": [dict(each.top) for each in logprobs],
        "text_offset": offsets,
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode(errors="surrogatepass"))}
