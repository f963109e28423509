"""Whatever a tool does, its node ends with a typed failure, and the run goes on and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer, Bounds
from tests.orchestrator.runtime.harness import (
    DONE,
    Body,
    Journal,
    Played,
    Speaker,
    check,
    environment,
    play,
    whole,
)
from tests.workers.tools.hostile import (
    KEPT,
    MOST,
    RAISED,
    RETURNED,
    Hanging,
    tools_that_give,
    tools_that_raise,
)
from tests.workers.turning import turning
from workers.calls import Call
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.tool import Tool


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.contained.GRACE_SECONDS", 0.05)


def using(one: Tool) -> Body:
    async def body(run: Run) -> Answer:
        used, other = run.tool(one), run.generate("hello")
        await used.settled()
        return Answer((await other).text)

    return body


async def kept_of(one: Tool) -> Mapping[str, Any]:
    """What a run with a bound on results keeps of a tool."""
    journal = Journal()
    world = replace(environment(Simulator("ok")), bounds=Bounds(tool_result=MOST))
    result = await Executor(Run, world, journal).execute(using(one), {})
    assert result.outcome is RunOutcome.ANSWERED, result
    check(journal.events)
    return Played(result, journal.events).settled("0")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("error", [error for _, error in RAISED], ids=lambda error: type(error).__name__)
async def test_a_run_goes_on_whatever_its_tool_raises(error: BaseException, is_async: bool) -> None:
    async with turning():
        one = await play(using(tools_that_raise(error)[is_async]))
    assert one.settled("0")["error"]["code"] == "tool_error"
    assert len(one.settled("0")["error"]["message"]) < 2_100


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("told", "make"), RETURNED, ids=range(len(RETURNED)))
async def test_a_run_keeps_no_result_over_its_bound(
    told: str, make: Callable[[], object], is_async: bool
) -> None:
    async with turning():
        settled = await kept_of(tools_that_give(make)[is_async])
    code = "tool_result_too_large" if "more than the" in told else "tool_error"
    assert settled["error"]["code"] == code


@pytest.mark.parametrize(("kept", "make"), KEPT, ids=range(len(KEPT)))
async def test_a_run_keeps_what_has_a_form_in_json(kept: object, make: Callable[[], object]) -> None:
    assert (await kept_of(tools_that_give(make)[0]))["value"] == kept


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
async def test_a_run_that_ends_does_not_wait_for_a_tool_that_hangs(which: int) -> None:
    hanging = Hanging(timeout=1_000)

    async def body(run: Run) -> Answer:
        run.tool(hanging.tools[which])
        await run.tool(begun)
        return DONE

    @tool
    async def begun() -> None:
        """Wait until the other tool hangs."""
        await asyncio.to_thread(hanging.has_begun.wait)

    try:
        async with turning(within=30):
            assert (await play(body)).answer == "done"
    finally:
        hanging.let_go()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
async def test_a_run_that_is_cancelled_does_not_wait_for_a_tool_that_hangs(which: int) -> None:
    """As when its process is drained, or another one has taken the task over."""
    hanging = Hanging(timeout=1_000)
    running = asyncio.create_task(
        Executor(Run, environment(Simulator("ok")), Journal()).execute(using(hanging.tools[which]), {})
    )
    try:
        async with turning(within=30):
            await asyncio.to_thread(hanging.has_begun.wait)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
    finally:
        hanging.let_go()
        await asyncio.sleep(0.02)


async def test_an_engine_that_warms_badly_is_not_asked_again() -> None:
    class Warming(Speaker):
        asked = 0

        async def warm(self, prompt: object, *, tenant: str, role: str) -> bool:
            Warming.asked += 1
            raise KeyboardInterrupt

    async def speak(call: Call):  # type: ignore[no-untyped-def]
        yield whole("ok")

    @tool
    async def slow() -> str:
        """Take a moment."""
        await asyncio.sleep(0.05)
        return "slow"

    async def body(run: Run) -> Answer:
        for _ in range(3):
            await run.generate([user("after " * 100, run.tool(slow))])
        return DONE

    assert (await play(body, Warming(speak))).answer == "done"
    assert Warming.asked == 1
