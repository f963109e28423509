from __future__ import annotations

import asyncio

import pytest

from tests.workers.engines.openai.harness import (
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
from workers.calls import Logprob, Usage


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
