"""One task is removed with all that belongs to it alone, or not at all."""

from __future__ import annotations

import pytest

from storage.errors import IllegalTransition, TaskNotFound
from storage.events import Event, EventType
from storage.store import Store
from storage.tasks import NewTask, Pruned, TaskStatus

NEW = NewTask(question={"query": "q"}, planner="vote", idempotency_key="k")
SHARED, OWN = "shared " * 30, "own " * 30


async def ended(store: Store, new: NewTask, *texts: str) -> str:
    claim = await store.start(new, "me", 60.0)
    writer = store.writer(claim.task.id, claim.fence)
    for seq, text in enumerate(texts):
        writer.append(Event(seq, EventType.DECISION, "", 1.0, {"text": text}))
    await store.finish(claim, TaskStatus.SUCCEEDED)
    return claim.task.id


async def test_a_task_goes_with_its_journal_and_its_own_texts(store: Store) -> None:
    kept = await ended(store, NewTask(question={"query": "q"}, planner="vote"), SHARED)
    gone = await ended(store, NEW, SHARED, OWN)
    removed = await store.delete(gone)
    assert removed in (Pruned(tasks=1, texts=1), Pruned(tasks=1, texts=0))  # in memory, texts are not shared
    with pytest.raises(TaskNotFound):
        await store.get(gone)
    with pytest.raises(TaskNotFound):
        [event async for event in store.read(gone)]
    with pytest.raises(TaskNotFound):
        await store.delete(gone)
    assert [event.data["text"] async for event in store.read(kept)] == [SHARED]
    assert (await store.submit(NEW)).id != gone  # its key is free


async def test_a_task_that_has_not_ended_stays(store: Store) -> None:
    queued = await store.submit(NEW)
    with pytest.raises(IllegalTransition, match="queued; cancel it"):
        await store.delete(queued.id)
    claim = await store.claim_task(queued.id, "me", 60.0)
    with pytest.raises(IllegalTransition, match="running; cancel it"):
        await store.delete(queued.id)
    await store.finish(claim, TaskStatus.FAILED)
    assert (await store.delete(queued.id)).tasks == 1


async def test_the_parent_of_an_open_fork_stays(store: Store) -> None:
    parent = await ended(store, NEW, SHARED)
    fork = await store.submit(NewTask(question={"query": "q"}, planner="vote", parent_id=parent, fork_at="0"))
    with pytest.raises(IllegalTransition, match="fork that has not ended"):
        await store.delete(parent)
    await store.request_cancel(fork.id)
    assert (await store.delete(parent)).tasks == 1
