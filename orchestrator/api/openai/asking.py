"""From a request of OpenAI's protocol to a question for a planner."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from orchestrator.api.openai.messages import Conversation
from orchestrator.api.openai.models import PREFIX, SAMPLED, PlannerModel, planner_model
from orchestrator.api.openai.refusals import InvalidParameter
from orchestrator.api.openai.schemas import ChatRequest, CompletionRequest, Parameters
from orchestrator.planning.finding import FindPlanner
from storage.tasks import Priority

HELPERS = ("### Task:", "Provide a concise, 5-word-or-less title")
"""How the prompts begin by which chat programs have titles, tags and follow-ups made."""


def is_helper(request: ChatRequest) -> bool:
    """Whether a chat program asks for something small of its own, such as the title of a conversation.

    That is so if the request is not streamed and has a single message, of a user, that begins as the prompts
    of Open WebUI and LibreChat do.
    """
    if request.stream or len(request.messages) != 1 or request.messages[0].get("role") != "user":
        return False
    content = request.messages[0].get("content")
    return isinstance(content, str) and content.lstrip().startswith(HELPERS)


def chat_limit(request: ChatRequest) -> int | None:
    """The tokens that one call may write.

    Raises:
        InvalidParameter: the old and the new name of the parameter say different things.
    """
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidParameter(f"it is {old}, but max_completion_tokens is {new}; send one", "max_tokens")
    return new if old is None else old


def chat_task(request: ChatRequest, conversation: Conversation, find: FindPlanner) -> dict[str, Any]:
    """The task that a chat completion by a planner is."""
    model = _model(request, find)
    planner, options = model.at(request.reasoning_effort)
    body = {
        **conversation.members,
        **_common(request, planner, options, chat_limit(request), find),
    }
    if request.response_format is not None and (form := format_of(request.response_format)) is not None:
        body["format"] = form
    if request.metadata:
        body["metadata"] = request.metadata
    if request.service_tier == "flex":
        body["priority"] = Priority.BATCH.value
    return body


def completion_task(request: CompletionRequest, prompt: str, find: FindPlanner) -> dict[str, Any]:
    """The task that a completion by a planner is."""
    model = _model(request, find)
    return {
        "query": prompt,
        **_common(request, model.planner, {}, request.max_tokens, find),
    }


def format_of(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a ``response_format`` asks for, as a task says it; None: any text.

    Raises:
        InvalidParameter: it is none.
    """
    match given.get("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            described = given.get("json_schema")
            schema = described.get("schema") if isinstance(described, dict) else None
            if not isinstance(schema, dict):
                raise InvalidParameter("must be a JSON schema", "response_format.json_schema.schema")
            return {"type": "json_schema", "schema": schema}
    raise InvalidParameter("must be text, json_object or json_schema", "response_format.type")


def seed_for(given: int | None, key: str | None) -> int:
    """The seed of a task: that of the request, or a new one, so that asking again is answered anew.

    With an idempotency key, the same request has the same seed.
    """
    if given is not None:
        return given
    if key is None:
        return secrets.randbelow(2**31)
    return int.from_bytes(blake2b(key.encode(errors="surrogatepass"), digest_size=4).digest()) >> 1


def param_of(message: str) -> str | None:
    """The parameter of the protocol that a mistake in a task is about, by what its message begins with."""
    named = re.match(r"[a-z_]+", message)
    return None if named is None else PARAMS.get(named.group())


PARAMS: Mapping[str, str] = {
    "query": "messages",
    "history": "messages",
    "format": "response_format",
    "stop": "stop",
    "metadata": "metadata",
    "seed": "seed",
    "sampling": "max_tokens",
    "options": "anabranch.options",
    "budget": "anabranch.budget",
    "deadline": "anabranch.deadline",
    "context": "anabranch.context",
    "choices": "anabranch.choices",
    "abstain_below": "anabranch.abstain_below",
}
"""The parameter that says what a member of a task does."""


def _model(request: Parameters, find: FindPlanner) -> PlannerModel:
    return planner_model(PREFIX + request.own.planner if request.own.planner else request.model, find)


def _common(
    request: Parameters,
    planner: str,
    options: dict[str, Any],
    limit: int | None,
    find: FindPlanner,
) -> dict[str, Any]:
    """What all tasks of the protocol say; our own options count more than what follows from others."""
    known = find(planner).options_model.model_fields
    sampling: dict[str, Any] = {}
    if request.temperature is not None:
        usual = known["temperature"].default if "temperature" in known else None
        least = min(SAMPLED, usual) if isinstance(usual, int | float) else 0.0
        sampling["temperature"] = max(least, request.temperature)
    if limit is not None:
        sampling["max_tokens"] = limit
    options |= {name: value for name, value in sampling.items() if name in known}
    if request.top_p is not None:
        sampling["top_p"] = request.top_p
    own = request.own
    said: dict[str, Any] = {
        "planner": planner,
        "options": {**options, **own.options},
        "sampling": sampling,
        "budget": own.budget,
        "stop": list(request.stops),
        "context": own.context,
        "choices": own.choices,
        "deadline": own.deadline,
        "abstain_below": own.abstain_below,
        "seed": request.seed,
    }
    return {name: value for name, value in said.items() if value not in (None, {}, [])}
