"""Verifying many runs: one that is damaged, or whose planner has turned hostile, harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.tasks.hindsight.aside import Aside
from orchestrator.tasks.hindsight.verifying import Verification, verify
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.events import Event
from storage.opening import open_store
from storage.reading import read_journal
from workers.engines.simulator.engine import Simulator


@planner("asks")
async def asks(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


@planner("asks")
async def interrupts(run: Run, question: Question) -> Answer:
    """Look like Ctrl-C."""
    raise KeyboardInterrupt


@planner("asks")
async def exits(run: Run, question: Question) -> Answer:
    """Try to end the process."""
    raise SystemExit(0)


@planner("asks")
async def recurses(run: Run, question: Question) -> Answer:
    """Recurse without end."""
    return _deeper(0)


def _deeper(level: int) -> Answer:
    return _deeper(level + 1)


@planner("asks")
async def loops(run: Run, question: Question) -> Answer:
    """Never end."""
    while True:
        pass


async def recorded() -> list[Event]:
    async with await open_store("memory") as store:
        service = Service(store, Simulator("42"), planners={asks.name: asks})
        solution = await service.solve(parse({"query": "?", "planner": asks.name}))
        return await read_journal(store, solution.trace_id)


async def verified(hostile: Planner, events: Sequence[Event]) -> Verification:
    """What comes of two runs, of which the first meets the hostile planner."""
    planners = iter([hostile, asks])

    async def runs() -> AsyncIterator[tuple[str, Sequence[Event]]]:
        yield "first", events
        yield "second", events

    return await verify(runs(), lambda _: next(planners), aside=Aside(stuck_seconds=2.0))


@pytest.mark.parametrize("hostile", [interrupts, exits, recurses])
async def test_the_next_run_is_verified_all_the_same(hostile: Planner) -> None:
    found = await verified(hostile, await recorded())
    assert (found.identical, list(found.differing)) == (1, ["first"])


async def test_a_planner_that_never_ends_does_not_hold_up_the_next_run() -> None:
    found = await asyncio.wait_for(verified(loops, await recorded()), 60)
    assert found.identical == 1
    assert found.differing["first"].endswith("(planner_stuck)")


async def test_an_error_that_nobody_expects_is_of_that_run_alone() -> None:
    events = await recorded()

    def find(_: str) -> Planner:
        raise ZeroDivisionError

    async def runs() -> AsyncIterator[tuple[str, Sequence[Event]]]:
        yield "empty", []
        yield "odd", [replace(events[0], data={"planner": 5})]
        yield "whole", events

    found = await verify(runs(), find)
    assert found.identical == 0
    assert {task: reason[-11:] for task, reason in found.differing.items()} == {
        "empty": " (conflict)",
        "odd": "al_damaged)",
        "whole": " (internal)",
    }
