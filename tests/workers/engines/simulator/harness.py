"""Calls to a simulator, and what it answers."""

from __future__ import annotations

from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engine import Engine


def ask(
    question: str = "What is 6 times 9?",
    *,
    system: str = "",
    prefill: str = "",
    priority: float = 0.0,
    tenant: str = "default",
    sampling: Sampling | None = None,
) -> Call:
    segments = [Segment("user", question)]
    if system:
        segments.insert(0, Segment("system", system))
    if prefill:
        segments.append(Segment("assistant", prefill))
    return Call(Prompt(tuple(segments)), sampling or Sampling(), priority=priority, tenant=tenant)


async def read(engine: Engine, call: Call) -> list[Chunk]:
    received: list[Chunk] = []
    await read_into(received, engine, call)
    return received


async def read_into(received: list[Chunk], engine: Engine, call: Call) -> None:
    async for chunk in engine.generate(call):
        received.append(chunk)


async def say(engine: Engine, call: Call) -> str:
    return "".join(chunk.text for chunk in await read(engine, call))


async def cached(engine: Engine, call: Call) -> int:
    usage = (await read(engine, call))[-1].usage
    assert usage is not None
    return usage.cached_tokens
