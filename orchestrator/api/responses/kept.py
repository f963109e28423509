"""What a request for a response says besides its task: kept with the task, and shown in the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.api.responses.bodies import ReasoningSettings, ResponseBody, ResponseUsage, Status
from storage.tasks import Task

PROTOCOL: Final = "responses"
PREFIX = "resp_"


class Asked(BaseModel):
    """What a request said, as far as the response repeats it and the task does not have it.

    Attributes:
        instructed: whether the first turn of the history are the ``instructions``.
        text: what ``text`` says besides the schema of a format, which the task has.
        content: whether the answer is the whole text, or the short answer alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Literal["responses"] = PROTOCOL
    model: str
    instructed: bool = False
    background: bool = False
    store: bool = True
    previous_response_id: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool = True
    prompt_cache_key: str | None = None
    reasoning: ReasoningSettings = ReasoningSettings(effort=None, summary=None)
    safety_identifier: str | None = None
    service_tier: str = "default"
    text: dict[str, Any] = {}
    tool_choice: Any = "auto"
    tools: list[dict[str, Any]] = []
    user: str | None = None
    content: Literal["text", "answer"] = "text"

    @property
    def stored(self) -> dict[str, Any]:
        """As a task keeps it: only what says something."""
        return {**self.model_dump(mode="json", exclude_defaults=True), "protocol": PROTOCOL}

    def response(self, name: str, status: Status, created_at: float, **members: Any) -> ResponseBody:
        """A response to the request; ``name`` is its id without the prefix."""
        shared = {
            each: getattr(self, each) for each in Asked.model_fields if each in ResponseBody.model_fields
        }
        defaults: dict[str, Any] = {
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "output": [],
            "text": {"format": {"type": "text"}, **self.text},
            "usage": None,
        }
        head = {"id": f"{PREFIX}{name}", "status": status, "created_at": int(created_at)}
        return ResponseBody.model_validate({**shared, **defaults, **members, **head})


def asked_of(task: Task) -> Asked | None:
    """What was asked with a task; None if it was not asked for by this protocol."""
    kept = task.options.get("asked_by")
    if not isinstance(kept, Mapping) or kept.get("protocol") != PROTOCOL:
        return None
    try:
        return Asked.model_validate(kept)
    except ValidationError:
        return None


def response_of(
    task: Task,
    asked: Asked,
    status: Status,
    *,
    output: list[dict[str, Any]] | None = None,
    used: ResponseUsage | None = None,
    **members: Any,
) -> ResponseBody:
    """The response that a task is, with this status and output."""
    sampling = _mapping(task.options.get("sampling"))
    return asked.response(
        task.id,
        status,
        task.created_at,
        instructions=_instructions(task) if asked.instructed else None,
        metadata=_mapping(task.options.get("metadata")),
        output=output or [],
        temperature=sampling.get("temperature", 1.0),
        top_p=sampling.get("top_p", 1.0),
        text=_text(task, asked),
        usage=used,
        **members,
    )


def _instructions(task: Task) -> str | None:
    history = _mapping(task.question).get("history")
    first = _mapping(history[0]) if isinstance(history, list) and history else {}
    return first.get("content")


def _text(task: Task, asked: Asked) -> dict[str, Any]:
    told = dict(asked.text)
    form = _mapping(task.options.get("format"))
    return {**told, "format": {"type": "text", **_mapping(told.get("format")), **form}}


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
