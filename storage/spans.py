"""A trace as OpenTelemetry spans, in the JSON form of OTLP, for the tools that people already have.

Names follow the semantic conventions for generative AI (development status, schema 1.42): a run is an
``invoke_agent`` span, a generation a ``chat`` span, a tool an ``execute_tool`` span; the other nodes are
internal spans. The parent of a span is its scope; whatever else a node needed is a span link, so joins are
visible. Prompts, completions, arguments and results are left out unless they are asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from storage.trace import Trace, TraceNode

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
_INTERNAL, _CLIENT = 1, 3  # SpanKind of OTLP
_ERROR = 2  # StatusCode of OTLP; spans that did not fail leave it unset, as the conventions ask
_OPERATIONS = {"generate": "chat", "tool": "execute_tool"}
_SAMPLING = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "stop": "gen_ai.request.stop_sequences",
}


def spans(trace: Trace, *, content: bool = False) -> dict[str, Any]:
    """The trace as an OTLP ``TracesData`` message; ``content`` includes what was asked and answered.

    Ids are derived from the task's id and the nodes' paths, so exporting twice gives the same spans.
    """
    exporter = _Exporter(trace, content)
    scope = {"scope": {"name": "anabranch"}, "schemaUrl": SCHEMA_URL, "spans": list(exporter.spans())}
    resource = {"attributes": _attributes({"service.name": "anabranch"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


class _Exporter:
    def __init__(self, trace: Trace, content: bool) -> None:
        self._trace = trace
        self._content = content
        self._trace_id = _identifier(trace.task.id, 16)
        self._model = str(trace.header.get("capabilities", {}).get("model", ""))
        self._sampling: Mapping[str, Any] = trace.header.get("sampling", {})

    def spans(self) -> Iterator[dict[str, Any]]:
        yield self._root()
        for node in self._trace.walk():
            yield self._span(node)

    def _root(self) -> dict[str, Any]:
        trace = self._trace
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "anabranch",
            "gen_ai.agent.name": trace.task.planner,
            "gen_ai.request.model": self._model,
            "anabranch.task.id": trace.task.id,
            "anabranch.outcome": trace.outcome or trace.task.status.value,
            "error.type": (trace.error or {}).get("code"),
        }
        if self._content:
            question = trace.header.get("question")
            asked = question.get("text") if isinstance(question, Mapping) else question
            attributes["gen_ai.input.messages"] = _messages([["user", str(asked or "")]])
            if trace.answer is not None:
                attributes["gen_ai.output.messages"] = _output(trace.answer["text"])
        return {
            "traceId": self._trace_id,
            "spanId": self._span_id(""),
            "name": f"invoke_agent {trace.task.planner}",
            "kind": _INTERNAL,
            **_times(trace.started_at or trace.task.created_at, trace.finished_at or trace.task.finished_at),
            "attributes": _attributes(attributes),
            "status": _status(trace.error),
        }

    def _span(self, node: TraceNode) -> dict[str, Any]:
        operation = _OPERATIONS.get(node.kind)
        target = self._model if node.kind == "generate" else node.label
        parent = node.path.rpartition(".")[0]
        return {
            "traceId": self._trace_id,
            "spanId": self._span_id(node.path),
            "parentSpanId": self._span_id(parent),
            "name": f"{operation or node.kind} {target}".strip(),
            "kind": _CLIENT if node.kind == "generate" else _INTERNAL,
            **_times(node.started_at or node.added_at, node.settled_at),
            "attributes": _attributes(self._common(node) | self._particular(node)),
            "links": [
                {"traceId": self._trace_id, "spanId": self._span_id(source)}
                for source in dict.fromkeys([*node.inputs, *node.after])
            ],
            "status": _status(node.error),
        }

    def _common(self, node: TraceNode) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": _OPERATIONS.get(node.kind),
            "anabranch.node.path": node.path,
            "anabranch.node.kind": node.kind,
            "anabranch.node.state": node.state,
            "anabranch.node.label": node.label,
            "error.type": (node.error or {}).get("code"),
        }

    def _particular(self, node: TraceNode) -> dict[str, Any]:
        request = node.request or {}
        if node.kind == "tool":
            attributes = {"gen_ai.tool.name": request.get("tool"), "gen_ai.tool.type": "function"}
            if self._content:
                attributes["gen_ai.tool.call.arguments"] = json.dumps(request.get("arguments"))
                attributes["gen_ai.tool.call.result"] = json.dumps(node.value)
            return attributes
        if node.kind != "generate":
            return {}
        return self._generation(node, request)

    def _generation(self, node: TraceNode, request: Mapping[str, Any]) -> dict[str, Any]:
        sampling = {**self._sampling, **request.get("sampling", {})}
        attributes = {name: sampling.get(field) or None for field, name in _SAMPLING.items()}
        attributes["gen_ai.request.temperature"] = sampling.get("temperature")
        completion = node.value if isinstance(node.value, Mapping) else {}
        attributes |= {
            "gen_ai.provider.name": "anabranch",
            "gen_ai.request.model": self._model,
            "gen_ai.request.seed": request.get("seed"),
            "gen_ai.usage.input_tokens": node.usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": node.usage.get("completion_tokens"),
            "gen_ai.usage.cache_read.input_tokens": node.usage.get("cached_tokens"),
            "gen_ai.response.finish_reasons": [completion["finish_reason"]] if completion else None,
            "anabranch.worker": node.worker,
        }
        if self._content:
            attributes["gen_ai.input.messages"] = _messages(request.get("prompt", []))
            if completion:
                attributes["gen_ai.output.messages"] = _output(
                    completion["text"],
                    completion["finish_reason"],
                    completion.get("reasoning", ""),
                    completion.get("calls", ()),
                )
        return attributes

    def _span_id(self, path: str) -> str:
        return _identifier(f"{self._trace.task.id}/{path}", 8)


def _identifier(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * size]


def _times(start: float, end: float | None) -> dict[str, str]:
    """Nanoseconds as decimal strings; a span that never ended has zero length."""
    first = int(start * 1e9)
    return {
        "startTimeUnixNano": str(first),
        "endTimeUnixNano": str(max(first, int((start if end is None else end) * 1e9))),
    }


def _status(error: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if error is None else {"code": _ERROR, "message": str(error.get("message", ""))}


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


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": str(value)}
