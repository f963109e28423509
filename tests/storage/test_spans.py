"""Spans, read back with OpenTelemetry's own message types."""

# ruff: noqa: E501 -- a journal is a table

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from storage.conventions import Conventions, TraceParent, trace_parent
from storage.events import Event, EventType
from storage.spans import spans
from storage.tasks import Task, TaskStatus
from storage.trace import Trace

REQUEST = {
    "key": "k",
    "seed": 7,
    "prompt": [["system", "s"], ["user", "se"], ["user", "cret"]],
    "sampling": {"stop": ["x"]},
}
USAGE = {"prompt_tokens": 30, "cached_tokens": 16, "completion_tokens": 5}


def trace(prompt: Any = REQUEST["prompt"], **value: Any) -> Trace:
    task = Task(
        id="t1", tenant="default", status=TaskStatus.SUCCEEDED, question={}, planner="p", options={}, seed=0,
        idempotency_key=None, parent_id=None, fork_at=None, created_at=99.0,
    )  # fmt: skip
    told: list[tuple[EventType, str, dict[str, Any]]] = [
        (EventType.RUN_STARTED, "", {"planner": "p", "question": {"text": "secret?"}, "sampling": {"temperature": 0.0, "top_p": 1.0},
                                     "capabilities": {"model": "m"}}),
        (EventType.NODE_ADDED, "0", {"kind": "generate", "label": "a", "request": {**REQUEST, "prompt": prompt}}),
        (EventType.NODE_ADDED, "1", {"kind": "tool", "label": "t", "request": {"key": "k", "tool": "t", "arguments": {"x": 1}}}),
        (EventType.NODE_SETTLED, "0", {"outcome": "succeeded", "external": True, "usage": USAGE, "worker": "w",
                                       "value": {"text": "secret.", "finish_reason": "stop", **value}}),
        (EventType.NODE_SETTLED, "1", {"outcome": "failed", "external": True,
                                       "error": {"code": "tool_error", "message": "no"}}),
        (EventType.NODE_ADDED, "2", {"kind": "vote", "label": "beta", "inputs": ["0"], "after": ["1"]}),
        (EventType.NODE_ADDED, "2.0", {"kind": "generate", "label": "b", "request": REQUEST}),
        (EventType.NODE_SETTLED, "2.0", {"outcome": "cancelled", "reason": "r"}),
        (EventType.NODE_SETTLED, "2", {"outcome": "succeeded", "value": {}}),
        (EventType.RUN_FINISHED, "", {"outcome": "answered", "answer": {"text": "secret."}}),
    ]  # fmt: skip
    events = [Event(seq, kind, path, 100.0 + seq, data) for seq, (kind, path, data) in enumerate(told)]
    return Trace.of(replace(task, finished_at=110.0), events)


def read(content: bool = False) -> dict[str, Span]:
    data = ParseDict(spans(trace(), content=content), TracesData())
    return {span.name: span for span in data.resource_spans[0].scope_spans[0].spans}


def attributes(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in span.attributes:
        value = getattr(attribute.value, attribute.value.WhichOneof("value") or "")
        found[attribute.key] = (
            [item.string_value for item in value.values] if hasattr(value, "values") else value
        )
    return found


def test_scopes_are_parents_and_everything_else_that_was_needed_is_a_link() -> None:
    by_name = read()
    root, plan, first, tool, vote = (
        by_name[n] for n in ("invoke_workflow p", "plan p", "chat m", "execute_tool t", "vote")
    )
    assert not root.parent_span_id
    assert plan.parent_span_id == root.span_id
    assert {tool.parent_span_id, vote.parent_span_id} == {plan.span_id}
    assert len({span.span_id for span in by_name.values()}) == len(by_name)
    assert [link.span_id for link in vote.links][1] == tool.span_id
    assert first.parent_span_id == vote.span_id  # the branch of the vote has the same name, and comes last
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (99_000_000_000, 110_000_000_000)
    assert (plan.start_time_unix_nano, plan.end_time_unix_nano) == (100_000_000_000, 109_000_000_000)


def test_attributes_have_the_conventions_names_and_types() -> None:
    data = ParseDict(spans(trace()), TracesData())
    generation = attributes(data.resource_spans[0].scope_spans[0].spans[2])
    assert generation["gen_ai.usage.cache_read.input_tokens"] == 16
    assert generation["gen_ai.request.temperature"] == 0.0
    assert generation["gen_ai.request.seed"] == 7
    assert generation["gen_ai.response.finish_reasons"] == ["stop"]
    failed = read()["execute_tool t"]
    assert attributes(failed)["error.type"] == "tool_error"
    assert failed.status.code == 2


def test_a_task_that_died_is_an_error() -> None:
    dead = replace(
        trace().task,
        status=TaskStatus.DEAD,
        error={"code": "attempts_exhausted", "message": "given up"},
        finished_at=110.0,
    )
    data = ParseDict(spans(Trace.of(dead, ()), content=True), TracesData())
    [root] = data.resource_spans[0].scope_spans[0].spans
    assert (root.status.code, root.status.message) == (2, "given up")
    [discreet] = spans(Trace.of(dead, ()))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert discreet["status"] == {"code": 2, "message": ""}
    assert attributes(root)["error.type"] == "attempts_exhausted"
    assert attributes(root)["anabranch.outcome"] == "dead"
    assert root.end_time_unix_nano == 110_000_000_000


@pytest.mark.parametrize("content", [False, True])
def test_content_is_left_out_unless_it_is_asked_for(content: bool) -> None:
    assert ("secret" in json.dumps(spans(trace(), content=content))) is content


def test_output_says_why_it_ended_and_is_left_out_where_there_is_none() -> None:
    found = ParseDict(spans(trace(), content=True), TracesData()).resource_spans[0].scope_spans[0].spans
    root, generation, cancelled = (attributes(found[index]) for index in (0, 2, 5))
    for span in (root, generation):
        [message] = json.loads(span["gen_ai.output.messages"])
        assert (message["role"], message["finish_reason"]) == ("assistant", "stop")
    assert cancelled["anabranch.node.state"] == "cancelled"
    assert "gen_ai.output.messages" not in cancelled
    assert {span.status.code for span in found} == {0, 2}  # what did not fail has no status


def test_segments_of_one_role_are_one_message() -> None:
    data = ParseDict(spans(trace(), content=True), TracesData())
    messages = json.loads(attributes(data.resource_spans[0].scope_spans[0].spans[2])["gen_ai.input.messages"])
    assert [(m["role"], m["parts"][0]["content"]) for m in messages] == [("system", "s"), ("user", "secret")]


def test_thinking_is_a_part_of_its_own() -> None:
    data = ParseDict(spans(trace(reasoning="hm"), content=True), TracesData())
    [message] = json.loads(
        attributes(data.resource_spans[0].scope_spans[0].spans[2])["gen_ai.output.messages"]
    )
    assert [part["type"] for part in message["parts"]] == ["reasoning", "text"]


def test_calls_and_their_results_are_parts_of_the_conventions() -> None:
    call = {"id": "1", "name": "look", "arguments": "{}"}
    told = spans(
        trace(calls=[call], prompt=[["assistant", "so", [call]], ["tool", "here", [call]]]), content=True
    )
    data = ParseDict(told, TracesData())
    span = attributes(data.resource_spans[0].scope_spans[0].spans[2])
    [said] = json.loads(span["gen_ai.output.messages"])
    assert said["parts"][1] == {"type": "tool_call", **call}
    assert json.loads(span["gen_ai.input.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "so"}, {"type": "tool_call", **call}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "here"}]},
    ]


PARENT = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def test_a_task_with_a_parent_continues_its_trace() -> None:
    of_caller = replace(trace(), task=replace(trace().task, trace_parent=PARENT))
    [resource] = spans(of_caller)["resourceSpans"]
    told = resource["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in told} == {"ab" * 16}
    assert told[0]["parentSpanId"] == "cd" * 8


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        PARENT + "-more",
        PARENT.upper(),
        "ff" + PARENT[2:],
        PARENT.replace("ab", "00"),
        PARENT.replace("cd", "00"),
        PARENT + "\n",
        PARENT.replace("ab", "\u0661b"),
        "x'00'",
    ],
)
def test_what_is_no_parent_is_left_alone(text: str | None) -> None:
    assert trace_parent(text) is None


def test_a_parent_of_a_later_version_is_understood() -> None:
    assert trace_parent("01" + PARENT[2:] + "-more") == TraceParent("ab" * 16, "cd" * 8, True)
    assert trace_parent(PARENT[:-2] + "00") == TraceParent("ab" * 16, "cd" * 8, False)


def test_what_no_message_can_hold_costs_no_other_span() -> None:
    odd = {**REQUEST, "seed": 2**64, "sampling": {"stop": ["\ud83d", "y"]}}
    of = trace(reasoning="half \ud83d")
    [generation] = [node for node in of.walk() if node.path == "0"]
    told = Conventions(of.task, content=True).node(replace(generation, request=odd)).attributes
    assert told["gen_ai.request.seed"] == str(2**64)
    assert told["gen_ai.request.stop_sequences"] == ["?", "y"]
    assert "half ?" in told["gen_ai.output.messages"]
    message = Span()  # takes what OTLP can carry, and raises at anything else
    for value in told.values():
        added = message.attributes.add().value
        if isinstance(value, str):
            added.string_value = value
        elif isinstance(value, int):
            added.int_value = value
