"""Whatever a tool does, its caller gets a typed error in bounded time, and the event loop turns."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

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
from workers.contained import MOST_LEFT
from workers.errors import ToolError, ToolResultTooLarge
from workers.tools.declaration import tool


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.contained.GRACE_SECONDS", 0.05)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("told", "error"), RAISED, ids=[type(error).__name__ for _, error in RAISED])
async def test_whatever_a_tool_raises_is_its_failure(told: str, error: BaseException, is_async: bool) -> None:
    async with turning():
        with pytest.raises(ToolError, match=f"^fail raised {told}") as caught:
            await tools_that_raise(error)[is_async].invoke({})
    assert len(str(caught.value)) < 2_100
    str(caught.value).encode()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("told", "make"), RETURNED, ids=range(len(RETURNED)))
async def test_what_no_run_can_keep_is_the_failure_of_its_tool(
    told: str, make: Callable[[], object], is_async: bool
) -> None:
    async with turning():
        with pytest.raises(ToolError, match=f"^give {told}") as caught:
            await tools_that_give(make)[is_async].invoke({}, most=MOST)
    assert isinstance(caught.value, ToolResultTooLarge) == ("more than the" in told)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("kept", "make"), KEPT, ids=range(len(KEPT)))
async def test_what_has_a_form_in_json_is_kept(
    kept: object, make: Callable[[], object], is_async: bool
) -> None:
    assert await tools_that_give(make)[is_async].invoke({}, most=MOST) == kept


async def test_without_a_bound_only_what_has_no_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.tools.results.MOST_ITEMS", 1_000)
    give, _ = tools_that_give(lambda: "x" * 1_000_000)
    assert len(str(await give.invoke({}))) == 1_000_000
    endless, _ = tools_that_give(lambda: iter(int, 1))
    with pytest.raises(ToolResultTooLarge, match="an iterator with more than 1000 items"):
        await endless.invoke({})


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
async def test_a_tool_that_hangs_is_left_behind(which: int) -> None:
    hanging = Hanging(timeout=0.05)
    try:
        async with turning():
            with structlog.testing.capture_logs() as logs:
                with pytest.raises(ToolError, match=r"^\w+ took more than 0\.05 s$"):
                    await hanging.tools[which].invoke({})
                await asyncio.sleep(0)
        if which:
            (line,) = [line for line in logs if line["event"] == "left_behind"]
            assert line["who"] == "the tool deaf"
    finally:
        hanging.let_go()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
async def test_a_tool_that_always_hangs_is_not_begun_for_ever(which: int) -> None:
    hanging = Hanging(timeout=0.01)
    one = hanging.tools[which]
    try:
        async with turning():
            await asyncio.gather(*(one.invoke({}) for _ in range(MOST_LEFT)), return_exceptions=True)
            assert hanging.begun == MOST_LEFT
            with pytest.raises(ToolError, match=f"{one.name} was not begun: {MOST_LEFT} earlier times"):
                await one.invoke({})
            assert hanging.begun == MOST_LEFT
        hanging.let_go()
        async with asyncio.timeout(60):
            while hanging.begun == MOST_LEFT:  # once they have ended, it is begun again
                await asyncio.sleep(0.01)
                await asyncio.gather(one.invoke({}), return_exceptions=True)
    finally:
        hanging.let_go()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
async def test_a_run_that_is_cancelled_does_not_wait_for_its_tool(which: int) -> None:
    hanging = Hanging(timeout=1_000)
    task = asyncio.create_task(hanging.tools[which].invoke({}))
    try:
        async with turning(within=30):
            await asyncio.to_thread(hanging.has_begun.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    finally:
        hanging.let_go()
        await asyncio.sleep(0.01)


async def test_a_tool_may_clean_up_when_it_is_cancelled() -> None:
    cleaned = asyncio.Event()

    @tool
    async def careful() -> None:
        """Clean up."""
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.001)
            cleaned.set()

    task = asyncio.create_task(careful.invoke({}))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_an_error_of_the_tool_itself_passes_whatever_its_validators_do() -> None:
    from typing import Annotated

    from pydantic import BeforeValidator

    def panic(value: object) -> object:
        raise KeyboardInterrupt

    def check(value: int) -> int:
        """Check."""
        return value

    check.__annotations__ = {"value": Annotated[int, BeforeValidator(panic)]}
    with pytest.raises(ToolError, match="check raised KeyboardInterrupt"):
        await tool(check).invoke({"value": 1})


PROGRAM = """
import asyncio, os, sys, threading
from workers import contained
from workers.errors import ToolError
from workers.tools.declaration import tool

contained.GRACE_SECONDS = 0.05

@tool(timeout=0.05)
async def deaf() -> None:
    "Hang."
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

@tool(timeout=10)
def breed() -> int:
    "Start a process and threads that stay."
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    child = os.fork()
    if child == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def main():
    try:
        await deaf.invoke({})
    except ToolError as error:
        print(error)
    print(await breed.invoke({}))

asyncio.run(main())
"""


def test_what_was_left_behind_does_not_keep_the_process_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "left_behind" not in line]
    assert (lines, done.returncode) == (["deaf took more than 0.05 s", "7"], 0), done.stderr
