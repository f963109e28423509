"""Code that does not yield is ended from another thread, and nothing else in its thread ever is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from orchestrator.errors import Divergence, PlannerStuck
from orchestrator.planning.run import Run
from orchestrator.runtime import interruption
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.interruption import RunEnded, here, interrupt, reachable, running
from orchestrator.runtime.values import Answer
from storage.events import EventType
from tests.orchestrator.runtime.harness import DONE, Journal, check, environment, play, replay, resume
from tests.orchestrator.runtime.hostile_planners import computing_for_ever, merging, rechecking
from workers.engines.simulator.engine import CostModel, Simulator

WHOSE = ("test", "0")


@contextmanager
def interrupting(every: float, thread: int | None = None) -> Iterator[list[bool]]:
    """Interrupt whatever planner code this thread runs, again and again."""
    target, over, told = thread or threading.get_ident(), threading.Event(), list[bool]()

    def insist() -> None:
        while not over.is_set():
            time.sleep(every)
            told.append(interrupt(target))

    other = threading.Thread(target=insist)
    other.start()
    try:
        yield told
    finally:
        over.set()
        other.join()


def spin() -> None:
    while True:
        pass


def spin_whatever_happens() -> None:
    while True:
        with suppress(BaseException):
            spin()


def spin_in_layers() -> None:
    while True:
        try:
            while True:
                with suppress(BaseException):
                    spin_whatever_happens()
        except BaseException:
            pass


@pytest.mark.parametrize("code", [spin, spin_whatever_happens, spin_in_layers])
def test_code_is_ended_however_it_resists(code: Callable[[], None]) -> None:
    with interrupting(0.05), pytest.raises(RunEnded):
        here().run(*WHOSE, code)
    assert running(threading.get_ident()) is None


@pytest.mark.parametrize("wait", [partial(time.sleep, 600), threading.Lock().acquire, threading.Event().wait])
def test_code_that_waits_outside_of_python_is_ended_in_the_main_thread(wait: Callable[[], object]) -> None:
    def waiting() -> None:
        wait()
        wait()  # a lock is free the first time

    with reachable(), interrupting(0.05), pytest.raises(RunEnded):
        here().run(*WHOSE, waiting)


def test_code_that_swallows_the_error_and_returns_has_been_interrupted_all_the_same() -> None:
    def swallowing() -> str:
        with suppress(RunEnded):
            spin()
        return "fine"

    with interrupting(0.005), pytest.raises(RunEnded):
        here().run(*WHOSE, swallowing)
    assert here().run(*WHOSE, lambda: "fine") == "fine"


def test_a_thread_that_runs_no_code_is_left_alone() -> None:
    assert not interrupt(threading.get_ident())
    assert not interrupt(1)
    assert running(1) is None


def test_what_a_thread_runs_can_be_asked() -> None:
    begun, over = threading.Event(), threading.Event()

    def code() -> None:
        begun.set()
        over.wait()

    thread = threading.Thread(target=lambda: here().run("planner 'x' of task 7", "2.1", code))
    thread.start()
    begun.wait()
    told = running(thread.ident or 0)
    over.set()
    thread.join()
    assert told is not None
    assert told.startswith("planner 'x' of task 7, node 2.1, at ")
    assert running(thread.ident or 0) is None


def test_the_error_never_leaves_the_code() -> None:
    """Interrupted at random, thousands of times, while short code begins and ends and calls verbs."""
    code, ended, outside = here(), 0, 0

    def verb() -> None:
        nonlocal outside
        code.pause()
        for _ in range(20):
            outside += 1
        code.resume()

    def short() -> None:
        for _ in range(3):
            verb()

    begun = time.monotonic()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with interrupting(0.0):
            # For a second, and on a machine that gives the other thread no time, until it had enough of it.
            while (spent := time.monotonic() - begun) < 1.0 or (ended <= 10 and spent < 60.0):
                expected = outside
                try:
                    code.run(*WHOSE, short)
                    assert outside == expected + 60
                except RunEnded:
                    ended += 1
                assert (outside - expected) % 20 == 0, "the verb was interrupted"
                for _ in range(50):
                    outside += 20
    finally:
        sys.setswitchinterval(switching)
    assert ended > 10


def test_in_a_verb_the_error_waits() -> None:
    code, steps = here(), list[str]()

    def calling() -> None:
        code.pause()
        assert interrupt(threading.get_ident())
        steps.append("the verb goes on")
        code.resume()
        steps.append("the code does not")

    with pytest.raises(RunEnded):
        code.run(*WHOSE, calling)
    assert steps == ["the verb goes on"]


# Runs whose code is interrupted


@pytest.mark.parametrize(
    "body", [computing_for_ever, rechecking, merging(spin)], ids=["computing", "rechecking", "merging"]
)
async def test_the_next_process_does_not_wait_again(body: Any) -> None:
    journal, world = Journal(), environment(Simulator("ok"))
    with interrupting(0.05):
        result = await Executor(Run, world, journal).execute(body, {"planner": "test"})
    assert result.failure is not None
    assert result.failure.code == "planner_stuck"
    assert "planner code did not yield for " in result.failure.message
    check(journal.events)
    at = next(event.seq for event in journal.events if event.type is EventType.LIMIT_REACHED)
    assert await replay(body, journal.events, world) == result  # and nobody interrupts it
    for length in range(at + 1, len(journal.events)):
        resumed = await resume(body, journal.events[:length], world)
        assert resumed.result.failure == result.failure


async def test_code_that_takes_its_interruption_for_an_error_and_returns_ends_the_same_again() -> None:
    slow = True

    async def body(run: Run) -> Answer:
        with suppress(BaseException):
            run.generate("left open")
            if slow:
                spin()
        return DONE

    journal, world = Journal(), environment(Simulator("ok"))
    with interrupting(0.05):
        result = await Executor(Run, world, journal).execute(body, {"planner": "test"})
    assert result.failure is not None
    slow = False
    assert await replay(body, journal.events, world) == result


async def test_a_process_that_died_while_waiting_for_it_leaves_it_to_the_next_one() -> None:
    journal, world = Journal(), environment(Simulator("ok"))
    with interrupting(0.05):
        await Executor(Run, world, journal).execute(computing_for_ever, {"planner": "test"})
        for length in range(1, 4):
            resumed = await resume(computing_for_ever, journal.events[:length], world)
            assert resumed.result.outcome is RunOutcome.FAILED
            check(resumed.events)


async def test_a_replay_that_is_slower_than_the_run_was_says_so() -> None:
    slow = False

    async def body(run: Run) -> Answer:
        await run.generate("hello")
        if slow:
            spin()
        run.note("more")
        return DONE

    played = await play(body)
    slow = True
    with interrupting(0.05), pytest.raises(PlannerStuck, match="did not yield"):
        await replay(body, played.events, environment(None))


async def test_other_runs_of_the_thread_go_on() -> None:
    async def slow(run: Run) -> Answer:
        for _ in range(3):
            await run.generate("hello")
        return DONE

    async def stuck(run: Run) -> Answer:
        await run.generate("hello")
        spin()
        return DONE

    world = environment(Simulator("ok", cost=CostModel(latency=0.05)))
    other = asyncio.create_task(Executor(Run, world, Journal()).execute(slow, {}))
    with interrupting(0.3):
        result = await Executor(Run, world, Journal()).execute(stuck, {})
    assert result.outcome is RunOutcome.FAILED
    assert (await other).outcome is RunOutcome.ANSWERED


async def test_a_replay_in_another_thread_is_interrupted_there() -> None:
    async def once(run: Run) -> Answer:
        await run.generate("hello")
        return DONE

    async def stuck(run: Run) -> Answer:
        await run.generate("hello")
        spin()
        return DONE

    played = await play(once)
    begun = threading.Event()
    threads: list[int] = []

    def replaying() -> None:
        threads.append(threading.get_ident())
        begun.set()
        with pytest.raises((PlannerStuck, Divergence)):
            asyncio.run(replay(stuck, played.events, environment(None)))

    thread = threading.Thread(target=replaying)
    thread.start()
    await asyncio.to_thread(begun.wait)
    with interrupting(0.02, threads[0]):
        await asyncio.to_thread(thread.join)
    assert interruption.running(threads[0]) is None
