"""What the driving of planner code needs of asyncio, on each version of Python that the tests run on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime import detached
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import play

HERE = (
    f"asyncio of Python {sys.version.split()[0]} does not let other code be sent on as detached.py needs it; "
    "see there, and the chapter 'Extending' of its documentation"
)


class Pause:
    def __await__(self) -> Generator[str, None, None]:
        yield "paused"


def test_asyncio_offers_it() -> None:
    missing = [name for name in ("_enter_task", "_leave_task") if not hasattr(asyncio, name)]
    assert not missing, f"{HERE} (without {', '.join(missing)})"


async def test_code_that_is_sent_on_has_no_task_and_its_sender_has() -> None:
    seen: list[asyncio.Task[object] | None] = []

    async def code() -> str:
        seen.append(asyncio.current_task())
        await Pause()
        seen.append(asyncio.current_task())
        return "done"

    task, coroutine = asyncio.current_task(), code()
    assert detached.call(partial(coroutine.send, None)) == "paused"
    assert asyncio.current_task() is task, HERE
    with pytest.raises(StopIteration, match="done"):
        detached.call(partial(coroutine.send, None))
    assert asyncio.current_task() is task, HERE
    assert seen == [None, None], HERE
    await asyncio.sleep(0)  # the loop goes on as if nothing had been


async def test_what_would_cancel_the_sender_refuses_to_work() -> None:
    async def timed() -> None:
        async with asyncio.timeout(1.0):
            await Pause()

    async def grouped() -> None:
        async with asyncio.TaskGroup():
            await Pause()

    for code in (timed, grouped):
        with pytest.raises(RuntimeError, match="task"):
            detached.call(partial(code().send, None))
    assert asyncio.current_task() is not None, HERE


async def test_an_error_of_the_code_leaves_the_sender_as_it_was() -> None:
    async def failing() -> None:
        raise ValueError("wrong")

    task = asyncio.current_task()
    with pytest.raises(ValueError, match="wrong"):
        detached.call(partial(failing().send, None))
    assert asyncio.current_task() is task, HERE


async def test_planner_code_has_no_task_from_its_first_line_on() -> None:
    """Also where a plain function makes the coroutine, as a decorator does."""
    seen: list[object] = []

    def wrapped(run: Run) -> Coroutine[Any, Any, Answer]:
        seen.append(asyncio.current_task())

        async def code() -> Answer:
            seen.append(asyncio.current_task())
            await run.generate("?")
            return Answer("done")

        return code()

    assert (await play(wrapped, repeat=False)).answer == "done"
    assert seen == [None, None], HERE
