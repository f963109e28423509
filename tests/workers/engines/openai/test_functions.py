"""Calls of functions as servers send them: whole or in pieces, with and without ids and indices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workers.engines.openai.harness import ask, read, scripted, sending
from tests.workers.engines.raw_server import DONE, HEAD, USAGE, event, respond
from workers.engines.openai.functions import CallPieces
from workers.functions import Function, FunctionCall


def piece(name: object = None, arguments: object = None, **fields: object) -> dict[str, object]:
    told = {"name": name, "arguments": arguments}
    return {**fields, "function": {key: value for key, value in told.items() if value is not None}}


def told(calls: tuple[FunctionCall, ...]) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in calls]


TWO = [("f", '{"x": 1}'), ("g", '{"y": 2}')]


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [
                [piece("f", "", index=0, id="a", type="function")],
                [piece(None, '{"x"', index=0)],
                [piece(None, ": 1}", index=0)],
                [piece("g", "", index=1, id="b", type="function")],
                [piece(None, '{"y": 2}', index=1)],
            ],
            TWO,
            id="OpenAI",
        ),
        pytest.param(
            [
                [piece("f", '{"x"', index=0, id="a"), piece("g", '{"y"', index=1, id="b")],
                [piece(None, ": 2}", index=1), piece(None, ": 1}", index=0)],
            ],
            TWO,
            id="interleaved",
        ),
        pytest.param([[piece("f", '{"x": 1}', index=0), piece("g", '{"y": 2}', index=1)]], TWO, id="no ids"),
        pytest.param(
            [[piece("f", '{"x": 1}', id="a"), piece("g", '{"y": 2}', id="b")]], TWO, id="no indices"
        ),
        pytest.param(
            [[piece("f", '{"x"')], [piece(None, ": 1}")], [piece("g", '{"y": 2}')]], TWO, id="neither"
        ),
        pytest.param(
            [[piece("f", '{"x": 1}', index=0, id="a")], [piece("g", '{"y": 2}', index=0, id="b")]],
            TWO,
            id="one index for all",
        ),
        pytest.param(
            [[piece("f", '{"x": 1}', index=0)], [piece("g", '{"y": 2}', index=0)]],
            TWO,
            id="one index for all, and no ids",
        ),
        pytest.param(
            [
                [piece("f", '{"x": 1}', index=0, id="a")],
                [piece("g", '{"y"', index=0, id="b")],
                [piece(None, ": 2}", index=1, id="b")],
            ],
            TWO,
            id="an index that changes",
        ),
        pytest.param(
            [
                [piece("f", '{"x"', index=0, id="a")],
                [piece("", ": 1}", index=0, id="")],
                [piece("g", '{"y": 2}', index=1, id="b")],
            ],
            TWO,
            id="empty texts for what is not told again",
        ),
        pytest.param(
            [
                [piece("f", '{"x"', index=0, id="a")],
                [piece("f", ": 1}", index=0, id="a")],
                [piece("g", '{"y": 2}', index=1, id="b")],
            ],
            TWO,
            id="told again with each piece",
        ),
        pytest.param(
            [[piece("f", {"x": 1}, id="a"), piece("g", {"y": 2}, id="b")]], TWO, id="arguments as objects"
        ),
        pytest.param([[piece("f"), piece("g", "")]], [("f", ""), ("g", "")], id="no arguments"),
        pytest.param([["f", None, 3, {"function": "f"}]], [], id="what is none"),
        pytest.param([[{"name": "f", "arguments": '{"x": 1}'}]], TWO[:1], id="the older function_call"),
    ],
)
def test_calls_are_put_together(deltas: list[list[object]], calls: list[tuple[str, str]]) -> None:
    pieces = CallPieces()
    for delta in deltas:
        pieces.add(delta)
    found = pieces.calls()
    assert told(found) == calls
    assert all(call.id for call in found)
    assert len({call.id for call in found}) == len(found)


def test_ids_of_the_server_are_kept() -> None:
    pieces = CallPieces()
    pieces.add([piece("f", "{}", id="a", index=0)])
    assert pieces.calls() == (FunctionCall("a", "f", "{}"),)


def delta(*calls: object, **fields: object) -> bytes:
    """An event with pieces of calls."""
    said = {"role": "assistant", "content": None, "tool_calls": [*calls]}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": said} | fields]}).encode() + b"\n\n"


F = Function("f", "does", {"type": "object"})


async def test_streamed_calls_come_with_the_last_chunk_which_is_finished() -> None:
    stream = (
        delta(piece("f", "", index=0, id="a"))
        + delta(piece(None, '{"x": "ü', index=0))
        + delta(piece(None, '"}', index=0))
        + event(None, "tool_calls")
        + event(usage=USAGE)
    )
    async with scripted(sending(HEAD + stream + DONE)) as (engine, _):
        chunks = await read(engine, ask(functions=(F,)))
    assert [chunk.calls for chunk in chunks[:-1]] == [()] * (len(chunks) - 1)
    assert chunks[-1].calls == (FunctionCall("a", "f", '{"x": "ü"}'),)
    assert chunks[-1].finish_reason == "stop"
    assert sum(chunk.tokens for chunk in chunks) == 3


async def test_calls_may_come_with_text_and_with_the_finish() -> None:
    stream = event("I look.") + delta(piece("f", "{}", index=0, id="a"), finish_reason="tool_calls")
    async with scripted(sending(HEAD + stream + DONE)) as (engine, _):
        chunks = await read(engine, ask(functions=(F,)))
    assert "".join(chunk.text for chunk in chunks) == "I look."
    assert chunks[-1].calls == (FunctionCall("a", "f", "{}"),)


async def test_an_answer_that_is_no_stream_may_call_too() -> None:
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [piece("f", {"x": 1})]}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": USAGE}
    async with scripted(sending(respond("200 OK", body))) as (engine, _):
        [last] = await read(engine, ask(functions=(F,)))
    assert told(last.calls) == [("f", '{"x": 1}')]
    assert last.finish_reason == "stop"


async def test_a_finish_of_calls_without_calls_ends_the_completion_as_before() -> None:
    async with scripted(sending(HEAD + event("hi") + event(None, "tool_calls") + DONE)) as (engine, _):
        last = (await read(engine))[-1]
        assert (last.finish_reason, last.calls) == ("stop", ())


async def test_calls_that_are_cut_off_are_what_had_come() -> None:
    stream = delta(piece("f", '{"x": ', index=0, id="a")) + event(None, "length")
    async with scripted(sending(HEAD + stream + DONE)) as (engine, _):
        last = (await read(engine, ask(functions=(F,))))[-1]
    assert (last.finish_reason, told(last.calls)) == ("length", [("f", '{"x": ')])
