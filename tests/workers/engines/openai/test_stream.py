from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.engines.openai.harness import (
    CHUNKED,
    ask,
    read,
    scripted,
    sending,
    text,
)
from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    USAGE,
    Exchange,
    event,
)
from workers.calls import Chunk, Logprob, Usage
from workers.engines.openai.stream import CompletionStream
from workers.errors import EngineProtocolError, WorkerError


async def test_no_more_is_cached_than_was_sent() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1000}}
    async with scripted(sending(HEAD + event("hi", "stop", usage) + DONE)) as (engine, _):
        assert (await read(engine))[-1].usage == Usage(10, 10, 1)


async def test_servers_without_usage_have_their_tokens_counted() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("a") + event("b") + event(None, "length") + DONE)

    async with scripted(script) as (engine, _):
        last = (await read(engine))[-1]
        assert (last.finish_reason, last.usage) == ("length", Usage(completion_tokens=2))


async def test_a_stream_may_end_without_the_mark_and_split_anywhere() -> None:
    stream = event("grün ✓ 🙂") + b": comment\r\n\r\n" + event("!", "stop") + event(usage=USAGE)

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD)
        for byte in stream:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0)

    async with scripted(script) as (engine, _):
        chunks = await read(engine)
        assert text(chunks) == "grün ✓ 🙂!"
        assert chunks[-1].usage == Usage(7, 4, 2)


async def test_logprobs_come_with_their_tokens() -> None:
    logprobs = {
        "content": [
            {"token": "7", "logprob": -0.1, "top_logprobs": [{"token": "7", "logprob": -0.1}]},
            {"token": "2", "logprob": -1, "top_logprobs": []},
        ]
    }

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("72", "stop", logprobs=logprobs) + DONE)

    async with scripted(script) as (engine, _):
        (chunk,) = await read(engine)
        assert chunk.logprobs == (Logprob("7", -0.1, {"7": -0.1}), Logprob("2", -1.0))
        assert chunk.tokens == 2


def frame(event: object, end: bytes = b"\n") -> bytes:
    return b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + end + end


def piece(delta: object = None, reason: object = None, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


SAID = frame(piece({"role": "assistant", "content": ""})) + frame(piece({"content": "It is 42."}))
STOP = frame(piece({}, "stop"))
COUNTS = {"prompt_tokens": 7, "completion_tokens": 4}


def answer(body: bytes) -> Chunk:
    """The completion in one chunk."""
    stream = CompletionStream("server")
    stream.feed(body)
    stream.end(whole=True)
    return stream.last()


FINISHED = {
    "usage_after_the_finish_without_choices": SAID + STOP + frame({"choices": [], "usage": COUNTS}) + DONE,
    "usage_after_the_finish_with_choices_null": SAID
    + STOP
    + frame({"choices": None, "usage": COUNTS})
    + DONE,
    "usage_before_the_finish": SAID + frame({"choices": [], "usage": COUNTS}) + STOP + DONE,
    "usage_with_the_finish": SAID + frame(piece({}, "stop", usage=COUNTS)) + DONE,
    "usage_in_every_chunk": frame(
        piece({"content": "It is "}, usage={"prompt_tokens": 7, "completion_tokens": 2})
    )
    + frame(piece({"content": "42."}, usage=COUNTS))
    + STOP
    + DONE,
    "usage_null_until_the_end": frame(piece({"content": "It is 42."}, usage=None))
    + frame(piece({}, "stop", usage=COUNTS)),
    "usage_in_the_choice": SAID
    + frame({"choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]})
    + DONE,
    "delta_null": SAID + frame({"choices": [{"delta": None, "finish_reason": "stop"}], "usage": COUNTS}),
    "no_delta": SAID + frame({"choices": [{"finish_reason": "stop"}], "usage": COUNTS}),
    "no_mark_at_the_end": SAID + frame(piece({}, "stop", usage=COUNTS)),
    "no_choices_at_first": frame({"choices": [], "prompt_filter_results": []})
    + SAID
    + frame(piece({}, "stop", usage=COUNTS)),
    "an_event_of_another_type": SAID
    + b'event: timing\ndata: {"ms": 1}\n\nevent: ping\ndata: not JSON\n\n'
    + frame(piece({}, "stop", usage=COUNTS)),
    "an_object_of_another_kind": SAID + frame({"timings": {}}) + frame(piece({}, "stop", usage=COUNTS)),
    "events_that_keep_it_alive": SAID + b"data:\n\ndata: null\n\n" + frame(piece({}, "stop", usage=COUNTS)),
    "framed_twice": SAID.replace(b"data: ", b"data: data: ") + frame(piece({}, "stop", usage=COUNTS)),
    "the_type_of_an_event_named": b"event: message\n" + SAID + frame(piece({}, "stop", usage=COUNTS)),
    "content_in_parts": frame(piece({"content": [{"type": "text", "text": "It is 42."}]}))
    + frame(piece({}, "stop", usage=COUNTS)),
    "reasons_that_are_empty": frame(piece({"content": "It is 42."}, ""))
    + frame(piece({}, "stop", usage=COUNTS)),
    "a_reason_with_every_piece": frame(piece({"content": "It is "}, "STOP"))
    + frame(piece({"content": "42."}, "STOP", usage=COUNTS)),
    "nonsense_after_the_finish": SAID
    + STOP
    + b"data: {nonsense\n\n<html>\n"
    + frame(7)
    + frame({"usage": COUNTS}),
    "an_error_after_the_finish": SAID
    + frame(piece({}, "stop", usage=COUNTS))
    + frame({"error": {"message": "late"}}),
    "a_second_finish": SAID + frame(piece({}, "stop", usage=COUNTS)) + frame(piece({}, "error")),
    "text_after_the_finish": SAID
    + frame(piece({}, "stop", usage=COUNTS))
    + frame(piece({"content": "junk"})),
    "lines_without_an_empty_one": (SAID + frame(piece({}, "stop", usage=COUNTS))).replace(b"\n\n", b"\n"),
    "one_object_over_several_lines": b"".join(
        b"data: " + line + b"\n"
        for line in json.dumps(piece({"content": "It is 42."}), indent=1).encode().split(b"\n")
    )
    + b"\n"
    + frame(piece({}, "stop", usage=COUNTS)),
    "a_byte_order_mark_and_carriage_returns": b"\xef\xbb\xbf"
    + (SAID + frame(piece({}, "stop", usage=COUNTS))).replace(b"\n", b"\r\n"),
    "a_text_of_a_plain_completion": frame(
        {"choices": [{"text": "It is 42.", "finish_reason": "stop"}], "usage": COUNTS}
    ),
    "a_reason_in_another_field": SAID
    + frame(
        {"choices": [{"delta": {}, "finish_reason": None, "native_finish_reason": "STOP"}], "usage": COUNTS}
    ),
    "a_reason_with_details": SAID
    + frame({"choices": [{"delta": {}, "finish_reason": {"type": "stop", "matched": 2}}], "usage": COUNTS}),
    "no_stream_but_one_object": json.dumps(
        {
            "object": "chat.completion",
            "choices": [{"message": {"content": "It is 42."}, "finish_reason": "stop"}],
            "usage": COUNTS,
        },
        indent=1,
    ).encode(),
    "one_object_to_a_line": (SAID + frame(piece({}, "stop", usage=COUNTS)))
    .replace(b"data: ", b"")
    .replace(b"\n\n", b"\n"),
}


@pytest.mark.parametrize("behaviour", FINISHED)
def test_a_server_may_send_a_finished_answer_with(behaviour: str) -> None:
    last = answer(FINISHED[behaviour])
    assert (last.text, last.finish_reason, last.usage) == ("It is 42.", "stop", Usage(7, 0, 4))


CUT_OFF = {
    "an_end_without_a_reason": SAID,
    "the_mark_without_a_reason": SAID + DONE,
    "reasons_that_stay_empty": frame(piece({"content": "It is 42."}, "")) + DONE,
    "half_an_event_at_the_end": SAID + b'data: {"choices": [{"del',
    "an_object_without_a_reason": json.dumps({"choices": [{"message": {"content": "It is 42."}}]}).encode(),
    "a_cancellation": SAID + frame(piece({}, "cancelled")) + DONE,
}


@pytest.mark.parametrize("behaviour", CUT_OFF)
def test_a_completion_is_broken_off_by(behaviour: str) -> None:
    last = answer(CUT_OFF[behaviour])
    assert (last.text, last.finish_reason) == ("It is 42.", "abort")


async def test_every_behaviour_comes_through_a_real_connection() -> None:
    behaviours = FINISHED | CUT_OFF

    async def script(exchange: Exchange) -> None:
        body = behaviours[exchange.body["messages"][-1]["content"]]
        await exchange.send(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    async with scripted(script) as (engine, _):
        for behaviour in behaviours:
            chunks = await read(engine, ask(behaviour))
            reason = "stop" if behaviour in FINISHED else "abort"
            assert (text(chunks), chunks[-1].finish_reason) == ("It is 42.", reason), behaviour


ERROR = {"message": "overloaded engine", "type": "server_error", "code": 500}

ERRORS = {
    "an_object": frame({"error": ERROR}) + DONE,
    "a_text": frame({"error": "overloaded engine"}),
    "an_event": b"event: error\n" + frame(ERROR),
    "an_event_of_one_string": b'event: error\ndata: "overloaded engine"\n\n',
    "an_event_with_a_list": frame([{"error": ERROR}]),
    "an_event_of_plain_text": b"event: error\n" + frame(b"overloaded engine"),
    "a_field": b"error: " + json.dumps(ERROR).encode() + b"\n\n",
    "a_line": json.dumps({"error": ERROR}).encode() + b"\n",
    "an_old_object": frame({"object": "error", "message": "overloaded engine", "code": 50000}),
    "a_typed_object": frame(
        {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded engine"}}
    ),
    "a_detail": frame({"detail": "overloaded engine"}),
    "a_code_and_a_message": frame(
        {"code": "InternalError", "message": "overloaded engine", "request_id": "1"}
    ),
    "a_list": frame({"errors": [{"message": "overloaded engine"}]}),
    "an_error_beside_the_choice": frame(piece({"content": ""}, "error", error=ERROR)),
    "an_error_in_the_choice": frame({"choices": [{"error": ERROR, "delta": {}, "finish_reason": "error"}]}),
    "what_stands_behind_a_gateway": frame(
        {"error": {"message": "Provider returned error", "metadata": {"raw": "overloaded engine"}}}
    ),
}


@pytest.mark.parametrize("form", ERRORS)
@pytest.mark.parametrize("said", [b"", SAID])
def test_an_error_in_mid_stream_fails_the_call_with_what_the_server_says_in(form: str, said: bytes) -> None:
    with pytest.raises(WorkerError, match="overloaded engine") as raised:
        answer(said + ERRORS[form])
    assert not isinstance(raised.value, EngineProtocolError)


THOUGHT = {
    "reasoning_content": frame(piece({"reasoning_content": "maybe "}))
    + frame(piece({"reasoning_content": "41"})),
    "reasoning": frame(piece({"reasoning": "maybe "})) + frame(piece({"reasoning": "41", "content": None})),
    "parts": frame(
        piece({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "maybe "}]}]})
    )
    + frame(piece({"content": [{"type": "thinking", "thinking": "41"}]})),
}


@pytest.mark.parametrize("form", THOUGHT)
def test_thinking_that_comes_apart_stays_apart_and_is_counted(form: str) -> None:
    last = answer(THOUGHT[form] + SAID + STOP + DONE)
    assert (last.text, last.reasoning) == ("It is 42.", "maybe 41")
    assert last.usage == Usage(completion_tokens=3, reasoning_tokens=2)


def test_the_servers_count_of_thinking_tokens_is_taken() -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 90,
        "completion_tokens_details": {"reasoning_tokens": 80},
    }
    last = answer(THOUGHT["reasoning"] + SAID + frame(piece({}, "stop", usage=usage)))
    assert last.usage == Usage(7, 0, 90, 80)


def test_thinking_that_uses_up_the_tokens_leaves_no_text() -> None:
    last = answer(THOUGHT["reasoning"] + frame(piece({}, "length")) + DONE)
    assert (last.text, last.reasoning, last.finish_reason) == ("", "maybe 41", "length")


def test_tokens_that_spell_thinking_too_are_not_given_as_those_of_the_text() -> None:
    thought = {"choices": [{"delta": {"reasoning": "hm"}, "token_ids": [1, 2]}]}
    said = {"choices": [{"delta": {"content": "42"}, "token_ids": [3], "finish_reason": "length"}]}
    last = answer(frame(thought) + frame(said) + DONE)
    assert last.token_ids == ()
    assert (answer(frame(said) + DONE)).token_ids == (3,)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (SAID + frame(piece({}, "content_filter")), "It is 42."),
        (frame(piece({"refusal": "I will "})) + frame(piece({"refusal": "not."})) + STOP, "I will not."),
        (frame(piece({}, "SAFETY")), ""),
    ],
)
def test_a_refusal_is_told_from_an_answer(body: bytes, said: str) -> None:
    last = answer(body + DONE)
    assert (last.text, last.finish_reason) == (said, "refused")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": None, "completion_tokens": 4.0, "total_tokens": None}, Usage(0, 0, 4)),
        ({"input_tokens": 7, "output_tokens": 4}, Usage(7, 0, 4)),
        ({**COUNTS, "prompt_tokens_details": None, "completion_tokens_details": None}, Usage(7, 0, 4)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(7, 5, 4)),
        ({**COUNTS, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 2}, Usage(7, 5, 4)),
        ({**COUNTS, "reasoning_tokens": 3}, Usage(7, 0, 4, 3)),
        ({"queue_time": 0.1}, Usage()),
        ({"prompt_tokens": "7", "completion_tokens": "4"}, Usage(7, 0, 4)),
        ({"prompt_tokens": -1, "completion_tokens": 4}, Usage(0, 0, 4)),
        ({"prompt_tokens": 7, "completion_tokens": 1 << 31}, Usage(7)),
    ],
)
def test_usage_may_leave_things_open(usage: object, expected: Usage) -> None:
    assert (answer(SAID + frame(piece({}, "stop", usage=usage)) + DONE)).usage == expected


@pytest.mark.parametrize(
    "usage", [7, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1}, {"prompt_tokens": 0.5}]
)
def test_usage_that_is_no_usage_takes_back_no_finished_answer(usage: object) -> None:
    for body in (SAID + frame(piece({}, "stop", usage=usage)), frame({"usage": usage}) + SAID + STOP):
        last = answer(body + DONE)
        assert (last.text, last.finish_reason) == ("It is 42.", "stop")


@pytest.mark.parametrize("open_end", [False, 0, {}])
@pytest.mark.parametrize("end", [True, 7, ["stop"]])
def test_a_finish_reason_that_is_not_text_is_one_that_is_not_known(open_end: object, end: object) -> None:
    last = answer(frame(piece({"content": "It is "}, open_end)) + frame(piece({"content": "42."}, end)))
    assert (last.text, last.finish_reason) == ("It is 42.", "stop")


@given(st.data())
def test_bytes_may_be_cut_anywhere(data: st.DataObject) -> None:
    streams = [behaviour for behaviour in FINISHED if behaviour != "no_stream_but_one_object"]
    behaviour = data.draw(st.sampled_from([*streams, "thinking"]))
    grin = json.dumps(piece({"content": "grün ✓ 🙂"}), ensure_ascii=False).encode()
    whole = frame(grin) + FINISHED.get(behaviour, THOUGHT["reasoning"] + SAID + STOP)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stream, chunks = CompletionStream("server"), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        stream.feed(whole[start:end])
        if (chunk := stream.take()) is not None:
            chunks.append(chunk)
    stream.end(whole=True)
    chunks.append(stream.last())
    assert text(chunks) == "grün ✓ 🙂It is 42."
    assert "".join(chunk.reasoning for chunk in chunks) == ("maybe 41" if behaviour == "thinking" else "")
    assert stream.finish_reason == "stop"


@pytest.mark.parametrize("form", [{"error": ERROR}, [{"error": ERROR}], {"detail": "overloaded engine"}])
def test_an_object_in_place_of_a_stream_may_be_an_error(form: object) -> None:
    with pytest.raises(WorkerError, match="overloaded engine"):
        answer(json.dumps(form, indent=1).encode())
