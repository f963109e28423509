"""A request to cancel a task reaches the process that runs it, whichever that is, within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import pytest

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks import cancelling
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.opening import open_store
from storage.store import Store
from storage.tasks import TaskStatus
from tests.storage.conftest import database_url, postgres_server, running_postgres
from workers.engines.simulator.engine import CostModel, Simulator

__all__ = ["database_url", "postgres_server", "running_postgres"]

REQUEST = TaskRequest(query="Anything.", planner="asking")


@planner("asking")
async def asking(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


def service_of(store: Store) -> Service:
    """A service whose heartbeats come too late to tell of a cancellation, and whose calls take minutes."""
    settings = Settings.model_construct(lease_seconds=3600.0, grace_seconds=0.2)
    engine = Simulator("word " * 5_000, cost=CostModel(decode_tokens_per_s=20))
    return Service(store, engine, planners={"asking": asking}, settings=settings)


async def running(service: Service) -> None:
    async with asyncio.timeout(60):
        while not service.engine.snapshot().replicas[0].in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_cancel_reaches_another_process_within_a_second(database_url: str) -> None:
    async with await open_store(database_url) as one, await open_store(database_url) as other:
        service = service_of(one)
        async with service.working():
            task = await service.submit(REQUEST)
            await running(service)
            began = time.monotonic()
            await service_of(other).cancel(task.id)
            async with asyncio.timeout(60):
                while not (await other.get(task.id)).status.terminal:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            took = time.monotonic() - began
        assert (await other.get(task.id)).status is TaskStatus.CANCELLED
        assert took < 5.0  # where nothing else runs, it is less than one
    assert service.health.failed() is None


async def test_a_caller_who_waits_for_a_task_of_its_own_is_told_too(database_url: str) -> None:
    async with await open_store(database_url) as one, await open_store(database_url) as other:
        service = service_of(one)
        claim = await service.start(REQUEST)
        run = asyncio.create_task(service.run(claim))
        await running(service)
        await other.request_cancel(claim.task.id)
        async with asyncio.timeout(60):
            await run
        assert (await other.get(claim.task.id)).status is TaskStatus.CANCELLED


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, asyncio.CancelledError])
async def test_following_requests_goes_on_when_it_fails(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "PAUSE_SECONDS", 0.01)
    async with await open_store("memory") as store:
        follow, times = store.cancellations, 0

        def failing(held: Callable[[], Collection[str]]) -> AsyncIterator[str]:
            nonlocal times
            times += 1
            if times < 3:
                raise raised("on purpose")
            return follow(held)

        monkeypatch.setattr(store, "cancellations", failing)
        service = service_of(store)
        async with service.working():
            task = await service.submit(REQUEST)
            await running(service)
            await store.request_cancel(task.id)
            async with asyncio.timeout(60):
                _ = [event async for event in service.events(task.id)]
            assert service.health.failed() is None
        assert (await store.get(task.id)).status is TaskStatus.CANCELLED


async def test_nobody_follows_requests_when_nothing_runs() -> None:
    async with await open_store("memory") as store:
        service = Service(store, Simulator("42"), planners={"asking": asking})
        await service.solve(REQUEST)
        left: list[Any] = [task for task in asyncio.all_tasks() if task.get_name() == "cancellations"]
        assert left == []


async def test_a_task_that_begins_while_the_last_one_leaves_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaving = asyncio.Event()

    async def slow_to_leave(_: Callable[[], Collection[str]]) -> AsyncIterator[str]:
        try:
            await asyncio.sleep(3600)
            yield ""
        finally:  # a connection is given back
            leaving.set()
            await asyncio.sleep(0.01)

    async with await open_store("memory") as store:
        monkeypatch.setattr(store, "cancellations", slow_to_leave)
        follower = cancelling.Cancelling(store, list, lambda task_id: None)

        async def briefly() -> None:
            async with follower.followed():
                await asyncio.sleep(0)

        first = asyncio.create_task(briefly())
        await leaving.wait()
        async with follower.followed():
            await first
            await asyncio.sleep(0)
            assert follower.failed() is None
