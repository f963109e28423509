"""What every store promises about tasks and leases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import IdempotencyConflict, IllegalTransition, LeaseLost, TaskNotFound
from storage.events import Event, EventType
from storage.listing import Place
from storage.store import Store
from storage.tasks import Claim, NewTask, TaskStatus

QUESTION = {"text": "How many clips?", "choices": ["a", "b"]}


async def test_submitted_task_is_queued_and_comes_back_as_given(store: Store) -> None:
    new = NewTask(
        question=QUESTION,
        planner="vote",
        options={"width": 8, "nested": {"x": 1.5}},
        seed=2**62,
        tenant="acme",
    )
    task = await store.submit(new)
    assert task == await store.get(task.id)
    assert task.status is TaskStatus.QUEUED
    assert (task.question, task.options, task.seed, task.tenant) == (QUESTION, new.options, 2**62, "acme")
    assert task.created_at > 1_600_000_000
    assert await store.last_seq(task.id) == -1


async def test_idempotency_key_returns_the_first_task_of_its_tenant(store: Store) -> None:
    new = NewTask(question=QUESTION, planner="vote", idempotency_key="k")
    first = await store.submit(new)
    assert (await store.submit(new)).id == first.id
    other = await store.submit(NewTask(question=QUESTION, planner="vote", idempotency_key="k", tenant="b"))
    assert other.id != first.id
    with pytest.raises(IdempotencyConflict, match=first.id):
        await store.submit(NewTask(question="another", planner="vote", idempotency_key="k"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"question": "another"}, "question"),
        ({"planner": "direct"}, "planner"),
        ({"options": {"n": 2}}, "options"),
        ({"seed": 2}, "seed"),
        ({"parent_id": "other"}, "parent_id"),
        ({"fork_at": "1"}, "fork_at"),
        ({"seed": 2, "fork_at": "1"}, "seed, fork_at"),
    ],
)
async def test_idempotency_key_stands_for_the_whole_request(
    store: Store, changes: dict[str, Any], named: str
) -> None:
    new = NewTask(
        question=QUESTION,
        planner="vote",
        options={"n": 1},
        seed=1,
        parent_id="parent",
        fork_at="0",
        idempotency_key="k",
    )
    first = await store.submit(new)
    assert await store.submit(new) == first
    with pytest.raises(IdempotencyConflict, match=rf"{first.id}, which .* \({named}\)"):
        await store.submit(replace(new, **changes))
    assert await store.list() == (first,)


async def test_a_page_goes_on_where_a_task_is_or_was(store: Store) -> None:
    mine, theirs = [
        await store.submit(NewTask(question="q", planner="vote", tenant=tenant)) for tenant in ("a", "b")
    ]
    assert await store.list(tenant="a", before=Place.of(mine)) == ()
    assert await store.list(tenant="a", before=Place.of(theirs)) == (mine,)
    await store.request_cancel(theirs.id)
    await store.delete(theirs.id)
    assert await store.list(before=Place.of(theirs)) == (mine,)


async def test_idempotency_key_knows_options_in_any_order(store: Store) -> None:
    given = [("n", 3), ("rule", {"a": 1, "b": 2})]
    first = await store.submit(
        NewTask(question="q", planner="vote", options=dict(given), idempotency_key="k")
    )
    given = [("rule", {"b": 2, "a": 1}), ("n", 3)]
    again = await store.submit(
        NewTask(question="q", planner="vote", options=dict(given), idempotency_key="k")
    )
    assert again.id == first.id


async def test_list_pages_from_the_newest(store: Store) -> None:
    ids = [(await store.submit(NewTask(question=i, planner="vote", tenant="ab"[i % 2]))).id for i in range(5)]
    assert [task.id for task in await store.list()] == ids[::-1]
    page = await store.list(limit=2)
    assert [task.id for task in await store.list(limit=2, before=Place.of(page[-1]))] == [ids[2], ids[1]]
    assert [task.question for task in await store.list(tenant="b")] == [3, 1]
    await store.request_cancel(ids[0])
    assert [task.id for task in await store.list(status=TaskStatus.CANCELLED)] == ids[:1]


async def test_claim_takes_the_oldest_once(store: Store) -> None:
    tasks = [await store.submit(NewTask(question=i, planner="vote")) for i in range(2)]
    first = await store.claim("one", 30)
    second = await store.claim("two", 30)
    assert first is not None
    assert second is not None
    assert [first.task.id, second.task.id] == [task.id for task in tasks]
    assert (first.fence, first.task.attempts, first.task.status) == (1, 1, TaskStatus.RUNNING)
    assert first.task.started_at is not None
    assert await store.claim("three", 30) is None


async def test_concurrent_claims_never_share_a_task(store: Store) -> None:
    for i in range(20):
        await store.submit(NewTask(question=i, planner="vote"))
    claims = await asyncio.gather(*(store.claim(f"worker-{i}", 30) for i in range(25)))
    taken = [claim.task.id for claim in claims if claim is not None]
    assert len(taken) == len(set(taken)) == 20


async def test_finish_ends_the_task(store: Store) -> None:
    claim = await store.start(NewTask(question=QUESTION, planner="vote"), "me", 30)
    await store.finish(claim, TaskStatus.SUCCEEDED, outcome="answered", solution={"answer": "72"})
    task = await store.get(claim.task.id)
    assert (task.status, task.outcome, task.solution) == (TaskStatus.SUCCEEDED, "answered", {"answer": "72"})
    assert task.lease_owner is None
    assert task.finished_at is not None
    with pytest.raises(LeaseLost):
        await store.finish(claim, TaskStatus.FAILED)
    with pytest.raises(IllegalTransition):
        await store.claim_task(claim.task.id, "me", 30)


async def test_finish_takes_only_an_end(store: Store) -> None:
    claim = await store.start(NewTask(question=1, planner="vote"), "me", 30)
    with pytest.raises(IllegalTransition, match="queued"):
        await store.finish(claim, TaskStatus.QUEUED)


async def test_lapsed_lease_is_taken_over_and_the_old_owner_is_shut_out(store: Store) -> None:
    old = await store.start(NewTask(question=1, planner="vote"), "old", 30)
    with pytest.raises(IllegalTransition, match="old"):
        await store.claim_task(old.task.id, "new", 30)
    old = await store.heartbeat(replace(old, lease_seconds=0.01))
    await asyncio.sleep(0.03)
    new = await store.claim("new", 30)
    assert new is not None
    assert (new.task.id, new.fence, new.task.attempts) == (old.task.id, 2, 2)
    with pytest.raises(LeaseLost, match="fence 2"):
        await store.heartbeat(old)
    with pytest.raises(LeaseLost):
        await store.release(old)
    with pytest.raises(LeaseLost):
        await store.finish(old, TaskStatus.SUCCEEDED)
    assert (await store.get(old.task.id)).lease_owner == "new"


async def test_heartbeat_keeps_the_lease_and_carries_the_wish_to_cancel(store: Store) -> None:
    claim = await store.start(NewTask(question=1, planner="vote"), "me", 0.1)
    await asyncio.sleep(0.2)
    claim = await store.heartbeat(replace(claim, lease_seconds=30))
    assert not claim.task.cancel_requested
    assert await store.claim("other", 30) is None
    lapse = claim.task.lease_expires_at
    claim = await store.heartbeat(claim)
    assert lapse is not None
    assert claim.task.lease_expires_at is not None
    assert claim.task.lease_expires_at > lapse
    await store.request_cancel(claim.task.id)
    assert (await store.heartbeat(claim)).task.cancel_requested


async def test_release_hands_back_without_counting_the_attempt(store: Store) -> None:
    claim = await store.start(NewTask(question=1, planner="vote"), "me", 30)
    task = await store.release(claim)
    assert (task.status, task.attempts, task.lease_owner) == (TaskStatus.QUEUED, 0, None)
    again = await store.claim("other", 30)
    assert again is not None
    assert again.fence == 2


async def test_task_whose_process_always_dies_becomes_dead_with_the_reason(store: Store) -> None:
    task = await store.submit(NewTask(question=1, planner="vote"))
    for _ in range(2):
        assert await store.claim("crashing", 0.01, max_attempts=2) is not None
        await asyncio.sleep(0.03)
    assert await store.claim("next", 30, max_attempts=2) is None
    dead = await store.get(task.id)
    assert dead.status is TaskStatus.DEAD
    assert dead.error is not None
    assert dead.error["code"] == "attempts_exhausted"
    assert "crashing" in dead.error["message"]


async def test_tasks_with_many_attempts_can_be_left_to_wait(store: Store) -> None:
    suspect = await store.submit(NewTask(question=1, planner="vote"))
    for _ in range(2):
        assert await store.claim("crashing", 0.01) is not None
        await asyncio.sleep(0.03)
    fresh = await store.submit(NewTask(question=2, planner="vote"))
    first = await store.claim("next", 30, below=2)
    assert first is not None
    assert first.task.id == fresh.id
    assert await store.claim("next", 30, below=2) is None
    assert await store.claim("next", 30, below=2, max_attempts=2) is None  # it is given up all the same
    assert (await store.get(suspect.id)).status is TaskStatus.DEAD


async def test_dead_task_is_put_back_with_its_journal_and_all_attempts(store: Store) -> None:
    claim = await store.start(NewTask(question=1, planner="vote"), "crashing", 0.01)
    writer = store.writer(claim.task.id, claim.fence)
    writer.append(Event(0, EventType.RUN_STARTED, "", 0.0, {}))
    await writer.flush()
    with pytest.raises(IllegalTransition, match="is running; only a dead task"):
        await store.requeue(claim.task.id)
    await asyncio.sleep(0.03)
    assert await store.claim("next", 30, max_attempts=1) is None
    queued = await store.requeue(claim.task.id)
    assert (queued.status, queued.attempts, queued.error) == (TaskStatus.QUEUED, 0, None)
    assert await store.requeue(claim.task.id) == queued
    again = await store.claim("next", 30, max_attempts=1)
    assert again is not None
    assert (again.task.id, again.fence) == (claim.task.id, 3)
    assert await store.last_seq(claim.task.id) == 0
    await store.finish(again, TaskStatus.SUCCEEDED)
    with pytest.raises(IllegalTransition, match="is succeeded"):
        await store.requeue(claim.task.id)


async def test_claim_is_valid_for_the_lease_from_before_it_was_asked_for(store: Store) -> None:
    await store.submit(NewTask(question=1, planner="vote"))

    async def asking(work: Awaitable[Claim | None]) -> Claim:
        asked = time.monotonic()
        claim = await work
        assert claim is not None
        assert asked + 30 <= claim.valid_until <= time.monotonic() + 30
        lapse = claim.task.lease_expires_at
        assert lapse is not None
        assert lapse - time.time() > claim.valid_until - time.monotonic() - 0.01
        return claim

    claim = await asking(store.claim("me", 30))
    await asking(store.heartbeat(claim))
    await asking(store.start(NewTask(question=2, planner="vote"), "me", 30))


async def test_cancelling_a_queued_task_ends_it(store: Store) -> None:
    task = await store.submit(NewTask(question=1, planner="vote"))
    cancelled = await store.request_cancel(task.id)
    assert cancelled.status is TaskStatus.CANCELLED
    assert await store.request_cancel(task.id) == cancelled
    assert await store.claim("me", 30) is None


async def test_unknown_task_is_named(store: Store) -> None:
    for call in (store.get, store.request_cancel, store.last_seq, store.requeue):
        with pytest.raises(TaskNotFound, match="nowhere"):
            await call("nowhere")
    with pytest.raises(TaskNotFound, match="nowhere"):
        await store.claim_task("nowhere", "me", 30)
    with pytest.raises(TaskNotFound, match="nowhere"):
        [event async for event in store.read("nowhere")]
