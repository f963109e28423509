"""A trace as OpenTelemetry spans, in the JSON form of OTLP, for the tools that people already have.

Which spans there are, and what they are called, :mod:`storage.conventions` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storage.conventions import SCHEMA_URL, SCOPE, Conventions, Span
from storage.trace import Trace

_INTERNAL, _CLIENT = 1, 3  # SpanKind of OTLP
_ERROR = 2  # StatusCode of OTLP; spans that did not fail leave it unset, as the conventions ask


def spans(trace: Trace, *, content: bool = False) -> dict[str, Any]:
    """The trace as an OTLP ``TracesData`` message; ``content`` includes what was asked and answered.

    Exporting twice gives the same spans.
    """
    told = [_span(span) for span in _spans(trace, content)]
    scope = {"scope": {"name": SCOPE}, "schemaUrl": SCHEMA_URL, "spans": told}
    resource = {"attributes": _attributes({"service.name": SCOPE})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _spans(trace: Trace, content: bool) -> Iterator[Span]:
    conventions, task = Conventions(trace.task, content), trace.task
    conventions.begin(trace.header)
    end = next((at for at in (task.finished_at, trace.finished_at) if at is not None), task.created_at)
    yield conventions.workflow(end, trace.outcome or task.status.value, trace.error, trace.answer)
    if trace.started_at is not None:
        end = end if trace.finished_at is None else trace.finished_at
        yield conventions.plan(trace.started_at, end, trace.error)
    for node in trace.walk():
        yield conventions.node(node)


def _span(span: Span) -> dict[str, Any]:
    """A span as OTLP has it: ids in hexadecimal, and nanoseconds as decimal strings."""
    start = int(span.start * 1e9)
    told = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _CLIENT if span.client else _INTERNAL,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(max(start, int(span.end * 1e9))),
        "attributes": _attributes(span.attributes),
        "links": [{"traceId": span.trace_id, "spanId": each} for each in span.links],
        "status": {} if span.error is None else {"code": _ERROR, "message": span.error},
    }
    return told if span.parent_id is None else {**told, "parentSpanId": span.parent_id}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


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
