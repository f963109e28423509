from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
import structlog

from tests.workers.engines.openai.harness import ask, connected, failure, read, text
from tests.workers.engines.raw_server import DONE, HEAD, Exchange, RawServer, event, raw_server, respond
from workers.calls import Sampling
from workers.engines.openai.parameters import REFUSABLE, refused_parameters, without
from workers.errors import CallRejected, CapabilityMissing

SENT = ("model", "messages", "stream", *sorted(REFUSABLE))


def openai(message: str, **fields: object) -> str:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **fields}})


def pydantic(*where: object, kind: str = "extra_forbidden") -> dict[str, object]:
    echo = {"seed": 1, "max_tokens": 5, "temperature": 0.1}  # pydantic shows what it was given
    return {"type": kind, "loc": ["body", *where], "msg": "Extra inputs are not permitted", "input": echo}


USE_OTHER = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'"
)
ONLY_ONE = "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value"


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (openai("Unrecognized request argument supplied: stream_options", param=None), "stream_options"),
        (openai(f"{USE_OTHER} instead.", param="max_tokens", code="unsupported_parameter"), "max_tokens"),
        (openai(f"{USE_OTHER} instead.", code="invalid_request_body"), "max_tokens"),
        (openai(f"{ONLY_ONE} is supported.", param="temperature", code="unsupported_value"), "temperature"),
        (openai("Unknown parameter: 'stream_options.include_usage'."), "stream_options"),
        (openai("No.", param="stream_options.include_usage", code="unknown_parameter"), "stream_options"),
        (openai("property 'logprobs' is unsupported, did you mean 'top_logprobs'?"), "logprobs"),
        (openai("`logprobs` is not supported with this model"), "logprobs"),
        (openai("invalid temperature: only 1 is allowed for this model"), "temperature"),
        (openai("Only temperature=1 is supported"), "temperature"),
        (openai("`temperature` and `top_p` cannot both be specified for this model"), ""),
        (openai("`top_p` is deprecated for this model."), "top_p"),
        (openai("Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs'."), "both"),
        (
            openai("Your organization must be verified to stream.", param="stream", code="unsupported_value"),
            "stream",
        ),
        (openai("Unsupported value: 'stream' does not support true with this model."), "stream"),
        (openai("The 'stream_options' parameter is only allowed when 'stream' is on."), "stream_options"),
        (json.dumps({"detail": [pydantic("seed")]}), "seed"),
        (json.dumps({"object": "error", "message": {"detail": [pydantic("seed")]}}), "seed"),
        (json.dumps({"object": "error", "message": json.dumps({"detail": [pydantic("seed")]})}), "seed"),
        (
            json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}),
            "seed",
        ),
        (
            json.dumps(
                {
                    "object": "error",
                    "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'cache_salt'), "
                    "'msg': 'Extra inputs are not permitted', 'input': 'x'}]",
                    "code": 400,
                }
            ),
            "cache_salt",
        ),
        (
            "Failed to deserialize the JSON body into the target type: unknown field `seed`, expected one of "
            "`messages`, `max_tokens`, `temperature` at line 1 column 9",
            "seed",
        ),
        (
            openai("litellm.UnsupportedParamsError: m does not support parameters: ['seed'], for model=m. To "
                   "drop these, set `litellm.drop_params=True`, temperature included"),
            "seed",
        ),
        (json.dumps({"error": "Argument not supported on this model: topP"}), "top_p"),
        (json.dumps({"error": {"code": 400, "message": 'Unknown name "seed": Cannot find field.'}}), "seed"),
        (
            openai(
                "Provider returned error",
                code=400,
                metadata={"raw": openai("Unsupported parameter: 'stop'", param="stop")},
            ),
            "stop",
        ),
        ("create_chat_completion() got an unexpected keyword argument 'stream_options'", "stream_options"),
        (openai("property 'body.seed' is unsupported", param="validation_error", code="wrong"), "seed"),
        (json.dumps({"title": "Bad Request", "detail": "Unsupported parameter(s): `seed`"}), "seed"),
        (json.dumps({"message": "invalid input", "details": [pydantic("seed")]}), "seed"),
        (openai('["At body -> seed: Extra inputs are not permitted"]', code=400), "seed"),
        (openai("Extra parameters ['seed'] are not allowed. Set extra-parameters."), "seed"),
        (json.dumps({"issues": [{"keys": ["seed"], "message": "Unrecognized key(s): 'seed'"}]}), "seed"),
        (json.dumps([{"error": {"message": "extraneous key [seed] is not permitted"}}]), "seed"),
        (json.dumps({"detail": [pydantic("structured_outputs")]}), "structured_outputs"),
        ("unknown field `grammar`, expected one of `messages`, `seed` at line 1 column 9", "grammar"),
        (openai("EBNF parser error at line 1, column 9: unexpected rule name in grammar"), ""),
        (openai("Failed to convert the grammar: unexpected character in structured_outputs"), ""),
        (openai("Ungültiger Wert für seed"), "seed"),  # our own value: it goes, whatever is wrong with it
        (openai("Invalid value", param="stream_options"), "stream_options"),
        (json.dumps({"message": "Additional properties are not allowed ('seed' was unexpected)"}), "seed"),
    ],
)  # fmt: skip
def test_a_refused_parameter_is_read_from_what_servers_say(said: str, names: str) -> None:
    expected = {"": set(), "both": {"logprobs", "top_logprobs"}}.get(names, {names})
    assert refused_parameters(400, said.encode(), SENT) == expected


@pytest.mark.parametrize(
    "said",
    [
        openai("This model's maximum context length is 8192 tokens. Your messages and max_tokens need 9000."),
        openai(
            "max_tokens is too large: 100000. This model supports at most 16384 tokens", param="max_tokens"
        ),
        openai(
            "Could not finish the message because max_tokens was reached. Try again with higher max_tokens."
        ),
        openai("You requested max_tokens 5000 but only 4096 are allowed"),
        openai("temperature must be between 0 and 2", param="temperature"),
        openai("Invalid 'stop': array too long. Expected an array with maximum length 4.", param="stop"),
        openai(
            "Invalid schema for response_format 'answer': 'oneOf' is not permitted.", param="response_format"
        ),
        openai("The model `temperature-7b` does not exist"),
        openai("This model does not support images", param="messages"),
        openai("Unsupported parameter: 'audio'", param="audio", code="unsupported_parameter"),
        openai("Unknown parameter: 'seed_of_doubt'"),
        json.dumps({"detail": [pydantic("messages", 0, "name")]}),
        json.dumps({"detail": [pydantic("messages", kind="missing") | {"msg": "Field required"}]}),
        "",
        "[" * 100_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    ],
)
def test_what_is_wrong_with_the_call_itself_is_no_refusal_of_a_parameter(said: str) -> None:
    assert refused_parameters(400, said.encode(), SENT) == frozenset()


@pytest.mark.parametrize(
    ("status", "learns"), [(422, True), (500, True), (403, True), (401, False), (429, False)]
)
def test_only_some_statuses_are_about_the_request(status: int, learns: bool) -> None:
    assert bool(refused_parameters(status, b"unknown field `seed`", SENT)) == learns


def test_a_parameter_that_was_not_sent_is_not_refused() -> None:
    assert not refused_parameters(400, b"unknown field `seed`", ("model", "messages"))


def test_a_request_without_what_was_refused() -> None:
    body = {"model": "m", "max_tokens": 5, "seed": 1}
    assert without(body, {"seed"}) == {"model": "m", "max_tokens": 5}
    assert without(body, {"max_tokens"}) == {"model": "m", "max_completion_tokens": 5, "seed": 1}


def refusing(*names: str, probed: bool = True) -> Any:
    """A server that refuses these parameters one at a time, where ``probed`` from the first probe on."""

    async def script(exchange: Exchange) -> None:
        for name in names:
            if name in exchange.body:
                message = {"error": {"message": f"Unsupported parameter: '{name}'", "param": name}}
                await exchange.send(respond("400 Bad Request", message))
                return
        await exchange.send(HEAD + event("one two ") + event("three four", "stop") + DONE)

    return script


def refuses_whole(server: RawServer, *names: str) -> None:
    default = server._answer

    def whole(body: Mapping[str, Any]) -> bytes:
        for name in names:
            if name in body:
                return respond("400 Bad Request", {"error": {"message": f"Unknown parameter: '{name}'."}})
        server.whole = None
        try:
            return default("", body)
        finally:
            server.whole = whole

    server.whole = whole


FULL = Sampling(seed=3, top_p=0.9, max_tokens=9)


async def test_what_is_refused_is_left_out_at_once_and_for_good() -> None:
    refused = ("stream_options", "seed", "temperature", "top_p", "max_tokens")
    async with raw_server(refusing(*refused)) as server, connected(server.url) as engine:
        await engine.capabilities()
        with structlog.testing.capture_logs() as logs:
            assert text(await read(engine, ask(sampling=FULL))) == "one two three four"
            assert len(server.exchanges) == 6
            assert text(await read(engine, ask(sampling=FULL))) == "one two three four"
        assert len(server.exchanges) == 7
        assert set(server.exchanges[-1].body) == {"model", "messages", "stream", "max_completion_tokens"}
        assert server.exchanges[-1].body["max_completion_tokens"] == 9
    told = [
        (entry["parameter"], entry["instead"]) for entry in logs if entry["action"] == "parameter_refused"
    ]
    assert sorted(name for name, _ in told) == sorted(refused)
    assert ("max_tokens", "max_completion_tokens") in told


REFUSED = {"error": {"message": "Unknown parameter: 'seed'.", "code": 400}}


@pytest.mark.parametrize(
    "refusal",
    [
        respond("200 OK", REFUSED),
        HEAD + b"data: " + json.dumps(REFUSED).encode() + b"\n\n" + DONE,
        HEAD + event("") + b": working\n\nevent: error\ndata: " + json.dumps(REFUSED).encode() + b"\n\n",
        HEAD + b"event: error\ndata: unexpected keyword argument 'seed'\n\n",
    ],
)
async def test_what_is_refused_after_a_status_of_success_is_learnt_too(refusal: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        accepted = HEAD + event("one two ") + event("three four", "stop") + DONE
        await exchange.send(refusal if "seed" in exchange.body else accepted)

    async with raw_server(script) as server, connected(server.url) as engine:
        await engine.capabilities()
        for _ in range(2):
            assert text(await read(engine, ask(sampling=FULL))) == "one two three four"
        assert ["seed" in exchange.body for exchange in server.exchanges] == [True, False, False]


async def test_what_the_probe_is_refused_with_a_status_of_success_is_learnt_too() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model."
    async with raw_server(refusing()) as server, connected(server.url) as engine:
        plain = respond(
            "200 OK", {"choices": [{"message": {"content": "1"}}], "usage": {"prompt_tokens": 70}}
        )
        refused = respond("200 OK", {"error": {"message": said, "param": "max_tokens"}})
        server.whole = lambda body: refused if "max_tokens" in body else plain
        assert text(await read(engine)) == "one two three four"
        assert "max_completion_tokens" in server.exchanges[0].body


async def test_what_did_not_help_in_a_stream_is_not_learnt() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + b"data: " + json.dumps(REFUSED).encode() + b"\n\n" + DONE)

    async with raw_server(script) as server, connected(server.url) as engine:
        await engine.capabilities()
        for _ in range(2):
            assert "Unknown parameter" in str(await failure(engine, ask(sampling=FULL)))
        assert ["seed" in exchange.body for exchange in server.exchanges] == [True, False] * 2


async def test_a_server_that_does_not_stream_answers_whole() -> None:
    async def script(exchange: Exchange) -> None:
        if "stream" in exchange.body:
            said = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
            await exchange.send(respond("400 X", {"error": said | {"code": "unsupported_value"}}))

    async with raw_server(script) as server, connected(server.url) as engine:
        choice = {"message": {"content": "one two"}, "finish_reason": "stop"}
        server.whole = lambda body: respond("200 OK", {"choices": [choice], "usage": {"prompt_tokens": 7}})
        for _ in range(2):
            assert text(await read(engine, ask(sampling=FULL))) == "one two"
        assert len(server.exchanges) == 1


async def test_calls_at_the_same_time_are_told_once() -> None:
    async with raw_server(refusing("stream_options")) as server, connected(server.url) as engine:
        await engine.capabilities()
        with structlog.testing.capture_logs() as logs:
            answers = await asyncio.gather(*(read(engine) for _ in range(20)))
        assert {text(answer) for answer in answers} == {"one two three four"}
        assert [entry["action"] for entry in logs].count("parameter_refused") == 1


async def test_the_probe_learns_too() -> None:
    async with raw_server(refusing("max_tokens", "temperature")) as server, connected(server.url) as engine:
        refuses_whole(server, "max_tokens", "temperature")
        with structlog.testing.capture_logs() as logs:
            assert (await engine.capabilities()).model == "raw"
        assert text(await read(engine)) == "one two three four"
        assert len(server.exchanges) == 1
        assert [entry["action"] for entry in logs].count("parameter_refused") == 2


async def test_a_server_that_refuses_the_same_thing_again_is_not_asked_for_ever() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(respond("400 X", {"error": {"message": "Unsupported: max_tokens, seed, stop"}}))

    async with raw_server(script) as server, connected(server.url) as engine:
        await engine.capabilities()
        error = await failure(engine, ask(sampling=FULL))
        assert isinstance(error, CallRejected)
        assert "Unsupported: max_tokens" in str(error)
        assert len(server.exchanges) == 2
        await failure(engine, ask(sampling=FULL))
        assert len(server.exchanges) == 4, "what did not help was not learnt"


async def test_a_parameter_that_matters_is_not_dropped_in_silence() -> None:
    async with raw_server(refusing("top_logprobs")) as server, connected(server.url) as engine:
        answer = {"message": {"content": "1"}, "logprobs": {"content": [{"token": "1", "logprob": -1.0}]}}
        server.whole = lambda body: respond("200 OK", {"choices": [answer], "usage": {"prompt_tokens": 70}})
        assert (await engine.capabilities()).logprobs
        scored = ask(sampling=Sampling(top_logprobs=3))
        for _ in range(2):
            error = await failure(engine, scored)
            assert isinstance(error, CapabilityMissing)
            assert "raw has no log-probabilities: its server refuses 'top_logprobs'" in str(error)
        assert len(server.exchanges) == 1
        assert not (await engine.capabilities()).logprobs
        assert text(await read(engine)) == "one two three four"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (("three",), "one two "),
        (("o th",), "one tw"),  # it comes in two pieces
        (("four", "two"), "one "),
        (("nowhere", "fourth"), "one two three four"),
    ],
)
async def test_a_text_is_cut_here_where_the_server_takes_no_stop_strings(
    stop: tuple[str, ...], expected: str
) -> None:
    async def script(exchange: Exchange) -> None:
        if "stop" in exchange.body:
            await exchange.send(respond("400 X", {"error": {"message": "Unsupported parameter: 'stop'"}}))
            return
        await exchange.send(HEAD + event("one tw"))
        await asyncio.sleep(0.02)
        await exchange.send(event("o three ") + event("four", "stop") + DONE)

    async with raw_server(script) as server, connected(server.url) as engine:
        chunks = await read(engine, ask(sampling=Sampling(stop=stop)))
        assert text(chunks) == expected
        assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].finish_reason == "stop"
        assert len(server.exchanges) == 2
