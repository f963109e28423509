"""Whatever a server sends, its calls fail with a short typed error, in bounded time and memory."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.workers.engines.openai.harness import PATIENT, ask, connected, failure, read, scripted
from tests.workers.engines.raw_server import DONE, HEAD, Exchange, event, raw_server, respond
from tests.workers.hostile_engines import call
from tests.workers.pool.harness import chunks
from tests.workers.turning import turning
from workers.calls import Sampling
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.timeouts import Timeouts
from workers.engines.vllm.engine import VLLMEngine
from workers.errors import (
    AccessRefused,
    CallRejected,
    EngineFailed,
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    ModelUnavailable,
    ProcessExhausted,
    WorkerError,
)
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool

KEY = "a-secret-key-of-24-bytes"
SHORT = Timeouts(connect=30, first_token=1.0, between_tokens=1.0, total=60)
MEGABYTE = b"x" * (1 << 20)
BOMB = gzip.compress(b"\0" * (50 << 20))


def flooding(start: bytes, piece: bytes, times: int = 2_000) -> Callable[[Exchange], Awaitable[None]]:
    """Send a piece again and again, as long as anybody listens."""

    async def flood(exchange: Exchange) -> None:
        with suppress(ConnectionError):
            await exchange.send(start)
            for _ in range(times):
                await exchange.send(piece)

    return flood


async def answers_never(exchange: Exchange) -> None:
    await exchange.hung_up.wait()


async def continues_for_ever(exchange: Exchange) -> None:
    with suppress(ConnectionError):
        while not exchange.hung_up.is_set():
            await exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.01)


async def comments_for_ever(exchange: Exchange) -> None:
    with suppress(ConnectionError):
        await exchange.send(HEAD + event("he"))
        while not exchange.hung_up.is_set():
            await exchange.send(b": still here\n\n")
            await asyncio.sleep(0.01)


async def closes_at_once(exchange: Exchange) -> None:
    pass


async def resets_at_once(exchange: Exchange) -> None:
    exchange.reset()


async def packs(exchange: Exchange) -> None:
    with suppress(ConnectionError):
        await exchange.send(HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + BOMB)


async def leads_elsewhere(exchange: Exchange) -> None:
    await exchange.send(respond("307 X", "", Location="http://me:secret@127.0.0.1:1/v1"))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (flooding(HEAD + b"data: ", MEGABYTE), EngineProtocolError),
        (flooding(HEAD, event("x" * (1 << 20))), EngineProtocolError),
        (flooding(HEAD, event("") * 10_000), EngineProtocolError),
        (flooding(HEAD, b":" + MEGABYTE + b"\n"), EngineProtocolError),
        (flooding(b"HTTP/1.1 200 OK\r\nX: ", MEGABYTE), EngineProtocolError),
        (flooding(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100_000), EngineProtocolError),
        (flooding(MEGABYTE, MEGABYTE), EngineProtocolError),
        (flooding(b"HTTP/1.1 500 X\r\n\r\n", MEGABYTE), EngineFailed),
        (flooding(b"HTTP/1.1 400 X\r\n\r\n", b"[" * 100_000), CallRejected),
        (packs, EngineProtocolError),
        (leads_elsewhere, EngineProtocolError),
        (answers_never, EngineTimeout),
        (continues_for_ever, EngineTimeout),
        (comments_for_ever, EngineTimeout),
        (closes_at_once, EngineFailed),
        (resets_at_once, EngineFailed),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_hostile_server_costs_little(
    script: Callable[[Exchange], Awaitable[None]], error: type[WorkerError]
) -> None:
    timeouts = SHORT if error is EngineTimeout else PATIENT
    async with scripted(script, timeouts=timeouts) as (engine, _):
        await engine.capabilities()
        async with turning():
            caught = await failure(engine, ask(sampling=Sampling(max_tokens=16)))
        assert isinstance(caught, error), caught
        assert len(str(caught)) < 3_000
        assert "secret" not in str(caught)


async def test_a_flood_is_not_kept_in_memory() -> None:
    """One that comes in a single process comes from the same memory, so what the server sends is small."""
    script = flooding(HEAD + b"data: ", MEGABYTE, times=200)
    async with scripted(script) as (engine, _):
        await engine.capabilities()
        tracemalloc.start()
        try:
            await failure(engine, ask())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 50 << 20


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/health"])
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"]
)
async def test_what_a_server_says_of_itself_is_bounded(path: str, head: bytes) -> None:
    gauges = "vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n"
    models = {"data": [{"id": "raw", "owned_by": "vllm"}]}
    async with raw_server() as server:
        whole = head + (BOMB if b"gzip" in head else b"1" * (20 << 20))

        def get(asked: str) -> bytes:
            if asked in (path, path.removeprefix("/v1")):
                return whole
            return respond("200 OK", models if asked.endswith("models") else gauges)

        server.get = get
        engine = VLLMEngine(server.url, timeouts=PATIENT)
        async with turning():
            if path == "/v1/models":
                with pytest.raises(ModelUnavailable, match="list of models cannot be read") as caught:
                    await engine.capabilities()
                assert len(str(caught.value)) < 3_000
            elif path == "/metrics":
                assert await engine.load() is None
            else:
                assert (await engine.health()).ok == (b"gzip" not in head)
        await engine.close()


@pytest.mark.parametrize("status", ["400 X", "401 X", "403 X", "404 X", "429 X", "500 X", "503 X", "200 OK"])
@pytest.mark.parametrize(
    "message", [f"Incorrect API key provided: {KEY}.", f"{KEY[:9]}********", f"Authorization: Bearer {KEY}"]
)
async def test_no_error_shows_the_key(status: str, message: str) -> None:
    async def script(exchange: Exchange) -> None:
        if status == "200 OK":
            await exchange.send(
                HEAD + b"data: " + json.dumps({"error": {"message": message}}).encode() + b"\n\n"
            )
        else:
            await exchange.send(respond(status, {"error": {"message": message}}))

    async with scripted(script, api_key=KEY) as (engine, server):
        await engine.capabilities()
        caught = await failure(engine)
        assert KEY[:9] not in str(caught)
        if isinstance(caught, AccessRefused):
            assert "set ANABRANCH_API_KEY" in str(caught)
        server.get = lambda path: respond(status.replace("200", "500"), {"error": {"message": message}})
        assert KEY[:9] not in (await engine.health()).detail


async def test_neither_snapshots_nor_metrics_show_a_key_or_a_password() -> None:
    async with raw_server() as server:
        server.whole = lambda body: respond(
            "500 X", {"error": {"message": f"{KEY} at http://me:secret@host"}}
        )
        named = server.url.replace("http://", "http://me:secret@")
        for engine, secret in (
            (OpenAIEngine(server.url, api_key=KEY), KEY),
            (OpenAIEngine(named), "me:secret"),
        ):
            pool = Pool([Member(engine, sharing=Sharing.NEVER)])
            with pytest.raises(EngineFailed) as caught:
                await pool.capabilities()
            told = f"{caught.value} {pool.snapshot()} {pool.metrics()} {(await pool.health()).detail}"
            assert "HTTP 500" in told
            assert secret not in told
            await pool.close()
    with pytest.raises(ValueError, match=r"ftp://\*\*\*@host"):
        OpenAIEngine("ftp://me:secret@host")


# Descriptors


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether this process has a descriptor left for another connection."""
    connect = aiohttp.TCPConnector._wrap_create_connection
    empty = False

    async def maybe(self: Any, *args: Any, **options: Any) -> Any:
        if empty:
            error = OSError(errno.EMFILE, "Too many open files")
            raise aiohttp.ClientConnectorError(options["req"].connection_key, error)
        return await connect(self, *args, **options)

    def choose(now: bool) -> None:
        nonlocal empty
        empty = now

    monkeypatch.setattr(aiohttp.TCPConnector, "_wrap_create_connection", maybe)
    return choose


async def hello(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("hello", "stop") + DONE)


async def test_a_process_without_descriptors_blames_no_server(exhausted: Callable[[bool], None]) -> None:
    async with raw_server(hello) as server:
        engine = OpenAIEngine(server.url, name="server")
        async with connected(server.url):
            pool = Pool([Member(engine, sharing=Sharing.NEVER)], attempts=3)
            await pool.capabilities()
            await engine._http.close()  # no connection is kept that could be used
            engine._http._session = None
            exhausted(True)
            with pytest.raises(ProcessExhausted, match="Too many open files") as caught:
                await read(engine)
            assert caught.value.retryable
            health = await engine.health()
            assert health.ok
            assert "Too many open files" in health.detail
            asked = asyncio.create_task(chunks(pool, call()))
            await asyncio.sleep(0.2)
            assert pool.snapshot().replicas[0].state == "up"
            exhausted(False)
            assert (await asked)[-1].finish_reason == "stop"
            assert pool.snapshot().replicas[0].state == "up"
            await pool.close()


async def test_descriptors_really_run_out() -> None:
    """What the operating system and aiohttp make of it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with raw_server(hello) as server, connected(server.url) as engine:
        await engine.capabilities()
        await engine._http.close()
        engine._http._session = None
        held: list[socket.socket] = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            with suppress(OSError):
                while True:
                    held.append(socket.socket())
            caught = await failure(engine)
        finally:
            for one in held:
                one.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(caught, ProcessExhausted)
        assert [chunk.text for chunk in await read(engine)] == ["hello"]


async def test_a_server_that_breaks_off_is_not_taken_for_an_empty_process() -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("he"))
        exchange.reset()

    async with scripted(broken) as (engine, _):
        assert isinstance(await failure(engine), EngineInterrupted)
