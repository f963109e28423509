from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from tests.workers.engines.openai.harness import (
    PATIENT,
    ask,
    connected,
    failure,
    scripted,
    text,
)
from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    Exchange,
    Script,
    event,
    raw_server,
)
from workers.calls import Chunk
from workers.engines.openai.timeouts import Timeouts
from workers.errors import (
    EngineTimeout,
)


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
