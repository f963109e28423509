"""Whatever an engine does, the call of a run ends with a typed result in bounded time."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer
from storage.events import EventType
from tests.orchestrator.runtime.harness import DONE, play
from tests.workers.hostile_engines import ENGINES, MAX_TOKENS, Hostile, call
from tests.workers.turning import turning
from tests.workers.virtual_time import virtual_time
from workers.contract import most_tokens
from workers.tools.declaration import tool


@tool
async def wait() -> None:
    """Wait for a second."""
    await asyncio.sleep(1)


async def one_call(run: Run) -> Answer:
    completion = await run.generate("hello", max_tokens=MAX_TOKENS)
    return Answer(f"{completion.finish_reason}: {completion.text}")


@pytest.mark.parametrize("name", ENGINES)
@virtual_time
async def test_a_call_ends_whatever_its_engine_does(name: str) -> None:
    code, speak = ENGINES[name]
    engine = Hostile(speak)
    async with turning(within=60, every=0.05):
        played = await play(one_call, engine, call_seconds=20.5)
    engine.free.set()
    await asyncio.sleep(1)
    if code in ("stop", "length"):
        assert played.answer.startswith(f"{code}: ")
        played.answer.encode()
        assert played.settled("0")["usage"]["completion_tokens"] <= most_tokens(call()) + 1
    else:
        assert played.failure.startswith(f"{code}: ")
        assert len(played.failure) < 3_000


@pytest.mark.parametrize(
    "name", ["hangs_and_does_not_listen", "never_closes", "goes_on_after_it_was_cancelled"]
)
@virtual_time
async def test_a_run_that_ends_does_not_wait_for_calls_that_do_not(name: str) -> None:
    async def body(run: Run) -> Answer:
        run.generate("not needed", max_tokens=MAX_TOKENS)
        await run.tool(wait)
        return DONE

    engine = Hostile(ENGINES[name][1])
    async with turning(within=30, every=0.05):
        played = await play(body, engine, call_seconds=1_000.0)
    engine.free.set()
    await asyncio.sleep(1)
    assert played.answer == "done"
    assert EventType.RUN_FINISHED in {event.type for event in played.events}
