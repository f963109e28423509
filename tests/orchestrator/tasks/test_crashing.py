"""A process is killed while it runs a tool with side effects; the next one knows what it may do again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.tasks.solution import Solution
from storage.events import EventType
from storage.opening import open_store
from tests.orchestrator.tasks.crashing import service_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def crashed_and_resumed(folder: Path, planner: str) -> tuple[Solution, list[str]]:
    """What the second process came to, and what the tool has been told by both."""
    database, ledger = f"sqlite:///{folder / 'crash.db'}", folder / "ledger"
    command = [sys.executable, "-m", "tests.orchestrator.tasks.crashing", database, planner, str(ledger)]
    died = await asyncio.to_thread(subprocess.run, command, check=False, timeout=200)
    assert died.returncode == -signal.SIGKILL
    async with await open_store(database) as store:
        (task,) = await store.list()
        service = service_of(store, ledger, deadly=False)
        async with asyncio.timeout(300), service.working():
            _ = [event async for event in service.events(task.id)]
        solution = await service.solution(task.id)
        assert [event.type async for event in store.read(task.id)].count(EventType.RUN_RESUMED) == 1
        assert (await service.replay(task.id)).result.answer is not None
    return solution, ledger.read_text().splitlines()


async def test_a_tool_that_takes_a_key_is_invoked_again_with_it(tmp_path: Path) -> None:
    solution, told = await crashed_and_resumed(tmp_path, "paying")
    assert told == [f"{solution.trace_id}:1"] * 2
    assert solution.answer == told[0]


async def test_a_tool_without_a_key_is_not_invoked_again(tmp_path: Path) -> None:
    solution, told = await crashed_and_resumed(tmp_path, "shouting")
    assert told == ["hello"]
    assert "tool_interrupted" in solution.answer
