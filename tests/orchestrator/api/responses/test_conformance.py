"""What the compliance suite of Open Responses tries over HTTP, and the shape that it wants of each body.

What is tried with images, over WebSockets and of compaction does not apply: docs/responses.md says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.orchestrator.api.conftest import Api, Open
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

TEXT, NUMBER, COUNT, FLAG = str, (int, float), int, bool
NOTHING = type(None)

Shape = Mapping[str, Any]
"""The types of the members that must be there."""

RESPONSE: Shape = {
    "id": TEXT,
    "object": TEXT,
    "created_at": COUNT,
    "completed_at": (COUNT, NOTHING),
    "status": TEXT,
    "incomplete_details": (dict, NOTHING),
    "model": TEXT,
    "previous_response_id": (TEXT, NOTHING),
    "instructions": (TEXT, NOTHING),
    "output": list,
    "error": (dict, NOTHING),
    "tools": list,
    "tool_choice": (TEXT, dict),
    "truncation": TEXT,
    "parallel_tool_calls": FLAG,
    "text": dict,
    "top_p": NUMBER,
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "top_logprobs": COUNT,
    "temperature": NUMBER,
    "reasoning": (dict, NOTHING),
    "usage": (dict, NOTHING),
    "max_output_tokens": (COUNT, NOTHING),
    "max_tool_calls": (COUNT, NOTHING),
    "store": FLAG,
    "background": FLAG,
    "service_tier": TEXT,
    "metadata": dict,
    "safety_identifier": (TEXT, NOTHING),
    "prompt_cache_key": (TEXT, NOTHING),
}
USAGE: Shape = {
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "total_tokens": COUNT,
    "input_tokens_details": dict,
    "output_tokens_details": dict,
}
FUNCTION: Shape = {
    "type": TEXT,
    "name": TEXT,
    "description": (TEXT, NOTHING),
    "parameters": (dict, NOTHING),
    "strict": (FLAG, NOTHING),
}
ITEMS: Mapping[str, Shape] = {
    "message": {"id": TEXT, "status": TEXT, "role": TEXT, "content": list},
    "reasoning": {"id": TEXT, "summary": list},
    "function_call": {"id": TEXT, "call_id": TEXT, "name": TEXT, "arguments": TEXT, "status": TEXT},
}
PARTS: Mapping[str, Shape] = {
    "output_text": {"text": TEXT, "annotations": list},
    "summary_text": {"text": TEXT},
}
OF_ITEM: Shape = {"item_id": TEXT, "output_index": COUNT}
OF_PART: Shape = {**OF_ITEM, "content_index": COUNT}
OF_SUMMARY: Shape = {**OF_ITEM, "summary_index": COUNT}
STATE: Shape = {"response": dict}
EVENTS: Mapping[str, Shape] = {
    "response.created": STATE,
    "response.queued": STATE,
    "response.in_progress": STATE,
    "response.completed": STATE,
    "response.failed": STATE,
    "response.incomplete": STATE,
    "response.output_item.added": {"output_index": COUNT, "item": dict},
    "response.output_item.done": {"output_index": COUNT, "item": dict},
    "response.content_part.added": {**OF_PART, "part": dict},
    "response.content_part.done": {**OF_PART, "part": dict},
    "response.output_text.delta": {**OF_PART, "delta": TEXT},
    "response.output_text.done": {**OF_PART, "text": TEXT},
    "response.reasoning_summary_part.added": {**OF_SUMMARY, "part": dict},
    "response.reasoning_summary_part.done": {**OF_SUMMARY, "part": dict},
    "response.reasoning_summary_text.delta": {**OF_SUMMARY, "delta": TEXT},
    "response.reasoning_summary_text.done": {**OF_SUMMARY, "text": TEXT},
    "response.function_call_arguments.delta": {**OF_ITEM, "delta": TEXT},
    "response.function_call_arguments.done": {**OF_ITEM, "arguments": TEXT},
}

HELLO = [{"type": "message", "role": "user", "content": "Say hello in exactly 3 words."}]
PHASES = [
    {"type": "message", "role": "assistant", "phase": "commentary", "content": "I use the saved number."},
    {"type": "message", "role": "assistant", "phase": "final_answer", "content": "The number is four."},
    {"type": "message", "role": "user", "content": "Repeat only the number."},
]
PIRATE = [
    {"type": "message", "role": "system", "content": "You are a pirate."},
    {"type": "message", "role": "user", "content": "Say hello."},
]
TURNS = [
    {"type": "message", "role": "user", "content": "My name is Alice."},
    {"type": "message", "role": "assistant", "content": "Hello Alice!"},
    {"type": "message", "role": "user", "content": "What is my name?"},
]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a place.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
}
CASES = {"basic text": HELLO, "assistant phase": PHASES, "system prompt": PIRATE, "multi-turn": TURNS}


def fits(value: Mapping[str, Any], shape: Shape, what: str) -> None:
    """All members are there, and of their types."""
    for name, kind in shape.items():
        assert name in value, f"{what} has no {name}"
        kinds = kind if isinstance(kind, tuple) else (kind,)
        is_flag = isinstance(value[name], bool)
        assert isinstance(value[name], kinds), f"{what}.{name}: {value[name]!r}"
        assert not is_flag or FLAG in kinds, f"{what}.{name}: {value[name]!r}"


def fits_item(item: Mapping[str, Any]) -> None:
    """It is an item of the specification."""
    fits(item, ITEMS[item["type"]], item["type"])
    if item["type"] != "reasoning":
        assert item["status"] in ("in_progress", "completed", "incomplete")
    for part in (*item.get("content", ()), *item.get("summary", ())):
        fits(part, PARTS[part["type"]], part["type"])


def fits_response(response: Mapping[str, Any]) -> None:
    """It is a response of the specification."""
    fits(response, RESPONSE, "response")
    assert response["object"] == "response"
    assert response["text"]["format"]["type"] in ("text", "json_object", "json_schema")
    assert response["truncation"] in ("auto", "disabled")
    fits(response["reasoning"], {"effort": (TEXT, NOTHING), "summary": (TEXT, NOTHING)}, "reasoning")
    for item in response["output"]:
        fits_item(item)
    for tool in response["tools"]:
        fits(tool, FUNCTION, "tool")
    if response["usage"] is not None:
        fits(response["usage"], USAGE, "usage")
        assert isinstance(response["usage"]["input_tokens_details"]["cached_tokens"], int)
        assert isinstance(response["usage"]["output_tokens_details"]["reasoning_tokens"], int)
    assert (response["completed_at"] is not None) == (response["status"] == "completed")


async def streamed(api: Api, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, each of which is of the specification; it ends with ``[DONE]``."""
    events = []
    async with api.session.post("/v1/responses", json={**body, "stream": True}) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        frames = (await response.text()).split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    for frame in frames[:-2]:
        [named, said] = frame.split("\n")
        event = json.loads(said.removeprefix("data: "))
        assert named == f"event: {event['type']}"
        fits(event, {"sequence_number": COUNT, **EVENTS[event["type"]]}, event["type"])
        if "response" in event:
            fits_response(event["response"])
        if "item" in event:
            fits_item(event["item"])
        if "part" in event:
            fits(event["part"], PARTS[event["part"]["type"]], "part")
        assert "error" not in event
        events.append(event)
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    return events


@pytest.mark.parametrize("model", ["anabranch/vote", "anabranch/engine"])
@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
async def test_what_the_suite_asks_is_answered(api: Api, model: str, given: list[dict[str, Any]]) -> None:
    reply = await api.call("POST", "/v1/responses", json={"model": model, "input": given})
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"].startswith("application/json")
    fits_response(reply.body)
    assert reply.body["status"] == "completed"
    [message] = [item for item in reply.body["output"] if item["type"] == "message"]
    assert (message["role"], message["phase"]) == ("assistant", "final_answer")


@pytest.mark.parametrize("model", ["anabranch/vote", "anabranch/engine"])
async def test_a_stream_is_of_the_specification(api: Api, model: str) -> None:
    events = await streamed(api, {"model": model, "input": HELLO})
    assert events[-1]["type"] == "response.completed"
    background = await streamed(api, {"model": "anabranch/vote", "input": HELLO, "background": True})
    assert background[1]["type"] == "response.queued"


async def test_the_engine_calls_functions_that_a_request_offers(open_api: Open) -> None:
    arguments = '{"location": "San Francisco"}'
    said = f'I look.\n```json\n{{"name": "get_weather", "arguments": {arguments}}}\n```'
    able = Capabilities("simulator", function_calls=True)
    body = {"model": "anabranch/engine", "input": "How is the weather?", "tools": [WEATHER]}
    async with open_api(Simulator(said, claims=able)) as api:
        reply = await api.call("POST", "/v1/responses", json=body)
        fits_response(reply.body)
        message, call = reply.body["output"]
        assert message["content"][0]["text"] == "I look."
        assert (call["type"], call["name"]) == ("function_call", "get_weather")
        assert json.loads(call["arguments"]) == json.loads(arguments)
        events = await streamed(api, body)
        kinds = [event["type"] for event in events]
        assert "response.function_call_arguments.delta" in kinds
        assert "response.function_call_arguments.done" in kinds
        assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        again = [{"role": "user", "content": "How is the weather?"}, *reply.body["output"], output]
        reply = await api.call("POST", "/v1/responses", json={**body, "input": again})
        assert reply.status == 200, reply.body


async def test_planners_refuse_functions_and_images_with_a_reason(api: Api) -> None:
    body: dict[str, Any] = {"model": "anabranch/vote", "input": "x", "tools": [WEATHER]}
    reply = await api.call("POST", "/v1/responses", json=body)
    assert (reply.status, reply.error, reply.body["error"]["param"]) == (
        400,
        "unsupported_parameter",
        "tools",
    )
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}]
    reply = await api.call("POST", "/v1/responses", json={"model": "anabranch/vote", "input": asked})
    assert reply.status == 400
    assert reply.body["error"]["param"] == "input[0].content[1]"
