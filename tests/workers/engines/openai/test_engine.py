from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
import structlog

from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    USAGE,
    Exchange,
    RawServer,
    Script,
    event,
    raw_server,
    respond,
)
from workers.calls import Call, Chunk, Logprob, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities, Engine
from workers.engines.openai.dialect import Dialect
from workers.engines.openai.engine import OpenAIEngine, Timeouts
from workers.engines.openai.stream import LINE_LIMIT
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.engines.simulator.server import serving
from workers.errors import (
    AccessRefused,
    CallRejected,
    CapabilityMissing,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    EngineUnavailable,
    ModelUnavailable,
    Overloaded,
    WorkerError,
)
from workers.pool.pool import Pool
from workers.pool.replica import Member, Sharing

CHUNKED = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")

LONG = b"x" * (LINE_LIMIT + 1)

PATIENT = Timeouts(connect=60, first_token=60, between_tokens=60, total=60)


def ask(text: str = "What is 6 times 9?", *, prefill: str = "", **fields: Any) -> Call:
    segments = [Segment("system", "Be "), Segment("system", "brief."), Segment("user", text)]
    if prefill:
        segments.append(Segment("assistant", prefill))
    return Call(Prompt(tuple(segments)), **fields)


def asked(call: Call) -> bool:
    """Whether a call is one of this file's, not a probe."""
    return "6 times 9" in call.prompt.messages()[-1]["content"]


def answers(text: str) -> dict[str, str]:
    """For a simulator: ``text`` to the calls of this file, next to nothing to a probe."""
    return {"6 times 9": text, "": "."}


async def read(engine: Engine, call: Call | None = None) -> list[Chunk]:
    received: list[Chunk] = []
    await read_into(received, engine, call or ask())
    return received


async def read_into(received: list[Chunk], engine: Engine, call: Call) -> None:
    async for chunk in engine.generate(call):
        received.append(chunk)


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


@asynccontextmanager
async def simulated(simulator: Simulator, **options: Any) -> AsyncIterator[OpenAIEngine]:
    async with serving(simulator) as url, connected(url, **options) as engine:
        await engine.capabilities()
        simulator.take_counters()
        yield engine


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(url, **options)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def scripted(script: Script, **options: Any) -> AsyncIterator[tuple[OpenAIEngine, RawServer]]:
    async with raw_server(script) as server, connected(server.url, **options) as engine:
        await engine.capabilities()
        yield engine, server


async def failure(engine: Engine, call: Call | None = None) -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        await read(engine, call)
    return caught.value


# --- a call that goes well ------------------------------------------------------------------------------


async def test_a_completion_streams_with_usage_and_cached_tokens() -> None:
    simulator = Simulator("The answer is fifty-four.", cost=CostModel(decode_tokens_per_s=300))
    async with simulated(simulator, name="sim") as engine:
        long = ask("x" * 400)
        chunks = await read(engine, long)
        assert text(chunks) == "The answer is fifty-four."
        assert len(chunks) > 3
        assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert {chunk.worker for chunk in chunks} == {"sim"}
        last = chunks[-1]
        assert last.finish_reason == "stop"
        assert last.usage is not None
        assert last.usage.cached_tokens == 0
        again = (await read(engine, long))[-1].usage
        assert again == Usage(last.usage.prompt_tokens, (last.usage.prompt_tokens - 1) // 16 * 16, 7)


async def test_an_instant_answer_is_one_chunk() -> None:
    async with simulated(Simulator("done")) as engine:
        (chunk,) = await read(engine)
        assert (chunk.text, chunk.tokens, chunk.finish_reason) == ("done", 1, "stop")


async def test_a_finished_call_leaves_its_connection_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.openai.engine._DRAIN", 60.0)
    monkeypatch.setattr("workers.engines.openai.engine._KEEP_ALIVE", 60.0)
    # The end of the response comes a moment after its content, as servers send it in a packet of its own.
    connections = 0
    content = event("hi", "stop") + event(usage=USAGE) + DONE

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.read(65536):
            if b"GET" in head:
                writer.write(respond("200 OK", {"data": [{"id": "m"}]}))
            elif b'"stream": true' in head:
                writer.write(CHUNKED + b"%x\r\n%s\r\n" % (len(content), content))
                await asyncio.sleep(0.02)
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(respond("200 OK", {"usage": {"prompt_tokens": 1}}))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connected(f"http://127.0.0.1:{port}") as engine:
            await engine.capabilities()
            before = connections
            for _ in range(3 * before):
                assert text(await read(engine)) == "hi"
        assert connections == before


async def test_a_connection_that_is_gone_is_replaced_once() -> None:
    async def script(exchange: Exchange) -> None:
        if len(server.exchanges) == 1:
            exchange.reset()
        else:
            await exchange.send(HEAD + event("hi", "stop") + DONE)

    async with scripted(script) as (engine, server):
        assert text(await read(engine)) == "hi"
        assert len(server.exchanges) == 2


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


@pytest.mark.parametrize(
    ("said", "meant"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter", "abort")],
)
async def test_finish_reasons(said: str, meant: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("x", said) + DONE)

    async with scripted(script) as (engine, _):
        assert (await read(engine))[-1].finish_reason == meant


# --- what is sent ---------------------------------------------------------------------------------------


FULL = Capabilities(
    model="m", logprobs=True, guided_json=True, priority=True, cache_salt=True, assistant_prefill=True
)


def test_a_plain_request_holds_nothing_that_was_not_asked_for() -> None:
    body = Dialect(Capabilities(model="m")).request(ask(schema={"type": "object"}, priority=3.0))
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 6 times 9?"},
        ],
        "temperature": 0.7,
        "max_tokens": 1024,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_everything_that_is_asked_for_is_sent_where_the_server_can() -> None:
    sampling = Sampling(temperature=0.2, top_p=0.9, max_tokens=5, stop=("a", "b"), seed=3, top_logprobs=2)
    call = ask(prefill="It is", sampling=sampling, schema={"type": "object"}, priority=1.5, tenant="Ann/e@x")
    body = Dialect(FULL, priority_sign=-1, prefill_flags=True).request(call)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.2, 0.9, 5)
    assert (body["stop"], body["seed"]) == (["a", "b"], 3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["priority"] == -1500
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    salt = body["cache_salt"]
    assert isinstance(salt, str)
    assert salt.isalnum()
    assert salt == Dialect(FULL).request(ask(tenant="Ann/e@x"))["cache_salt"]
    assert salt != Dialect(FULL).request(ask(tenant="Bob"))["cache_salt"]


def test_a_server_that_runs_large_numbers_first_gets_them() -> None:
    assert Dialect(FULL, priority_sign=1).request(ask(priority=0.25))["priority"] == 250


async def test_a_prefill_that_the_server_cannot_continue_is_refused_before_it_is_sent() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        error = await failure(engine, ask(prefill="It is"))
        assert isinstance(error, CapabilityMissing)
        assert "user's segment" in str(error)


async def test_the_key_comes_from_the_argument_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("x", "stop") + DONE)

    monkeypatch.setenv("MY_KEY", "from-environment")
    monkeypatch.delenv("ANABRANCH_API_KEY", raising=False)
    for options, expected in [
        ({"api_key": "given"}, "Authorization: Bearer given\r\n"),
        ({"api_key_env": "MY_KEY"}, "Authorization: Bearer from-environment\r\n"),
        ({}, ""),
    ]:
        async with scripted(script, **options) as (engine, server):
            await read(engine)
            head = server.exchanges[-1].headers
            assert expected in head if expected else "Authorization" not in head


# --- capabilities ---------------------------------------------------------------------------------------


async def test_the_probe_finds_what_the_simulator_can() -> None:
    async with serving(Simulator(model="sim-model", max_model_len=4096)) as url, connected(url) as engine:
        assert await engine.capabilities() == Capabilities(
            model="sim-model",
            max_model_len=4096,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
        )


async def test_a_server_that_ignores_what_it_does_not_know_has_no_capabilities_and_the_log_says_why() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        with structlog.testing.capture_logs() as logs:
            assert await engine.capabilities() == Capabilities(model="raw")
    missing = {entry["capability"] for entry in logs if entry["action"] == "capability_missing"}
    assert missing == {
        "cached_token_usage",
        "logprobs",
        "guided_json",
        "assistant_prefill",
        "cache_salt",
        "priority",
        "token_ids_in",
        "token_ids_out",
    }


def capable(body: Any) -> bytes:
    """A server that can everything, continues a message without flags, counts like SGLang."""
    prompt = 60
    if "continue_final_message" in body:
        return respond("400 Bad Request", {"error": {"message": "unknown field"}})
    if body["messages"][-1]["role"] == "assistant":
        prompt += 1
    if isinstance(body.get("priority", 0), str) or isinstance(body.get("cache_salt", ""), int):
        return respond("422 Unprocessable Entity", {"detail": [{"loc": ["body", "priority"], "msg": "no"}]})
    content = '{"probe": "kiwi"}' if "response_format" in body else "1"
    choice: dict[str, Any] = {"message": {"content": content}}
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "1", "logprob": -0.5, "top_logprobs": []}]}
    cached = 0 if "cache_salt" in body else 48
    usage = {"prompt_tokens": prompt, "prompt_tokens_details": {"cached_tokens": cached}}
    return respond("200 OK", {"choices": [choice], "usage": usage})


async def test_the_probe_finds_everything_where_there_is_everything() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        server.whole = capable
        server.get = lambda _: respond("200 OK", {"data": [{"id": "m", "owned_by": "sglang"}]})
        can = await engine.capabilities()
        assert can == Capabilities(
            model="m",
            logprobs=True,
            guided_json=True,
            priority=True,
            cache_salt=True,
            assistant_prefill=True,
            cached_token_usage=True,
        )


async def test_a_salt_that_does_not_keep_the_cache_apart_does_not_count() -> None:
    def leaky(body: Any) -> bytes:
        if isinstance(body.get("cache_salt"), str):
            return capable({key: body[key] for key in body if key != "cache_salt"})
        return capable(body)

    async with raw_server() as server, connected(server.url) as engine:
        server.whole = leaky
        assert not (await engine.capabilities()).cache_salt


async def test_concurrent_callers_share_one_probe_and_one_that_leaves_does_not_stop_it() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        callers = [asyncio.ensure_future(engine.capabilities()) for _ in range(5)]
        await asyncio.sleep(0)
        callers[0].cancel()
        results = await asyncio.gather(*callers[1:])
        assert {result.model for result in results} == {"raw"}
        assert server.paths.count("/v1/models") == 1
        await engine.capabilities()
        assert server.paths.count("/v1/models") == 1


async def test_a_probe_that_failed_is_made_again() -> None:
    simulator = Simulator()
    async with serving(simulator) as url, connected(url) as engine:
        simulator.kill("power is off")
        with pytest.raises(EngineUnavailable, match="power is off"):
            await engine.capabilities()
        simulator.revive()
        assert (await engine.capabilities()).priority


async def test_the_model_must_be_there() -> None:
    async with serving(Simulator(model="this")) as url:
        async with connected(url, model="that") as engine:
            with pytest.raises(ModelUnavailable, match=r"no model 'that'.*'this'"):
                await engine.capabilities()
        async with connected(url, model="this") as engine:
            assert (await engine.capabilities()).model == "this"


async def test_a_server_without_a_list_of_models_is_taken_at_its_word() -> None:
    async with raw_server() as server:
        server.get = lambda _: respond("404 Not Found", {"error": {"message": "no such path"}})
        async with connected(server.url, model="hidden") as engine:
            assert (await engine.capabilities()).model == "hidden"
        async with connected(server.url) as engine:
            with pytest.raises(ModelUnavailable, match="no such path"):
                await engine.capabilities()
        server.get = lambda _: respond("200 OK", {"data": []})
        async with connected(server.url) as engine:
            with pytest.raises(ModelUnavailable, match="lists no model"):
                await engine.capabilities()


# --- aborting -------------------------------------------------------------------------------------------


async def running(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url.replace("/v1", "/metrics")) as response:
        for line in (await response.text()).splitlines():
            if line.startswith("vllm:num_requests_running "):
                return int(line.split()[1])
    raise AssertionError("no gauge")


async def until_idle(simulator: Simulator) -> float:
    """Seconds until the engine runs nothing."""
    began = time.perf_counter()
    while simulator.counters().in_flight:  # noqa: ASYNC110 - the simulator is observed from outside
        await asyncio.sleep(0.001)
    return time.perf_counter() - began


@pytest.mark.parametrize("when", ["before the first token", "between tokens"])
async def test_leaving_a_call_aborts_it_at_the_server_within_50_ms(when: str) -> None:
    after = 0 if when == "before the first token" else 2
    simulator = Simulator("x" * 400, faults=[Fault(kind="hang", when=asked, after_tokens=after)])
    async with simulated(simulator) as engine, serving(simulator) as url:
        times = []
        for _ in range(20):
            received: list[Chunk] = []
            task = asyncio.create_task(read_into(received, engine, ask()))
            while simulator.counters().in_flight < 1 or len(text(received)) < 4 * after:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert await running(url) == 1
            task.cancel()
            times.append(await until_idle(simulator))
            assert await running(url) == 0
            assert text(received) == "xxxx" * after
            if len(times) >= 5 and min(times) < 0.05:  # of several, as a busy machine may stop us meanwhile
                break
        assert min(times) < 0.05
        assert simulator.counters().aborted == len(times)


async def test_closing_the_stream_aborts_as_well() -> None:
    simulator = Simulator("x" * 400, faults=[Fault(kind="hang", when=asked, after_tokens=2)])
    async with simulated(simulator) as engine:
        async with aclosing(engine.generate(ask())) as stream:
            await anext(stream)
            assert simulator.counters().in_flight == 1
        await asyncio.wait_for(until_idle(simulator), 60)
        assert simulator.counters().aborted == 1


async def test_an_aborted_connection_is_not_used_again() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("x"))
        await exchange.hung_up.wait()

    async with scripted(script) as (engine, server):
        stream = engine.generate(ask())
        await anext(stream)
        await stream.aclose()
        await asyncio.wait_for(server.exchanges[0].hung_up.wait(), 60)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + event("x")], ids=["before the head", "prefill", "decode"])
async def test_a_cancelled_call_hangs_up_within_milliseconds(sent: bytes, pooled: bool) -> None:
    """What the server needs to notice comes on top; for our part 50 ms must be plenty, and 5 ms usual."""
    arrived = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if sent:
            await exchange.send(sent)
        arrived.set()
        await exchange.hung_up.wait()

    async with scripted(script) as (direct, server):
        engine = Pool([Member(direct, sharing=Sharing.NEVER)]) if pooled else direct
        await engine.capabilities()
        for _ in range(10):  # a busy machine may stop us now and then
            seconds = []
            for _ in range(100):
                arrived.clear()
                call = asyncio.ensure_future(read(engine))
                await arrived.wait()
                await asyncio.sleep(0.002)  # for what was sent to be read
                began = time.perf_counter()
                call.cancel()
                await server.exchanges[-1].hung_up.wait()
                seconds.append(time.perf_counter() - began)
                await asyncio.wait([call])
            seconds.sort()
            if seconds[50] < 0.005 and seconds[98] < 0.05:
                break
        await engine.close()
    print(
        f"hung up after {seconds[50] * 1000:.2f} ms (median), {seconds[98] * 1000:.2f} ms (99th percentile)"
    )
    assert seconds[50] < 0.005
    assert seconds[98] < 0.05


async def test_a_hundred_calls_at_once_and_all_cancelled() -> None:
    simulator = Simulator(answers("x" * 4000), cost=CostModel(decode_tokens_per_s=2))
    async with simulated(simulator) as engine:
        tasks = [asyncio.ensure_future(read(engine)) for _ in range(100)]
        while simulator.counters().in_flight < 100:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(until_idle(simulator), 60)  # by themselves they would take 500 s
        assert simulator.counters().aborted == 100


# --- timeouts -------------------------------------------------------------------------------------------


async def hang_before_the_head(exchange: Exchange) -> None:
    await exchange.hung_up.wait()


async def hang_before_the_first_token(exchange: Exchange) -> None:
    await exchange.send(HEAD)
    await exchange.hung_up.wait()


async def hang_between_tokens(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("x"))
    await exchange.hung_up.wait()


async def comment_for_ever(exchange: Exchange) -> None:
    await exchange.send(HEAD)
    while not exchange.hung_up.is_set():
        await exchange.send(b": still working\n\n")
        await asyncio.sleep(0.01)


async def trickle(exchange: Exchange) -> None:
    """A slow loris: a byte now and then of an event that never ends."""
    await exchange.send(HEAD + event("x") + b"data: ")
    while not exchange.hung_up.is_set():
        await exchange.send(b" ")
        await asyncio.sleep(0.01)


async def hang_after_the_last_token(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("x", "stop"))
    await exchange.hung_up.wait()


async def talk_for_ever(exchange: Exchange) -> None:
    await exchange.send(HEAD)
    while not exchange.hung_up.is_set():
        await exchange.send(event("x"))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        (hang_before_the_head, "first token"),
        (hang_before_the_first_token, "first token"),
        (comment_for_ever, "first token"),
        (hang_between_tokens, "between tokens"),
        (trickle, "between tokens"),
        (hang_after_the_last_token, "between tokens"),
        (talk_for_ever, "total"),
    ],
)
async def test_each_phase_has_its_timeout_and_the_server_is_left(script: Script, phase: str) -> None:
    timeouts = replace(PATIENT, **{phase.replace(" ", "_"): 0.15})
    async with raw_server(script) as server:
        async with connected(server.url) as engine:
            dialect = await engine._understand()
        async with connected(server.url, timeouts=timeouts) as engine:
            engine._dialect = dialect  # the probe of a busy machine may take longer
            error = await failure(engine)
            assert isinstance(error, EngineTimeout)
            assert f"0.15 s ({phase})" in str(error)
            await asyncio.wait_for(server.exchanges[0].hung_up.wait(), 60)


async def test_a_server_that_does_not_accept_connections() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # the queue has no room after these, and Linux drops further ones
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        timeouts = replace(PATIENT, connect=1)
        async with connected(f"http://127.0.0.1:{full.getsockname()[1]}", timeouts=timeouts) as engine:
            error = await failure(engine)
    assert isinstance(error, EngineTimeout)
    assert "1 s (connect)" in str(error)


async def test_a_slow_reader_is_not_the_servers_fault() -> None:
    ready = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("x"))
        await ready.wait()
        await exchange.send(event("y", "stop") + DONE)

    async with scripted(script, timeouts=Timeouts(between_tokens=2.0)) as (engine, _):
        received: list[Chunk] = []
        async for chunk in engine.generate(ask()):
            if not received:
                await asyncio.sleep(2.2)  # the time between tokens runs out while nobody waits for one
                asyncio.get_running_loop().call_later(0.05, ready.set)
            received.append(chunk)
        assert text(received) == "xy"


@pytest.mark.parametrize("wrong", [{"connect": 0}, {"total": float("inf")}, {"first_token": -1}])
def test_timeouts_must_be_finite(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"timeout \w+ is"):
        Timeouts(**wrong)


# --- failures -------------------------------------------------------------------------------------------


async def test_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with connected(f"http://127.0.0.1:{unused.getsockname()[1]}") as engine:
            assert isinstance(await failure(engine), EngineUnavailable)
            with pytest.raises(EngineUnavailable):
                await engine.capabilities()


async def test_a_host_without_an_address() -> None:
    async with connected("http://no-such-host.invalid:8000") as engine:
        error = await failure(engine)
        assert isinstance(error, EngineUnavailable)
        assert "no-such-host.invalid" in str(error)


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


async def done_without_finish(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("x") + DONE)


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


def sending(data: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.send(data)

    return script


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (reset_before_the_head, EngineUnavailable, "cannot be reached"),
        (close_before_the_head, EngineUnavailable, "cannot be reached"),
        (reset_mid_stream, EngineInterrupted, "broke off"),
        (end_without_finish, EngineInterrupted, "before the completion was finished"),
        (done_without_finish, EngineInterrupted, "before the completion was finished"),
        (sending(CHUNKED + b"so many bytes\r\n"), EngineProtocolError, "HTTP"),
        (cut_a_chunk_short, EngineInterrupted, "broke off"),
        (fail_mid_stream, EngineInterrupted, "EngineCore died"),
        (finish_with_error, EngineInterrupted, "internal error"),
        (reject_mid_stream, CallRejected, "schema is too deep"),
        (sending(b"\x00\x01\x02 not HTTP at all\r\n\r\n"), EngineProtocolError, "HTTP"),
        (sending(respond("200 OK", "<html>Welcome</html>")), EngineProtocolError, "<html>Welcome</html>"),
        (sending(respond("200 OK", {"choices": []})), EngineProtocolError, "server-sent event"),
        (sending(respond("404 Not Found", "<html>nginx</html>")), EngineProtocolError, "<html>nginx</html>"),
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
        (sending(HEAD + event("x", usage={"prompt_tokens": "many"})), EngineProtocolError, "usage"),
        (sending(HEAD + event("x", usage={"prompt_tokens": -5})), EngineProtocolError, "usage"),
        (
            sending(HEAD + event("x", usage={"prompt_tokens": 5, "completion_tokens": 1 << 31})),
            EngineProtocolError,
            "usage",
        ),
        (sending(HEAD + event("x").replace(b"null", b"7", 1)), EngineProtocolError, "finish_reason"),
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
        (sending(respond("500 X", {"error": {"message": "CUDA"}})), EngineUnavailable, "CUDA"),
        (sending(respond("502 Bad Gateway", "<html>bad gateway</html>")), EngineUnavailable, "bad gateway"),
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


async def test_a_refused_key_names_its_variable_and_never_shows_the_key() -> None:
    refusal = sending(respond("401 Unauthorized", {"error": {"message": "Incorrect key"}}))
    for options, hint in [({"api_key": "s3cret"}, "was refused"), ({}, "is missing")]:
        async with scripted(refusal, api_key_env="ACME_KEY", **options) as (engine, _):
            error = await failure(engine)
            assert isinstance(error, AccessRefused)
            assert f"the key {hint}; set ACME_KEY" in str(error)
            assert "Incorrect key" in str(error)
            assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("in half a minute", 30.0), ("-3", 0.0), ("soon", 1.0)],
)
async def test_retry_after_is_a_number_or_a_date(header: str, seconds: float) -> None:
    began = time.time()
    if header == "in half a minute":
        header = formatdate(began + 30, usegmt=True)
    busy = sending(respond("429 Slow", {"error": {"message": "later"}}, Retry_After=header))
    async with scripted(busy) as (engine, _):
        error = await failure(engine)
        assert isinstance(error, Overloaded)
        late = time.time() - began + 1 if seconds > 20 else 0  # a date tells no fractions
        assert seconds - late <= error.retry_after <= seconds


@pytest.mark.parametrize(
    ("fault", "error", "tokens"),
    [
        (Fault(kind="refuse", when=asked), EngineUnavailable, 0),
        (Fault(kind="reject", when=asked), CallRejected, 0),
        (Fault(kind="overload", seconds=3, when=asked), Overloaded, 0),
        (Fault(kind="reset", when=asked), EngineUnavailable, 0),
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


# --- health, closing, construction ----------------------------------------------------------------------


async def test_health() -> None:
    simulator = Simulator()
    async with serving(simulator) as url, connected(url) as engine:
        assert (await engine.health()).ok
        simulator.kill("power is off")
        health = await engine.health()
        assert not health.ok
        assert "power is off" in health.detail
    assert not (await engine.health()).ok


async def test_health_where_there_is_no_such_path() -> None:
    async with raw_server() as server, connected(server.url) as engine:
        assert (await engine.health()).ok
        assert server.paths == ["/health", "/v1/models"]
        server.get = lambda path: respond(
            "404 X" if path == "/health" else "401 X", {"error": {"message": "who are you"}}
        )
        health = await engine.health()
        assert not health.ok
        assert "who are you" in health.detail


async def test_health_of_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.openai.engine._HEALTH", 0.1)
    simulator = Simulator()
    async with serving(simulator) as url, connected(url) as engine:

        async def hang() -> None:
            await asyncio.sleep(60)

        monkeypatch.setattr(simulator, "health", hang)
        health = await engine.health()
        assert not health.ok
        assert "0.1 s" in health.detail


async def test_a_server_that_hangs_from_the_start_is_found_out_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.openai.engine._LISTING", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with connected(f"http://127.0.0.1:{silent.getsockname()[1]}") as engine:
            with pytest.raises(EngineTimeout, match=r"0\.1 s"):
                await engine.capabilities()


def test_a_user_in_the_address_and_a_key_exclude_each_other() -> None:
    OpenAIEngine("http://me:word@host:8000/v1", api_key="")
    with pytest.raises(ValueError, match="only one of them can be sent"):
        OpenAIEngine("http://me:word@host:8000/v1", api_key="key")


async def test_closing_aborts_what_runs_and_refuses_what_comes() -> None:
    simulator = Simulator(answers("x" * 4000), cost=CostModel(decode_tokens_per_s=10))
    async with simulated(simulator) as engine:
        received: list[Chunk] = []
        reader = asyncio.ensure_future(read_into(received, engine, ask()))
        while not received:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await engine.close()
        await engine.close()
        with pytest.raises(EngineInterrupted):
            await reader
        await asyncio.wait_for(until_idle(simulator), 60)
        assert simulator.counters().aborted == 1
        with pytest.raises(EngineUnavailable, match="closed"):
            await read(engine)


async def test_closing_during_the_probe_fails_those_who_wait() -> None:
    simulator = Simulator(faults=[Fault(kind="hang")])
    async with serving(simulator) as url, connected(url) as engine:
        waiting = [asyncio.ensure_future(engine.capabilities()) for _ in range(2)]
        await asyncio.sleep(0.05)
        await engine.close()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, EngineUnavailable)


@pytest.mark.parametrize("wrong", ["", "localhost:8000", "ftp://host/v1", "http://"])
def test_an_address_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAIEngine(wrong)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/v1/models"),
        ("/", "/v1/models"),
        ("/v1", "/v1/models"),
        ("/v1/", "/v1/models"),
        ("/api", "/api/models"),
    ],
)
async def test_the_path_of_the_address(given: str, path: str) -> None:
    async with raw_server() as server, connected(server.url.removesuffix("/v1") + given) as engine:
        await engine.capabilities()
        assert server.paths[0] == path
