"""Whatever a planner does, its run ends within seconds, in a way that a repeated run ends in, too."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime import interruption, plain
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Bounds, Budget
from storage.events import EventType
from storage.reading import checked
from tests.orchestrator.runtime.harness import Journal, environment, replay
from tests.orchestrator.runtime.hostile_planners import HOSTILE, Hostile
from workers.engines.simulator.engine import Simulator

BUDGET = Budget(calls=50, nodes=500, depth=8)
BOUNDS = Bounds(tool_result=1_000, answer=1_000, value=1_000, label=100)

WORLD = replace(environment(Simulator("ok"), budget=BUDGET), bounds=BOUNDS)


@pytest.fixture(scope="module", autouse=True)
def what_objects_raise_at_their_end() -> Iterator[None]:
    """Python writes it to standard error and goes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda _: None)
        yield
        gc.collect()


@contextmanager
def watched(patience: float) -> Iterator[None]:
    """Interrupt planner code of this thread that keeps the event loop from turning for so many seconds."""
    loop, thread, over = asyncio.get_running_loop(), threading.get_ident(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            turned = threading.Event()
            loop.call_soon_threadsafe(turned.set)
            since = time.monotonic()
            while not turned.wait(0.02) and not over.is_set():
                if time.monotonic() - since > patience:
                    interruption.interrupt(thread)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


@pytest.fixture(autouse=True)
def few_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at a million members takes longer than these tests wait for code."""
    monkeypatch.setattr(plain, "ITEMS", 20_000)


@asynccontextmanager
async def turning() -> AsyncIterator[None]:
    """The event loop never stands still for long while the block runs."""
    longest, over = 0.0, False

    async def turn() -> None:
        nonlocal longest
        while not over:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - began)

    task = asyncio.create_task(turn())
    await asyncio.sleep(0)
    yield
    over = True
    await task
    assert longest < 15.0


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.timeout(60)
async def test_a_hostile_planner_is_contained(hostile: Hostile) -> None:
    journal = Journal()
    stuck = hostile.failure == "planner_stuck"
    async with turning():
        with watched(0.2 if stuck else 20.0):
            result = await Executor(Run, WORLD, journal).execute(hostile.body, {"planner": "test"})
            events = list(checked("hostile", journal.events))
            for event in events:
                str(event.data).encode()  # an API sends it as UTF-8
            assert await replay(hostile.body, events, WORLD) == result
    assert events[-1].type is EventType.RUN_FINISHED
    if hostile.failure:
        assert result.failure is not None
        assert result.failure.code == hostile.failure
        assert result.answer is None
    else:
        assert result.answer is not None, result.failure
        assert result.answer.text == hostile.answer
