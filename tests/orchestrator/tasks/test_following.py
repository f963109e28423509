"""Tasks are followed in one process while another one runs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from orchestrator.settings import Settings
from orchestrator.tasks import following
from orchestrator.tasks.requests import parse
from orchestrator.tasks.runs import TaskEvent
from orchestrator.tasks.service import Service
from planners.vote import vote
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql import listening, postgres
from storage.store import Store
from storage.tasks import Task
from tests.storage.conftest import database_url, new_database_url, postgres_server, running_postgres
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

__all__ = ["database_url", "new_database_url", "postgres_server", "running_postgres"]


@asynccontextmanager
async def elsewhere(url: str) -> AsyncIterator[None]:
    """Another process works on the queue while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.orchestrator.tasks.elsewhere", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        yield
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def serving(store: Store) -> Service:
    """A service that runs nothing itself."""
    return Service(store, Simulator("?"), toolbox=Toolbox(), planners={"vote": vote}, settings=Settings())


REQUEST = parse({"query": "What is 6 * 7?", "planner": "vote", "options": {"n": 4}})


async def follow_both(url: str) -> None:
    """Follow one task and all tasks, while the task runs elsewhere, and compare with what is stored."""
    async with await open_store(url) as store, elsewhere(url):
        service = serving(store)
        task = await service.submit(REQUEST)
        everything: dict[str, list[int]] = {task.id: []}

        async def all_of_them() -> None:
            async with aclosing(service.runs(tenant=None).told()) as told:
                async for item in told:
                    if isinstance(item, TaskEvent):
                        everything[item.task_id].append(item.event.seq)
                    elif isinstance(item, Task) and item.status.terminal:
                        return

        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            group.create_task(all_of_them())
            seen = [item async for item in service.events(task.id) if isinstance(item, Event)]
        stored = [event async for event in store.read(task.id)]
        assert seen == stored
        assert everything[task.id] == [event.seq for event in stored]
        assert (stored[-1].type, len(stored) > 6) == (EventType.RUN_FINISHED, True)


@pytest.mark.slow
async def test_a_task_that_runs_in_another_process_is_followed(database_url: str) -> None:
    await follow_both(database_url)


@pytest.mark.slow
@pytest.mark.postgres
async def test_postgres_tells_followers_in_other_processes_without_being_asked(
    new_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 3600.0)
    for module in (listening, postgres):
        monkeypatch.setattr(module, "POLL_SECONDS", 3600.0)
    await follow_both(new_database_url)


async def test_one_query_answers_all_who_ask_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with await open_store("memory") as store:
        service = serving(store)
        tasks = [await service.submit(REQUEST) for _ in range(3)]
        asked: list[int] = []
        listed = store.list

        async def counting(**given: object) -> tuple[Task, ...]:
            asked.append(len(given["ids"]))  # type: ignore[arg-type]
            return await listed(**given)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "list", counting)
        found = await asyncio.gather(*(service._lookup.get(task.id) for task in tasks * 50))
        assert [each.id for each in found] == [task.id for task in tasks * 50]
        assert asked == [3]
