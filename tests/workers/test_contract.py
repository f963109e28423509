from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import structlog

from tests.workers.hostile_engines import LAST, Hostile, call
from workers.calls import Call, Chunk
from workers.contract import most_tokens, stream
from workers.engine import Capabilities


async def read(engine: Hostile, asked: Call) -> list[Chunk]:
    return [chunk async for chunk in stream(engine, asked)]


async def test_chunks_that_keep_to_the_contract_pass_as_they_are() -> None:
    sent = [Chunk("a", 1), Chunk("ä\x00", 2, token_ids=(1, 2)), LAST]

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        for chunk in sent:
            yield chunk

    received = await read(Hostile(speak), call())
    assert all(one is other for one, other in zip(received, sent, strict=True))


async def test_an_engine_may_do_something_after_its_last_chunk() -> None:
    done = asyncio.Event()

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        yield LAST
        await asyncio.sleep(0)
        done.set()

    assert await read(Hostile(speak), call()) == [LAST]
    assert done.is_set()


async def test_a_completion_beyond_its_bound_is_cut_off_and_aborted() -> None:
    aborted = asyncio.Event()

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        try:
            while True:
                yield Chunk("on ", 1)
        finally:
            aborted.set()

    with structlog.testing.capture_logs() as logs:
        received = await read(Hostile(speak), call())
    assert len(received) == most_tokens(call()) + 1
    assert received[-1].finish_reason == "length"
    assert received[-1].usage is not None
    assert received[-1].usage.completion_tokens == len(received)
    assert aborted.is_set()
    assert "it does not stop at max_tokens" in logs[0]["error"]


async def test_a_completion_that_comes_in_single_characters_is_not_cut_off() -> None:
    asked = call()
    assert asked.sampling.max_tokens is not None
    text = "word " * asked.sampling.max_tokens

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        for letter in text:
            yield Chunk(letter, 1)
        yield Chunk("", finish_reason="stop")

    received = await read(Hostile(speak), asked)
    assert "".join(chunk.text for chunk in received) == text
    assert received[-1].finish_reason == "stop"


async def test_a_long_last_chunk_is_not_cut_off() -> None:
    whole = Chunk("long", 1_000, finish_reason="stop")

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        yield whole

    assert await read(Hostile(speak), call()) == [whole]


async def test_an_engine_without_a_name_can_be_told_of() -> None:
    class Nameless(Hostile):
        @property
        def name(self) -> str:
            raise KeyboardInterrupt

        @name.setter
        def name(self, value: str) -> None:
            pass

    async def speak(engine: Hostile, asked: Call) -> AsyncGenerator[Chunk, None]:
        yield LAST

    assert await read(Nameless(speak), call()) == [LAST]
    assert isinstance(await Nameless(speak).capabilities(), Capabilities)
