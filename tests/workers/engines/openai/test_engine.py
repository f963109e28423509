from __future__ import annotations

import asyncio

import pytest

from tests.workers.engines.openai.harness import (
    answers,
    ask,
    connected,
    read,
    read_into,
    scripted,
    simulated,
    text,
    until_idle,
)
from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    Exchange,
    event,
    raw_server,
    respond,
)
from workers.calls import Chunk, Usage
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.engines.simulator.server import serving
from workers.errors import (
    EngineInterrupted,
    EngineUnavailable,
)


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
        assert health.ok  # it works, though not for us: calls will say so
        assert "HTTP 401" in health.detail


@pytest.mark.parametrize("status", ["404 X", "405 X", "401 X", "403 X"])
async def test_a_server_that_was_understood_need_not_show_its_health_or_its_models(status: str) -> None:
    async with raw_server() as server, connected(server.url, model="m") as engine:
        server.get = lambda _: respond(status, {"error": {"message": "nothing to see here"}})
        assert (await engine.health()).ok == (status in ("401 X", "403 X"))  # calls will say who is refused
        await engine.capabilities()
        assert (await engine.health()).ok
        server.get = lambda _: respond("500 X", {"error": {"message": "broken"}})
        assert not (await engine.health()).ok


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
