from __future__ import annotations

import asyncio
import json

import pytest

from tests.workers.engines.openai.harness import (
    CHUNKED,
    PATIENT,
    ask,
    asked,
    failure,
    read_into,
    scripted,
    sending,
    simulated,
    text,
)
from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    Exchange,
    Script,
    event,
    respond,
)
from workers.calls import Chunk
from workers.engines.openai.events import LINE_LIMIT
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.errors import (
    CallRejected,
    EngineFailed,
    EngineInterrupted,
    EngineProtocolError,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)

LONG = b"x" * (LINE_LIMIT + 1)


async def reset_before_the_head(exchange: Exchange) -> None:
    exchange.reset()


async def close_before_the_head(exchange: Exchange) -> None:
    pass


async def reset_mid_stream(exchange: Exchange) -> None:
    await exchange.send(CHUNKED + b"%x\r\n%s\r\n" % (len(event("x")), event("x")))
    await asyncio.sleep(0.02)
    exchange.reset()


async def end_without_finish(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("x"))


async def cut_a_chunk_short(exchange: Exchange) -> None:
    await exchange.send(CHUNKED + b"ff\r\ndata: {")


async def fail_mid_stream(exchange: Exchange) -> None:
    error = {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}
    await exchange.send(HEAD + event("x") + b"data: " + json.dumps(error).encode() + b"\n\n" + DONE)


async def finish_with_error(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("x", "error") + DONE)


async def reject_mid_stream(exchange: Exchange) -> None:
    error = {"error": {"message": "schema is too deep", "code": 400}}
    await exchange.send(HEAD + b"data: " + json.dumps(error).encode() + b"\n\n" + DONE)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (reset_before_the_head, EngineFailed, "broke the connection off"),
        (close_before_the_head, EngineFailed, "broke the connection off"),
        (reset_mid_stream, EngineInterrupted, "broke off"),
        (end_without_finish, EngineInterrupted, "before the completion was finished"),
        (sending(CHUNKED + b"so many bytes\r\n"), EngineProtocolError, "HTTP"),
        (cut_a_chunk_short, EngineInterrupted, "broke off"),
        (fail_mid_stream, EngineFailed, "EngineCore died"),
        (finish_with_error, EngineFailed, "internal error"),
        (reject_mid_stream, CallRejected, "schema is too deep"),
        (sending(b"\x00\x01\x02 not HTTP at all\r\n\r\n"), EngineProtocolError, "HTTP"),
        (sending(respond("200 OK", "<html>Welcome</html>")), EngineProtocolError, "<html>Welcome</html>"),
        (sending(respond("200 OK", {"choices": []})), EngineProtocolError, "server-sent event"),
        (sending(respond("404 Not Found", "<html>nginx</html>")), ModelUnavailable, "<html>nginx</html>"),
        (sending(respond("204 No Content", "")), EngineProtocolError, "204"),
        (sending(respond("301 Moved", "", Location="https://x/")), EngineProtocolError, "https://x/"),
        (sending(HEAD + b"garbage\n"), EngineProtocolError, "'garbage'"),
        (sending(HEAD + b"data: {nonsense\n\n"), EngineProtocolError, "{nonsense"),
        (sending(HEAD + b"data: 7\n\n"), EngineProtocolError, "not a chunk"),
        (sending(HEAD + b'data: {"choices": 7}\n\n'), EngineProtocolError, "not a chunk"),
        (sending(HEAD + b'data: {"choices": [7]}\n\n'), EngineProtocolError, "not a chunk"),
        (sending(HEAD + b'data: {"choices": [{"delta": 7}]}\n\n'), EngineProtocolError, "not a chunk"),
        (
            sending(HEAD + b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'),
            EngineProtocolError,
            "not text",
        ),
        (
            sending(HEAD + b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n'),
            EngineProtocolError,
            "Unicode",
        ),
        (sending(HEAD + event("x", logprobs={"content": [{"token": 7}]})), EngineProtocolError, "logprob"),
        (
            sending(HEAD + b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n'),
            EngineProtocolError,
            "UTF-8",
        ),
        (sending(HEAD + b"data: " + b"[" * 100_000 + b"\n\n"), EngineProtocolError, "[[["),
        (
            sending(HEAD + b"data: " + b"x" * (LINE_LIMIT + 1) + b"\n\n"),
            EngineProtocolError,
            f"{LINE_LIMIT} bytes",
        ),
        (sending(HEAD + LONG), EngineProtocolError, f"{LINE_LIMIT} bytes"),
        (sending(respond("400 Bad Request", {"error": {"message": "too long"}})), CallRejected, "too long"),
        (
            sending(respond("400 Bad Request", {"object": "error", "message": "old form"})),
            CallRejected,
            "old form",
        ),
        (sending(respond("404 Not Found", {"error": "no such model"})), ModelUnavailable, "no such model"),
        (
            sending(respond("422 X", {"detail": [{"loc": ["body", "stop"], "msg": "not a list"}]})),
            CallRejected,
            "not a list (body.stop)",
        ),
        (sending(respond("429 Slow", {"error": {"message": "later"}}, Retry_After="7")), Overloaded, "later"),
        (sending(respond("503 X", {"error": {"message": "Loading model"}})), Overloaded, "Loading model"),
        (sending(respond("500 X", {"error": {"message": "CUDA"}})), EngineFailed, "CUDA"),
        (sending(respond("502 Bad Gateway", "<html>bad gateway</html>")), EngineFailed, "bad gateway"),
    ],
)
async def test_failures_are_typed_and_say_what_came(
    script: Script, error: type[WorkerError], message: str
) -> None:
    async with scripted(script, timeouts=PATIENT) as (engine, _):
        raised = await failure(engine)
        assert type(raised) is error
        assert message in str(raised)
        assert len(str(raised)) < 600


@pytest.mark.parametrize(
    ("fault", "error", "tokens"),
    [
        (Fault(kind="refuse", when=asked), EngineFailed, 0),
        (Fault(kind="reject", when=asked), CallRejected, 0),
        (Fault(kind="overload", seconds=3, when=asked), Overloaded, 0),
        (Fault(kind="reset", when=asked), EngineFailed, 0),
        (Fault(kind="reset", after_tokens=3, when=asked), EngineInterrupted, 3),
        (Fault(kind="garbage", when=asked), EngineProtocolError, 0),
        (Fault(kind="garbage", after_tokens=3, when=asked), EngineProtocolError, 3),
    ],
)
async def test_the_simulators_faults_arrive_over_the_wire(
    fault: Fault, error: type[WorkerError], tokens: int
) -> None:
    simulator = Simulator("x" * 40, cost=CostModel(decode_tokens_per_s=400), faults=[fault])
    async with simulated(simulator) as engine:
        received: list[Chunk] = []
        with pytest.raises(error) as caught:
            await read_into(received, engine, ask())
        if isinstance(caught.value, Overloaded):
            assert caught.value.retry_after == 3
        # What arrives in one read with the failure is not worth a chunk.
        assert ("x" * 4 * tokens).startswith(text(received))
