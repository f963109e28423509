"""Those who wait for something to happen to a task."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.tasks.turns import Turns


@pytest.mark.parametrize("steps", range(5))
async def test_who_leaves_as_something_happens_has_left(steps: int) -> None:
    """Otherwise somebody who has gone would follow the task to its end, and keep its calls busy."""
    turns = Turns()
    turn = turns.next_of("a task")
    waiting = asyncio.create_task(turns.wait(turn, 60.0))
    while not turn._waiters:  # noqa: ASYNC110 nobody tells that somebody waits
        await asyncio.sleep(0)
    turns.turn("a task")
    for _ in range(steps):
        await asyncio.sleep(0)
    left = waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled() == left
