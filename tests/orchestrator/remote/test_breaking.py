"""A task that is waited for is found again, whatever happens between its client and the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from anabranch import (
    AsyncClient,
    Event,
    Patience,
    Settings,
    Solution,
    TaskFailed,
    TaskNotFound,
    TaskStatus,
    Unavailable,
)
from storage.tasks import Task
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.remote.proxy import proxy_to
from workers.engines.simulator.engine import CostModel, Simulator

VOTE: dict[str, Any] = {"planner": "vote", "options": {"n": 4, "rule": "fixed"}}
QUICK = Simulator({"clips": {"It is \\boxed{72}": 3, "It is \\boxed{96}": 1}, "": "ok"})
HASTY = Patience(answer=3.0, silence=1.0, away=60.0, absent=30.0)


async def the_task(api: Api, holds: Callable[[Task], bool]) -> Task:
    """The newest task, once it is as it should be."""
    while True:
        for task in await api.service.store.list(limit=1):
            if holds(task):
                return task
        await asyncio.sleep(0.02)


def running(task: Task) -> bool:
    return task.status is TaskStatus.RUNNING


def cancelled(task: Task) -> bool:
    return task.status is TaskStatus.CANCELLED


@pytest.mark.parametrize("how", ["solve", "stream"])
async def test_a_service_that_is_restarted_goes_on_with_the_task(open_api: Open, how: str) -> None:
    async with open_api(slow()) as api, proxy_to(api.port) as proxy:
        client = AsyncClient(url=proxy.url, patience=HASTY)
        solving = asyncio.create_task(asked(client, how))
        task = await the_task(api, running)
    # What a load balancer does: the same address, another process behind it.
    again = open_api(Simulator("Six sevens are \\boxed{42}"))
    async with again as other, proxy_to(other.port, proxy.port):
        solution = await asyncio.wait_for(solving, 100)
        await client.close()
    assert solution.answer == "42"
    assert solution.trace_id == task.id


async def asked(client: AsyncClient, how: str) -> Solution:
    if how == "solve":
        return await client.solve("What is 6 * 7?", planner="direct")
    items = [item async for item in client.stream("What is 6 * 7?", planner="direct")]
    events = [item for item in items if isinstance(item, Event)]
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(items[-1], Solution)
    return items[-1]


async def test_a_stream_that_is_cut_goes_on_where_it_was(open_api: Open) -> None:
    steady = Simulator("word " * 20 + "\\boxed{42}", cost=CostModel(decode_tokens_per_s=100))
    async with (
        open_api(steady) as api,
        proxy_to(api.port) as proxy,
        AsyncClient(url=proxy.url, patience=HASTY) as client,
    ):
        items: list[Any] = []
        async for item in client.stream("How many clips?", **VOTE):
            if isinstance(item, Event) and len(items) in (0, 3, 6):
                proxy.cut()
            if not hasattr(item, "tokens"):
                items.append(item)
        *events, last = items
        assert [event.seq for event in events if isinstance(event, Event)] == list(range(len(events)))
        assert isinstance(last, Solution)
        assert len(await api.service.store.list()) == 1
    asked_again = proxy.heard.count(b"Last-Event-ID: ")
    assert 2 <= asked_again <= 3 + 2, bytes(proxy.heard)


@pytest.mark.parametrize("how", ["solve", "stream"])
async def test_a_connection_that_is_open_on_one_side_only_is_noticed(open_api: Open, how: str) -> None:
    async with (
        open_api(slow()) as api,
        proxy_to(api.port) as proxy,
        AsyncClient(url=proxy.url, patience=HASTY) as client,
    ):
        solving = asyncio.create_task(asked(client, how))
        task = await the_task(api, running)
        before = proxy.connections
        proxy.silent = True
        while proxy.connections < before + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        proxy.silent = False
        await api.service.cancel(task.id)
        with pytest.raises(TaskFailed, match="cancelled"):
            await asyncio.wait_for(solving, 100)


async def test_an_answer_that_is_lost_makes_no_second_task(open_api: Open) -> None:
    async with (
        open_api(QUICK) as api,
        proxy_to(api.port) as proxy,
        AsyncClient(url=proxy.url, patience=HASTY) as client,
    ):
        proxy.silent = True
        solving = asyncio.create_task(client.solve("How many clips?", **VOTE))
        await the_task(api, lambda task: True)
        proxy.silent = False
        proxy.cut()
        solution = await asyncio.wait_for(solving, 100)
        assert [task.id for task in await api.service.store.list()] == [solution.trace_id]
    assert proxy.heard.count(b"POST /v1/tasks HTTP") == 2


@pytest.mark.parametrize("how", ["solve", "stream"])
async def test_who_leaves_cancels_the_task(open_api: Open, how: str) -> None:
    engine = slow()
    async with open_api(engine) as api, AsyncClient(url=f"http://127.0.0.1:{api.port}") as client:
        solving = asyncio.create_task(asked(client, how))
        await the_task(api, running)
        solving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await solving
        task = await the_task(api, cancelled)
        async with aclosing(client.stream("Anything.", planner="direct")) as items:
            await anext(items)
        assert (await the_task(api, lambda each: cancelled(each) and each.id != task.id)).id


async def test_who_leaves_before_it_is_known_that_the_task_is_stored_cancels_it_too(open_api: Open) -> None:
    async with (
        open_api(slow()) as api,
        proxy_to(api.port) as proxy,
        AsyncClient(url=proxy.url, patience=HASTY) as client,
    ):
        proxy.silent = True
        solving = asyncio.create_task(asked(client, "solve"))
        await the_task(api, lambda task: True)
        solving.cancel()
        await asyncio.sleep(0)
        proxy.silent = False
        proxy.cut()
        with pytest.raises(asyncio.CancelledError):
            await solving
        await the_task(api, cancelled)


async def test_a_task_that_was_there_before_is_left_alone(open_api: Open) -> None:
    async with open_api(slow()) as api, AsyncClient(url=f"http://127.0.0.1:{api.port}") as client:
        asking = {"planner": "direct", "idempotency_key": "order-17"}
        first = await client.submit("What is 6 * 7?", **asking)  # type: ignore[arg-type]
        async with aclosing(client.stream("What is 6 * 7?", **asking)) as items:  # type: ignore[arg-type]
            await anext(items)
        assert not (await client.task(first)).cancel_requested
        await client.cancel(first)


@pytest.mark.parametrize("how", ["solve", "stream"])
async def test_closing_a_client_ends_what_goes_on(open_api: Open, how: str) -> None:
    async with open_api(slow()) as api:
        client = AsyncClient(url=f"http://127.0.0.1:{api.port}")
        solving = asyncio.create_task(asked(client, how))
        await the_task(api, running)
        await client.close()
        with pytest.raises(Unavailable) as closed:
            await asyncio.wait_for(solving, 60)
        assert closed.value.code == "client_closed"
        await the_task(api, cancelled)


async def test_a_task_that_is_deleted_is_no_more(open_api: Open) -> None:
    async with open_api(slow()) as api, AsyncClient(url=f"http://127.0.0.1:{api.port}") as client:
        solving = asyncio.create_task(client.solve("What is 6 * 7?", planner="direct"))
        task = await the_task(api, running)
        await api.service.cancel(task.id)
        with pytest.raises(TaskFailed, match="cancelled"):
            await solving
        await client.delete(task.id)
        for asking in (client.task(task.id), client.result(task.id), client.trace(task.id)):
            with pytest.raises(TaskNotFound, match=task.id):
                await asking


async def test_where_no_stream_is_to_be_had_the_task_is_asked_for(open_api: Open) -> None:
    settings = Settings(grace_seconds=0.2, lease_seconds=3600.0, streams=1)
    async with (
        open_api(slow(), settings=settings) as api,
        AsyncClient(url=f"http://127.0.0.1:{api.port}") as client,
        api.session.get("/v1/events") as taken,
    ):
        assert taken.status == 200
        solving = asyncio.create_task(client.solve("What is 6 * 7?", planner="direct"))
        task = await the_task(api, running)
        await api.service.cancel(task.id)
        with pytest.raises(TaskFailed, match="cancelled"):
            await asyncio.wait_for(solving, 60)
