"""Listeners of a running task that are slow, or come late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from orchestrator.tasks import feed as feeds
from orchestrator.tasks.feed import PROGRESS_SECONDS, Feed, Progress
from orchestrator.tasks.hold import Hold
from storage.events import Event, EventType
from storage.memory import MemoryStore
from storage.tasks import NewTask

MOST = 10


@pytest.fixture
async def feed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    monkeypatch.setattr(feeds, "AT_HAND", MOST)
    async with MemoryStore() as store:
        claim = await store.start(NewTask(question={"query": "x"}, planner="direct"), "somebody", 60.0)
        made = Feed(Hold(store, claim))
        made.open(store.writer(claim.task.id, claim.fence))
        made.store = store  # type: ignore[attr-defined]
        yield made


def listen(feed: Feed, after: int = -1) -> AsyncGenerator[Event | Progress, None]:
    return feed.listen(feed.store, feed.hold.claim.task.id, after)  # type: ignore[attr-defined]


def event(seq: int) -> Event:
    return Event(seq, EventType.DECISION, "", 1.0, {"by": str(seq)})


async def test_a_slow_listener_takes_bounded_memory_and_misses_nothing(feed: Feed) -> None:
    feed.append(event(0))
    async with aclosing(listen(feed)) as items:
        seen = [await anext(items)]
        for seq in range(1, 500):
            feed.append(event(seq))
            feed.progress(str(seq), 1)
        assert len(feed._events) <= MOST
        feed.end()
        seen += [item async for item in items]
    assert [item.seq for item in seen if isinstance(item, Event)] == list(range(500))


async def test_one_that_overflows_again_and_again_still_comes_to_the_end(feed: Feed) -> None:
    total = 300
    feed.append(event(0))

    async def produce() -> None:
        for seq in range(1, total):
            feed.append(event(seq))
            if seq % 7 == 0:
                await asyncio.sleep(0)
        feed.end()

    seen: list[int] = []
    async with aclosing(listen(feed)) as items, asyncio.TaskGroup() as group:
        group.create_task(produce())
        async for item in items:
            assert isinstance(item, Event)
            seen.append(item.seq)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert seen == list(range(total))


async def test_who_comes_after_the_end_reads_what_is_stored(feed: Feed) -> None:
    feed.append(event(0))
    feed.end()
    async with asyncio.timeout(30):
        assert [item async for item in listen(feed)] == [event(0)]


async def test_only_the_latest_progress_waits(feed: Feed) -> None:
    async with aclosing(listen(feed)) as items:
        first = asyncio.create_task(anext(items))
        await asyncio.sleep(0.01)
        for tokens in range(100):
            feed.progress("0", tokens, lambda: "so far")
        feed.end()
        assert await first == Progress("0", 99, "so far")
        assert [item async for item in items] == []


async def test_progress_alone_wakes_nobody_more_often_than_can_be_read(feed: Feed) -> None:
    loop = asyncio.get_running_loop()
    seen: list[Event | Progress] = []

    async def follow() -> None:
        async with aclosing(listen(feed)) as items:
            async for item in items:
                seen.append(item)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    began = loop.time()
    for tokens in range(100):
        feed.progress("0", tokens)
        await asyncio.sleep(PROGRESS_SECONDS / 30)
    most = (loop.time() - began) / PROGRESS_SECONDS + 1
    assert 1 < len(seen) <= most
    feed.append(event(0))  # nothing that is stored waits for that
    for _ in range(10):
        await asyncio.sleep(0)
    assert event(0) in seen
    feed.progress("0", 100)
    feed.end()
    await following
    assert seen[-1] == Progress("0", 100)


async def test_a_listener_to_what_is_stored_is_told_what_the_store_has_and_nothing_else(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: MemoryStore = feed.store  # type: ignore[attr-defined]
    task, reads = feed.hold.claim.task.id, 0
    read = store.read

    def counted(task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
        nonlocal reads
        reads += 1
        return read(task_id, after=after)

    monkeypatch.setattr(store, "read", counted)
    seen = []

    async def listening() -> None:
        async for item in feed.listen_to_stored(store, task, -1):
            seen.append(item)

    async with asyncio.TaskGroup() as group:
        group.create_task(listening())
        for seq in range(3 * MOST):
            feed.append(event(seq))
            await asyncio.sleep(0)
        await feed.flush()
        await asyncio.sleep(0)
        before = reads
        for tokens in range(50):  # what is only said is nothing to look for
            feed.progress("0", tokens)
            await asyncio.sleep(0)
        assert reads - before <= 1
        feed.end()
    assert seen == [each async for each in read(task)] == [event(seq) for seq in range(3 * MOST)]
