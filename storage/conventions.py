"""What a run is in the words of OpenTelemetry: its spans, their names, attributes and links.

Names follow the semantic conventions for generative AI (development status; the repository
semantic-conventions-genai, version 0.1.0): a task is an ``invoke_workflow`` span, the run of its planner a
``plan`` span in it, a generation a ``chat`` span, a tool an ``execute_tool`` span; the other nodes are
internal spans. The parent of a node is its scope; whatever else a node needed is a span link, so joins are
visible.

Ids follow from the task's id and the nodes' paths. So the spans that processes send while a run goes on, one
after the other if one of them dies, and those that are made of the stored trace later are the same spans.
Prompts, completions, arguments, results, labels and the messages of errors are left out unless they are asked
for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from storage.tasks import Task
from storage.trace import TraceNode

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
SCOPE: Final = "anabranch"
PLAN: Final = "plan"
"""The path, as far as ids go, of the run of a task's planner."""

_OPERATIONS = {"generate": "chat", "tool": "execute_tool"}
_SAMPLING = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "stop": "gen_ai.request.stop_sequences",
}
_TRACE_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span, however it is sent. Ids are lower-case hexadecimal; times are in seconds since the epoch.

    ``error`` is None if nothing failed; it is empty where its message is not to be told. ``client`` says that
    it is the client's side of a request.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start: float
    end: float
    attributes: Mapping[str, Any]
    links: tuple[str, ...] = ()
    error: str | None = None
    client: bool = False


class TraceParent(NamedTuple):
    """The span of a caller, and whether the caller records it."""

    trace_id: str
    span_id: str
    sampled: bool


def trace_parent(text: str | None) -> TraceParent | None:
    """What a ``traceparent`` of the W3C's Trace Context says; None if it is none, as the W3C asks."""
    found = _TRACE_PARENT.fullmatch(text or "")
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    wrong = version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16)
    return None if wrong else TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


@dataclass(slots=True)
class Conventions:
    """Makes the spans of one task. :meth:`begin` tells it what the run was started with."""

    task: Task
    content: bool = False
    trace_id: str = field(init=False)
    parent: TraceParent | None = field(init=False)
    _header: Mapping[str, Any] = field(init=False, default_factory=dict)
    _model: str = field(init=False, default="")
    _sampling: Mapping[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.parent = trace_parent(self.task.trace_parent)
        self.trace_id = self.parent.trace_id if self.parent else _identifier(self.task.id, 16)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Take in the first event of the journal; of its texts, only what is told of is kept."""
        capabilities = header.get("capabilities")
        self._model = str(capabilities.get("model", "")) if isinstance(capabilities, Mapping) else ""
        self._sampling = header.get("sampling") or {}
        self._header = header if self.content else {}

    def span_id(self, path: str) -> str:
        """The id of a node's span; the empty path is the task's."""
        return _identifier(f"{self.task.id}/{path}", 8)

    def parent_id(self, path: str) -> str:
        """The id of the span of a node's scope; that of the outermost is the run of the planner."""
        return self.span_id(path.rpartition(".")[0] or PLAN)

    def workflow(self, end: float, outcome: str, error: Mapping[str, Any] | None, answer: Any) -> Span:
        """The span of the task, from the time when it was asked for. ``answer`` is the journal's."""
        attributes = {
            **self._planner("invoke_workflow"),
            "anabranch.outcome": outcome,
            "anabranch.tenant": self.task.tenant,
            "anabranch.attempts": self.task.attempts or None,
            "error.type": (error or {}).get("code"),
        }
        if self.content:
            question = self._header.get("question")
            asked = question.get("text") if isinstance(question, Mapping) else question
            attributes["gen_ai.input.messages"] = _messages([["user", str(asked or "")]])
            if answer is not None:
                attributes["gen_ai.output.messages"] = _output(answer["text"])
        return Span(
            name=_clean(f"invoke_workflow {self.task.planner}"),
            trace_id=self.trace_id,
            span_id=self.span_id(""),
            parent_id=self.parent.span_id if self.parent else None,
            start=self.task.created_at,
            end=end,
            attributes=_told(attributes),
            error=self._error(error),
        )

    def plan(self, start: float, end: float, error: Mapping[str, Any] | None) -> Span:
        """The span of the planner's run, from its first event to its last."""
        attributes = {**self._planner("plan"), "error.type": (error or {}).get("code")}
        return Span(
            name=_clean(f"plan {self.task.planner}"),
            trace_id=self.trace_id,
            span_id=self.span_id(PLAN),
            parent_id=self.span_id(""),
            start=start,
            end=end,
            attributes=_told(attributes),
            error=self._error(error),
        )

    def node(self, node: TraceNode) -> Span:
        """The span of a node. One that has not ended has no length."""
        operation = _OPERATIONS.get(node.kind)
        tool = str((node.request or {}).get("tool") or "") if node.kind == "tool" else ""
        target = self._model if node.kind == "generate" else tool
        start = node.added_at if node.started_at is None else node.started_at
        return Span(
            name=_clean(f"{operation or node.kind} {target}".strip()),
            trace_id=self.trace_id,
            span_id=self.span_id(node.path),
            parent_id=self.parent_id(node.path),
            start=start,
            end=start if node.settled_at is None else node.settled_at,
            attributes=_told(self._common(node, operation) | self._particular(node)),
            links=tuple(self.span_id(source) for source in dict.fromkeys([*node.inputs, *node.after])),
            error=self._error(node.error),
            client=node.kind == "generate",
        )

    def _error(self, error: Mapping[str, Any] | None) -> str | None:
        if error is None:
            return None
        return str(_clean(str(error.get("message", "")))) if self.content else ""

    def _planner(self, operation: str) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": SCOPE,
            "gen_ai.agent.name": self.task.planner,
            "gen_ai.request.model": self._model or None,
            "anabranch.task.id": self.task.id,
        }

    def _common(self, node: TraceNode, operation: str | None) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": operation,
            "anabranch.task.id": self.task.id,
            "anabranch.node.path": node.path,
            "anabranch.node.kind": node.kind,
            "anabranch.node.state": node.state,
            "anabranch.node.label": node.label if self.content else None,
            "error.type": (node.error or {}).get("code"),
        }

    def _particular(self, node: TraceNode) -> dict[str, Any]:
        request = node.request or {}
        if node.kind == "tool":
            attributes = {"gen_ai.tool.name": request.get("tool"), "gen_ai.tool.type": "function"}
            if self.content:
                attributes["gen_ai.tool.call.arguments"] = json.dumps(request.get("arguments"))
                attributes["gen_ai.tool.call.result"] = json.dumps(node.value)
            return attributes
        return self._generation(node, request) if node.kind == "generate" else {}

    def _generation(self, node: TraceNode, request: Mapping[str, Any]) -> dict[str, Any]:
        sampling = {**self._sampling, **request.get("sampling", {})}
        attributes = {name: sampling.get(field) or None for field, name in _SAMPLING.items()}
        attributes["gen_ai.request.temperature"] = sampling.get("temperature")
        completion = node.value if isinstance(node.value, Mapping) else {}
        reason = completion.get("finish_reason")
        attributes |= {
            "gen_ai.provider.name": SCOPE,
            "gen_ai.request.model": self._model,
            "gen_ai.request.seed": request.get("seed"),
            "gen_ai.usage.input_tokens": node.usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": node.usage.get("completion_tokens"),
            "gen_ai.usage.cache_read.input_tokens": node.usage.get("cached_tokens"),
            "gen_ai.response.finish_reasons": None if reason is None else [reason],
            "anabranch.worker": node.worker,
        }
        if self.content:
            attributes["gen_ai.input.messages"] = _messages(request.get("prompt", []))
            if completion:
                attributes["gen_ai.output.messages"] = _output(
                    completion["text"],
                    completion["finish_reason"],
                    completion.get("reasoning", ""),
                    completion.get("calls", ()),
                )
        return attributes


def _identifier(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * size]


def _told(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _clean(value) for name, value in attributes.items() if value is not None}


def _clean(value: Any) -> Any:
    """A value that can be sent: half a surrogate pair, or too large a number, would cost a whole batch."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case list() | tuple():
            return [_clean(each) for each in value]
        case int() if abs(value) >= 2**63:
            return str(value)
        case _:
            return value


def _messages(turns: list[Any]) -> str:
    """Turns of role and text in the conventions' form; successive turns of one role are one message.

    A turn with calls is a message of its own: that which makes them, or the result of one.
    """
    merged: list[dict[str, Any]] = []
    for role, text, *calls in turns:
        if calls and role == "tool":
            answered = {"type": "tool_call_response", "id": calls[0][0]["id"], "response": text}
            merged.append({"role": role, "parts": [answered]})
        elif not calls and merged and merged[-1]["role"] == role and len(merged[-1]["parts"]) == 1:
            merged[-1]["parts"][0]["content"] += text
        else:
            told = {"type": "text", "content": text}
            merged.append({"role": role, "parts": [told, *_called(calls[0] if calls else ())]})
    return json.dumps(merged, ensure_ascii=False)


def _called(calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "tool_call", **call} for call in calls]


def _output(
    text: str, finish_reason: str = "stop", reasoning: str = "", calls: Iterable[Mapping[str, Any]] = ()
) -> str:
    parts = [{"type": "reasoning", "content": reasoning}] if reasoning else []
    parts += [{"type": "text", "content": text}, *_called(calls)]
    message = {"role": "assistant", "parts": parts, "finish_reason": finish_reason}
    return json.dumps([message], ensure_ascii=False)
