"""What follows a finished completion neither fails it nor holds it up."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.workers.engines.openai.harness import CHUNKED, read, scripted
from tests.workers.engines.raw_server import DONE, HEAD, USAGE, Exchange, Script, event
from workers.calls import Usage


async def hangs(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("42", "stop"))
    await exchange.hung_up.wait()


async def resets(exchange: Exchange) -> None:
    await exchange.send(CHUNKED + b"%x\r\n%s\r\n" % (len(event("42", "stop")), event("42", "stop")))
    await asyncio.sleep(0.02)
    exchange.reset()


async def floods(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("42", "stop"))
    with suppress(ConnectionError):
        while not exchange.hung_up.is_set():
            await exchange.send(b"x" * (1 << 20))


async def talks_on(exchange: Exchange) -> None:
    await exchange.send(HEAD + event("42", "stop", USAGE))
    with suppress(ConnectionError):
        while not exchange.hung_up.is_set():
            await exchange.send(event("and"))


@pytest.mark.parametrize("script", [hangs, resets, floods, talks_on])
async def test_a_finished_answer_stands_if_the_server(script: Script) -> None:
    async with scripted(script) as (engine, _):
        async with asyncio.timeout(30):
            chunks = await read(engine)
    assert ("".join(chunk.text for chunk in chunks), chunks[-1].finish_reason) == ("42", "stop")


async def test_usage_that_comes_late_is_waited_for() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("42", "stop"))
        await asyncio.sleep(0.7)
        await exchange.send(event(usage=USAGE) + DONE)

    async with scripted(script) as (engine, _):
        assert (await read(engine))[-1].usage == Usage(7, 4, 2)
