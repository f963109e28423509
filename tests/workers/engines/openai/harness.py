"""The engine in front of simulators and of servers that follow a script, and one question to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.workers.engines.raw_server import (
    HEAD,
    Exchange,
    RawServer,
    Script,
    raw_server,
)
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engine import Engine
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.timeouts import Timeouts
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving
from workers.errors import (
    WorkerError,
)

CHUNKED = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
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


async def until_idle(simulator: Simulator) -> float:
    """Seconds until the engine runs nothing."""
    began = time.perf_counter()
    while simulator.counters().in_flight:  # noqa: ASYNC110 - the simulator is observed from outside
        await asyncio.sleep(0.001)
    return time.perf_counter() - began


def sending(data: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.send(data)

    return script
