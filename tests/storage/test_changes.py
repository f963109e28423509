"""What happens to tasks is told to whoever wants to know, in this process and in others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from storage.changes import MOST, Changes
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql import listening, postgres, transactions
from storage.store import Store
from storage.tasks import NewTask, TaskStatus

ANY = "any"
NEW = NewTask(question={"query": "q"}, planner="vote")


@asynccontextmanager
async def told(store: Store) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, None]]]:
    """Waits until an id is told, or that any task may have changed."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    begun = asyncio.Event()

    async def follow() -> None:
        async with aclosing(store.changes()) as changes:  # type: ignore[type-var]
            async for ids in changes:
                begun.set()
                for task_id in (ANY,) if ids is None else ids:
                    heard.put_nowait(task_id)

    async def until(task_id: str) -> None:
        async with asyncio.timeout(60):
            while await heard.get() not in (task_id, ANY):
                pass
        while not heard.empty():
            heard.get_nowait()

    following = asyncio.create_task(follow())
    try:
        await asyncio.wait_for(begun.wait(), 60)
        heard.get_nowait()
        yield until
    finally:
        following.cancel()
        await asyncio.wait([following])


async def change(store: Store, until: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Do everything that is to be told, and wait each time until it is."""
    task = await store.submit(NEW)
    await until(task.id)
    claim = await store.claim_task(task.id, "me", 60.0)
    await until(task.id)
    writer = store.writer(task.id, claim.fence)
    for seq in range(2):
        writer.append(Event(seq, EventType.DECISION, "", 1.0, {}))
        await writer.flush()
        await until(task.id)
    await store.release(claim)
    await until(task.id)
    await store.request_cancel(task.id)
    await until(task.id)
    second = await store.start(NEW, "me", 60.0)
    await until(second.task.id)
    await store.finish(second, TaskStatus.SUCCEEDED)
    await until(second.task.id)


async def test_what_happens_here_is_told(store: Store) -> None:
    async with told(store) as until:
        await change(store, until)


async def test_what_another_process_does_is_told(database_url: str) -> None:
    async with (
        await open_store(database_url) as mine,
        await open_store(database_url) as other,
        told(mine) as until,
    ):
        await change(other, until)


@pytest.mark.postgres
async def test_postgres_tells_without_being_asked(
    new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (listening, postgres):
        monkeypatch.setattr(module, "POLL_SECONDS", 3600.0)
    async with (
        await open_store(new_database_url) as mine,
        await open_store(new_database_url) as other,
        told(mine) as until,
    ):
        await until(ANY)  # once it listens; from then on, each is told by its id
        await change(other, until)
        gone = (await other.list(is_open=False))[0].id
        await other.delete(gone)
        await until(gone)


async def test_who_looks_looks_less_often_while_nothing_happens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async with await open_store(f"sqlite:///{tmp_path / 'test.db'}") as store:
        monkeypatch.setattr(transactions, "asyncio", SimpleNamespace(sleep=slept))
        monkeypatch.setattr(transactions, "SHARE", math.inf)
        async with aclosing(store.changes()) as changes:  # type: ignore[type-var]
            assert await anext(changes) is None
            waiting = asyncio.ensure_future(anext(changes))
            while len(pauses) < 8:
                await sleep(0.001)
            task = await store.submit(NEW)
            assert task.id in (await waiting or ())
    looks = [pause for pause in pauses if pause > 0]
    assert looks[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]


async def test_a_watcher_that_does_not_look_costs_no_more_than_a_set() -> None:
    changes = Changes()
    with changes.watched() as watch:
        for number in range(100):
            changes.tell([str(number % 3)])
        assert await watch.next() == ("0", "1", "2")
        assert await watch.next(0.0) == ()
        for number in range(MOST + 2):
            changes.tell([str(number)])
        assert len(watch._ids) == 0
        assert await watch.next() is None
        changes.tell(["a"])
        assert await watch.next() == ("a",)
