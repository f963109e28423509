"""What becomes of each parameter of the Responses API: the table of :mod:`orchestrator.api.openai` for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.api.openai.parameters import SHARED, Fate, Rule


def _both(told: str) -> Rule:
    return Rule(Fate.HONOURED, Fate.HONOURED, told)


def _idle(told: str) -> Rule:
    return Rule(Fate.NO_EFFECT, Fate.NO_EFFECT, told)


def _shown(told: str) -> Rule:
    """Honoured only in that the response says it again."""
    return Rule(Fate.HONOURED, Fate.HONOURED, f"shown in the response; {told}")


def _refused(told: str, *idle: Any) -> Rule:
    return Rule(Fate.REFUSED, Fate.REFUSED, told, idle)


def _planner(told: str, *idle: Any) -> Rule:
    return Rule(Fate.HONOURED, Fate.REFUSED, told, idle)


def _engine(told: str, *idle: Any) -> Rule:
    return Rule(Fate.REFUSED, Fate.HONOURED, told, idle)


KEPT = "what the engine's own models say is not kept"

RESPONSES: Mapping[str, Rule] = {
    **{name: SHARED[name] for name in ("model", "stream", "temperature", "top_p", "anabranch")},
    "input": _both("a text or a list of items; the whole conversation counts"),
    "instructions": _both(
        "the first thing that the model is told; not taken over by what follows a response"
    ),
    "previous_response_id": _planner(f"the conversation goes on after that response; {KEPT}"),
    "background": _planner(f"the answer comes at once, and the work goes on; {KEPT}", False),
    "store": Rule(
        Fate.HONOURED,
        Fate.HONOURED,
        f"false: the task is deleted once it is answered; {KEPT}, so true is refused",
    ),
    "metadata": Rule(Fate.HONOURED, Fate.HONOURED, "kept with the task of a planner, and shown"),
    "text": _both("`format`: `text`, `json_object` and `json_schema`; of `verbosity` only `medium`"),
    "reasoning": _planner(
        "`effort`: how many branches or rounds; an engine is not told of it. `summary`: there always is one",
        {},
        {"summary": "auto"},
        {"effort": "none"},
    ),
    "max_output_tokens": _both("tokens that one call may write; a planner makes several"),
    "service_tier": _both("`flex`: a planner's task waits in the line of batches"),
    "tools": _engine("planners use the tools of this service, and cannot hand calls to a client", []),
    "tool_choice": _engine(
        "planners use the tools of this service; engines take `auto` and `none`", "none", "auto"
    ),
    "parallel_tool_calls": _shown("the model decides"),
    "max_tool_calls": _shown("nothing here calls tools of a client by itself"),
    "prompt_cache_key": _shown("prompts that begin alike find each other by themselves"),
    "safety_identifier": _shown("the key says who asks"),
    "user": _shown("the key says who asks"),
    "stream_options": _idle("nothing is padded, as with `include_obfuscation` false"),
    "include": _refused(
        "log-probabilities and results of hosted tools are not kept", [], ["reasoning.encrypted_content"]
    ),
    "truncation": _refused("nothing of a conversation is left out", "disabled"),
    "top_logprobs": _refused("log-probabilities are not kept", 0),
    "presence_penalty": _refused("engines are not told of penalties", 0, 0.0),
    "frequency_penalty": _refused("engines are not told of penalties", 0, 0.0),
    "prompt": _refused("no prompts are kept here; send them"),
    "conversation": _refused("no conversations are kept here; send `previous_response_id`"),
    "context_management": _refused("nothing of a conversation is left out"),
    "moderation": _refused("nothing here moderates"),
    "prompt_cache_options": _idle("the engine keeps what it has room for"),
    "prompt_cache_retention": _idle("the engine keeps what it has room for"),
}
"""The parameters of a request for a response."""
