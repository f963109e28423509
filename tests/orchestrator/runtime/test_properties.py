"""What holds of any planner code, whatever fails, hangs or is cancelled, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Budget
from storage.events import Event
from tests.orchestrator.runtime.harness import Journal, check, environment, settled_calls
from tests.orchestrator.runtime.programs import CALM, RACY, Step, planner, programs, simulator
from tests.workers.virtual_time import VirtualTimeLoop
from workers.engines.simulator.engine import Simulator

UNBOUNDED = Budget(seconds=None)
"""Without a deadline a run that waits for nothing is a deadlock, which the virtual clock reports."""


def examples(count: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(deadline=None, suppress_health_check=checks, max_examples=count)


budgets = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 400),
    calls=st.none() | st.integers(0, 12),
    depth=st.none() | st.integers(0, 2),
    width=st.none() | st.integers(0, 8),
    seconds=st.none() | st.floats(0.01, 2.0),
)


def on_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work())


async def execute(
    steps: Sequence[Step],
    engine: Simulator | None,
    *,
    record: Sequence[Event] = (),
    budget: Budget = UNBOUNDED,
    interrupt_at: float | None = None,
) -> tuple[Result, list[Event]]:
    """Run a program live, over a record, or (without an engine) strictly over a whole one."""
    world = environment(engine, budget=budget, call_seconds=5.0)
    journal = Journal(len(record))
    executor = Executor(Run, world, journal, record=Record(record), next_seq=len(record))
    if interrupt_at is not None:
        asyncio.get_running_loop().call_later(interrupt_at, executor.interrupt, "cancelled")
    result = await executor.execute(planner(steps), {"planner": "random"})
    if engine is not None:
        assert settled_calls(engine.counters())
    return result, [*record, *journal.events]


@examples(80)
@given(
    programs(RACY), budgets, st.none() | st.floats(0, 1), st.integers(0, 99), st.none() | st.integers(1, 4)
)
def test_every_run_ends_and_replays(
    steps: tuple[Step, ...], budget: Budget, interrupt_at: float | None, seed: int, room: int | None
) -> None:
    async def work() -> None:
        engine = simulator(seed, room=room)
        result, events = await execute(steps, engine, budget=budget, interrupt_at=interrupt_at)
        event(f"{result.outcome} {result.limit}")
        check(events)
        if budget.calls is not None:
            assert engine.counters().started <= result.spent.calls <= budget.calls
        if result.outcome is RunOutcome.CANCELLED:
            assert result.limit == "cancelled"
        replayed, again = await execute(steps, None, record=events, budget=budget)
        assert replayed == result
        assert again == events

    on_virtual_time(work)


@examples(12)
@given(programs(RACY, size=6), st.integers(0, 99))
def test_a_run_can_be_resumed_after_every_event(steps: tuple[Step, ...], seed: int) -> None:
    async def work() -> None:
        _, events = await execute(steps, simulator(seed))
        for length in range(1, len(events) + 1):
            result, whole = await execute(steps, simulator(seed + 1), record=events[:length])
            check(whole)
            assert await execute(steps, None, record=whole) == (result, whole)

    on_virtual_time(work)


@examples(8)
@given(programs(CALM, size=6), st.integers(0, 99))
def test_a_resumed_run_gives_the_same_answer(steps: tuple[Step, ...], seed: int) -> None:
    async def work() -> None:
        result, events = await execute(steps, simulator(seed))
        for length in range(len(events)):
            resumed, _ = await execute(steps, simulator(seed + length), record=events[:length])
            assert (resumed.outcome, resumed.answer) == (result.outcome, result.answer)

    on_virtual_time(work)


@examples(20)
@given(programs(RACY, size=6), budgets, st.integers(0, 99), st.data())
def test_a_run_that_is_interrupted_again_and_again_ends(
    steps: tuple[Step, ...], budget: Budget, seed: int, data: st.DataObject
) -> None:
    """Each process dies at some event; the next goes on from there, under the same budget."""

    async def work() -> None:
        engine = simulator(seed)
        result, events = await execute(steps, engine, budget=budget)
        for _ in range(3):
            events = events[: data.draw(st.integers(1, len(events)))]
            engine = simulator(seed)
            result, events = await execute(steps, engine, record=events, budget=budget)
            if budget.calls is not None:
                assert result.spent.calls <= budget.calls
        check(events)
        assert await execute(steps, None, record=events, budget=replace(budget)) == (result, events)

    on_virtual_time(work)
