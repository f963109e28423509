"""What computes beside the event loop: the loop goes on, and hostile code and many callers do no harm."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from orchestrator.errors import PlannerError, PlannerStuck, Unavailable
from orchestrator.runtime import interruption
from orchestrator.tasks.hindsight import aside as module
from orchestrator.tasks.hindsight.aside import RUNS, Aside


async def nothing() -> None:
    """What is gathered for work that needs nothing."""


def threads() -> int:
    return sum(thread.name == "aside" for thread in threading.enumerate())


async def started(number: int) -> None:
    for _ in range(1000):
        if threads() >= number:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"there are {threads()} threads")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets the threads of a test end."""
    made = threading.Event()
    yield made
    made.set()


async def test_the_loop_goes_on_while_a_thread_computes(release: threading.Event) -> None:
    working = asyncio.create_task(Aside().call(nothing, lambda _: release.wait(60)))
    for _ in range(3):
        await asyncio.sleep(0)
    release.set()
    assert await working is True


async def test_what_a_thread_raises_is_raised_to_its_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        await Aside().call(nothing, lambda _: 1 / 0)

    async def fails(_: None) -> None:
        raise RecursionError

    with pytest.raises(RecursionError):
        await Aside().run(nothing, fails)


ENDINGS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()]


@pytest.mark.parametrize("error", ENDINGS)
async def test_what_would_end_the_process_is_an_error_of_the_planner(error: BaseException) -> None:
    async def ends(_: None) -> None:
        raise error

    aside = Aside()
    for _ in range(2 * RUNS):  # none of them keeps its place
        with pytest.raises(PlannerError, match=f"planner code raised {type(error).__name__}"):
            await aside.run(nothing, ends)


async def test_a_caller_who_leaves_before_the_run_has_begun_ends_it(release: threading.Event) -> None:
    aside = Aside()

    def checked_for_long(_: None) -> Coroutine[Any, Any, None]:
        release.wait(60)
        return asyncio.sleep(3600)

    leaving = [asyncio.create_task(aside.run(nothing, checked_for_long)) for _ in range(RUNS)]
    await started(RUNS)
    for each in leaving:
        each.cancel()
    await asyncio.wait(leaving)
    release.set()
    assert await asyncio.wait_for(aside.run(nothing, lambda _: asyncio.sleep(0, "done")), 60) == "done"


async def test_many_callers_share_a_few_threads(release: threading.Event) -> None:
    aside = Aside()

    async def waits(_: None) -> None:
        while not release.is_set():
            pass

    callers = [asyncio.create_task(aside.run(nothing, waits)) for _ in range(100)]
    await started(RUNS)
    await asyncio.sleep(0.05)
    assert threads() == RUNS
    release.set()
    await asyncio.gather(*callers)


async def test_nothing_is_gathered_before_there_is_a_place_for_it(release: threading.Event) -> None:
    gathered = 0

    async def gather() -> None:
        nonlocal gathered
        gathered += 1

    aside = Aside()
    callers = [asyncio.create_task(aside.call(gather, lambda _: release.wait(60))) for _ in range(10)]
    await asyncio.sleep(0.05)
    assert gathered == 1
    release.set()
    await asyncio.gather(*callers)
    assert gathered == 10


async def test_a_caller_that_leaves_does_not_wait_but_its_thread_keeps_its_place(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = Aside()
    begun = threading.Event()  # not a count of threads, one of which another test may have left

    def wait(_: Any) -> None:
        begun.set()
        release.wait(60)

    caller = asyncio.create_task(aside.call(nothing, wait))
    async with asyncio.timeout(60):
        while not begun.is_set():  # noqa: ASYNC110 -- another thread sets it
            await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    monkeypatch.setattr(module, "WAITING_SECONDS", 0.05)
    with pytest.raises(Unavailable, match="busy for too long") as raised:
        await aside.call(nothing, lambda _: None)
    assert (raised.value.code, raised.value.http_status, raised.value.retryable) == ("busy", 503, True)
    release.set()
    monkeypatch.undo()
    assert await aside.call(nothing, lambda _: 7) == 7


async def test_a_thread_that_cannot_be_started_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    aside = Aside()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="new thread"):
                await aside.call(nothing, lambda _: None)
    assert await aside.call(nothing, lambda _: 7) == 7
    assert gc.isenabled()


async def test_no_garbage_is_collected_while_a_journal_is_read() -> None:
    assert gc.isenabled()
    assert await Aside().call(nothing, lambda _: gc.isenabled()) is False
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        await Aside().call(nothing, lambda _: 1 / 0)
    assert gc.isenabled()


async def test_code_that_cannot_be_ended_is_left_behind(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[int] = []
    monkeypatch.setattr(interruption, "running", lambda thread: "planner hang, node root")
    monkeypatch.setattr(interruption, "interrupt", struck.append)
    monkeypatch.setattr(module, "ENDING_SECONDS", 0.2)

    async def hangs(_: None) -> None:
        while not release.is_set():
            pass

    aside = Aside(stuck_seconds=0.2)
    with pytest.raises(PlannerStuck, match=r"planner code \(planner hang, node root\) ran for 0.2 s"):
        await aside.run(nothing, hangs)
    assert struck
    assert threads() == 1


async def test_code_that_waits_is_not_stuck() -> None:
    async def waits(_: None) -> int:
        for _turn in range(15):
            await asyncio.sleep(0.1)
        return 7

    assert await Aside(stuck_seconds=1.0).run(nothing, waits) == 7
