"""What every store promises about waiting: turns, lines, bounds and deadlines."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from storage import queueing
from storage.errors import DeadlinePassed, DeadlineUnreachable, QueueFull, TenantQueueFull
from storage.keys import Key
from storage.opening import open_store
from storage.queueing import NO_RULES, Rules
from storage.store import Store
from storage.tasks import Claim, NewTask, Priority, Task, TaskStatus

LONG_AGO, FAR_OFF = 1.0, 4e9


def new(tenant: str = "a", priority: Priority = Priority.INTERACTIVE, **given: float) -> NewTask:
    return NewTask(question="q", planner="vote", tenant=tenant, priority=priority, **given)  # type: ignore[arg-type]


async def submitted(
    store: Store, tenant: str, number: int, priority: Priority = Priority.INTERACTIVE
) -> list[str]:
    return [(await store.submit(new(tenant, priority))).id for _ in range(number)]


async def claimed(store: Store, rules: Rules = NO_RULES) -> Task:
    claim = await store.claim("me", 30, rules=rules)
    assert claim is not None
    return claim.task


async def tenants(store: Store, number: int, rules: Rules = NO_RULES) -> str:
    """The tenants of so many claims; their names have one letter."""
    return "".join([(await claimed(store, rules)).tenant for _ in range(number)])


async def lines(store: Store, number: int, rules: Rules = NO_RULES) -> str:
    """The lines of so many claims, by their first letters."""
    return "".join([(await claimed(store, rules)).priority[0] for _ in range(number)])


# -- turns --------------------------------------------------------------------------------------------


async def test_one_task_does_not_wait_for_the_many_of_another_tenant(store: Store) -> None:
    many = await submitted(store, "a", 30)
    await submitted(store, "b", 1)
    assert await tenants(store, 4) == "abaa"
    rest = [(await claimed(store)).id for _ in range(27)]
    assert rest == many[3:]  # its own tasks begin in the order in which they were submitted
    assert await store.claim("me", 30) is None


async def test_turns_are_taken_by_weight(store: Store) -> None:
    for tenant in "abc":
        await submitted(store, tenant, 30)
    rules = Rules(weights={"a": 4.0, "b": 2.0})
    order = await tenants(store, 28, rules)
    for begun in range(7, 29, 7):
        counted = Counter(order[:begun])
        assert [counted[tenant] * 7 // begun for tenant in "abc"] == [4, 2, 1], order


async def test_who_paused_has_saved_up_nothing(store: Store) -> None:
    await submitted(store, "b", 1)
    await submitted(store, "a", 30)
    assert await tenants(store, 10) == "ba" + 8 * "a"
    await submitted(store, "b", 10)
    assert Counter(await tenants(store, 10)) == {"a": 5, "b": 5}


async def test_who_comes_one_by_one_has_no_more_than_its_share(store: Store) -> None:
    """A tenant that always has just one task in the queue is as good as new each time, but is not new."""
    await submitted(store, "a", 40)
    await submitted(store, "b", 1)
    rules, order = Rules(weights={"a": 3.0}), ""
    for _ in range(24):
        order += await tenants(store, 1, rules)
        if order[-1] == "b":
            await submitted(store, "b", 1)
    assert order.count("b") == 6, order


async def test_tenants_who_come_back_again_and_again_starve_nobody(store: Store) -> None:
    await submitted(store, "z", 5)
    for tenant in "abcde":
        await submitted(store, tenant, 1)
    order = ""
    for _ in range(30):
        order += await tenants(store, 1)
        if order[-1] != "z":
            await submitted(store, order[-1], 1)
    assert [order[begun : begun + 6].count("z") for begun in range(0, 30, 6)] == [1] * 5, order


async def test_two_stores_take_turns_together(database_url: str) -> None:
    rules = Rules(weights={"a": 3.0})
    async with await open_store(database_url) as one, await open_store(database_url) as other:
        for tenant in "ab":
            await submitted(one, tenant, 40)
        claims = [store.claim("me", 30, rules=rules) for _ in range(20) for store in (one, other)]
        begun = Counter(claim.task.tenant for claim in await asyncio.gather(*claims) if claim is not None)
    assert begun == {"a": 30, "b": 10}


# -- lines --------------------------------------------------------------------------------------------


async def test_interactive_tasks_begin_before_batch_tasks_that_are_older(store: Store) -> None:
    await submitted(store, "a", 3, priority=Priority.BATCH)
    await submitted(store, "b", 3)
    assert await lines(store, 6) == "iiibbb"


async def test_batch_tasks_have_their_turn_now_and_then(store: Store) -> None:
    await submitted(store, "a", 10)
    assert await lines(store, 3, Rules(batch_every=3)) == "iii"  # nothing was passed over so far
    await submitted(store, "a", 3, priority=Priority.BATCH)
    assert await lines(store, 10, Rules(batch_every=3)) == "iibiibiibi"


async def test_lines_have_turns_of_their_own(store: Store) -> None:
    await submitted(store, "a", 4, priority=Priority.BATCH)
    await submitted(store, "b", 2, priority=Priority.BATCH)
    await submitted(store, "a", 2)
    assert await tenants(store, 8) == "aaabab" + "aa"


async def test_what_has_begun_goes_on_before_anything_begins(store: Store) -> None:
    await submitted(store, "a", 2)
    first, second = [await store.claim("me", 30) for _ in range(2)]
    assert first is not None
    assert second is not None
    await submitted(store, "b", 1)
    await store.heartbeat(replace(second, lease_seconds=0.01))
    await store.release(first)
    await asyncio.sleep(0.03)
    assert [(await claimed(store)).id for _ in range(2)] == [first.task.id, second.task.id]
    assert (await claimed(store)).tenant == "b"


async def test_the_length_of_the_queue_counts_what_has_not_begun(store: Store) -> None:
    await submitted(store, "a", 3)
    await submitted(store, "b", 2, priority=Priority.BATCH)
    claim = await store.claim("me", 30)
    assert claim is not None
    await store.release(claim)
    lengths = await store.waiting()
    assert {priority: dict(line) for priority, line in lengths.items()} == {
        Priority.INTERACTIVE: {"a": 2},
        Priority.BATCH: {"b": 2},
    }


# -- bounds -------------------------------------------------------------------------------------------


async def test_no_more_wait_than_the_rules_allow(store: Store) -> None:
    rules = Rules(most=5, most_of_tenant=3)
    kept = [await store.submit(replace(new("a"), idempotency_key=str(key)), rules) for key in range(3)]
    with pytest.raises(TenantQueueFull, match="3 tasks of tenant 'a' wait to begin, and at most 3") as told:
        await store.submit(new("a", Priority.BATCH), rules)
    assert told.value.retry_after == queueing.USUAL_RETRY  # nothing has run yet
    for _ in range(2):
        await store.submit(new("b"), rules)
    with pytest.raises(QueueFull, match="5 tasks wait to begin, and at most 5 may"):
        await store.submit(new("c"), rules)
    again = replace(new("a"), idempotency_key="1")
    assert await store.submit(again, rules) == kept[1]  # it is there already
    assert len(await store.list()) == 5
    await store.start(new("c"), "me", 30)  # it does not wait
    await store.request_cancel(kept[0].id)
    await store.submit(new("a"), rules)
    await claimed(store)
    await store.submit(new("c"), rules)


async def test_no_two_processes_fill_the_last_place(database_url: str) -> None:
    rules = Rules(most=50, most_of_tenant=20)
    async with await open_store(database_url) as one, await open_store(database_url) as other:
        done = await asyncio.gather(
            *(
                store.submit(new(tenant), rules)
                for _ in range(20)
                for store in (one, other)
                for tenant in "abc"
            ),
            return_exceptions=True,
        )
        stored = Counter(task.tenant for task in done if isinstance(task, Task))
        refused = [error for error in done if isinstance(error, QueueFull)]
        assert sum(stored.values()) + len(refused) == 120
        assert sum(stored.values()) == 50
        assert max(stored.values()) <= 20
        assert len(await one.list(limit=200)) == 50


# -- deadlines ----------------------------------------------------------------------------------------


async def test_a_deadline_is_kept_as_a_time(store: Store) -> None:
    before = time.time()
    task = await store.submit(new(within=100.0))
    assert task.deadline is not None
    assert before + 99 < task.deadline < time.time() + 101
    assert (await store.submit(new(deadline=FAR_OFF))).deadline == FAR_OFF
    assert (await store.submit(new())).deadline is None


async def test_a_task_whose_deadline_passed_in_the_queue_is_not_run(store: Store) -> None:
    late = [await store.submit(new(within=0.01)) for _ in range(3)]
    kept = await store.submit(new(within=3600.0))
    begun = await store.submit(new("b"))
    await asyncio.sleep(0.05)
    assert (await claimed(store)).id == kept.id
    assert set(await store.expire()) == {task.id for task in late}  # whether by the claim or by this
    for task in late:
        found = await store.get(task.id)
        assert (found.status, found.outcome) == (TaskStatus.FAILED, "expired")
        assert found.error is not None
        assert found.error["code"] == "deadline_exceeded"
        assert found.finished_at is not None
        assert found.started_at is None
    assert (await claimed(store)).id == begun.id


async def test_expiring_tells_which_tasks_it_has_ended(store: Store) -> None:
    late = [(await store.submit(new(within=0.01))).id for _ in range(2)]
    await store.submit(new())
    cancelled = await store.submit(new(within=0.01))
    await store.request_cancel(cancelled.id)
    await asyncio.sleep(0.03)
    assert sorted(await store.expire()) == sorted(late)
    assert not await store.expire()
    assert (await store.get(cancelled.id)).status is TaskStatus.CANCELLED


async def test_a_task_that_has_begun_does_not_expire(store: Store) -> None:
    claim = await store.start(new(within=0.2), "me", 30)
    await store.release(claim)
    await asyncio.sleep(0.25)
    assert not await store.expire()
    assert (await claimed(store)).id == claim.task.id


async def test_a_task_that_is_put_back_has_no_deadline_any_more(store: Store) -> None:
    claim = await store.start(new(within=0.05), "crashing", 0.01)
    await asyncio.sleep(0.1)
    assert await store.claim("me", 30, max_attempts=1) is None
    assert (await store.requeue(claim.task.id)).deadline is None
    assert (await claimed(store)).id == claim.task.id


async def test_a_task_that_is_put_back_outlives_the_deadline_that_it_had(store: Store) -> None:
    task = await store.submit(new(within=2.0))
    assert await store.claim("me", 0.001) is not None
    await asyncio.sleep(0.01)
    assert await store.claim("another", 30, max_attempts=1) is None
    assert (await store.requeue(task.id)).deadline is None
    await asyncio.sleep(max(0.0, (task.deadline or 0.0) - time.time() + 0.1))
    assert await store.expire() == []
    assert (await claimed(store)).id == task.id


async def test_a_deadline_that_has_passed_is_refused_unless_the_task_is_there(store: Store) -> None:
    first = await store.submit(replace(new(within=0.01), idempotency_key="k"))
    await asyncio.sleep(0.03)
    for refused in (
        store.submit(new(deadline=LONG_AGO)),
        store.start(new(deadline=LONG_AGO), "me", 30),
        store.submit(replace(new(deadline=LONG_AGO), idempotency_key="other")),
    ):
        with pytest.raises(DeadlinePassed, match="give one in the future"):
            await refused
    assert (await store.submit(replace(new(deadline=LONG_AGO), idempotency_key="k"))).id == first.id


async def busy(store: Store, waiting: int) -> None:
    """One task runs, others wait, and those before took a fifth of a second."""
    before = await store.start(new("b"), "me", 30)
    await asyncio.sleep(0.2)
    await store.finish(before, TaskStatus.SUCCEEDED)
    await store.start(new("b"), "me", 30)
    await submitted(store, "a", waiting)


async def test_what_cannot_begin_before_its_deadline_is_refused_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "SETTLED_SECONDS", 0.0)
    await busy(store, 20)
    with pytest.raises(DeadlineUnreachable, match="some 20 tasks begin before it") as told:
        await store.submit(new(within=2.0))
    assert told.value.retry_after is not None
    assert told.value.retry_after >= 2.0  # 20 tasks at 0.2 s or more, less the 2 s
    assert (await store.submit(new(within=3600.0))).status is TaskStatus.QUEUED
    assert (await store.submit(new("c", within=2.0))).status is TaskStatus.QUEUED  # its turn comes soon
    assert isinstance(await store.start(new(within=2.0), "me", 30), Claim)


async def test_nothing_is_refused_for_its_deadline_before_a_queue_has_formed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While processes have room, a burst waits only until they have looked."""
    monkeypatch.setattr(queueing, "SETTLED_SECONDS", 3600.0)
    await busy(store, 20)
    assert (await store.submit(new(within=2.0))).status is TaskStatus.QUEUED


async def test_imported_tasks_say_nothing_about_how_fast_tasks_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can write down that they took centuries; it must not keep out the tasks of others."""
    monkeypatch.setattr(queueing, "SETTLED_SECONDS", 0.0)
    await store.access.add_key(
        Key(id="k", name="", tenant=None, scopes=frozenset(), names_tenants=False, created_at=1.0)
    )
    await store.start(new("b"), "me", 30)
    ended = await store.submit(new("mean"))
    await store.request_cancel(ended.id)
    ended = replace(await store.get(ended.id), started_at=1.0, finished_at=FAR_OFF)
    for number in range(queueing.RECENT):
        await store.restore(replace(ended, id=f"made-up-{number}"), [])
    await submitted(store, "a", 20)
    assert (await store.submit(new(within=30.0))).status is TaskStatus.QUEUED


async def test_when_to_come_again_goes_by_how_fast_tasks_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(queueing, "SHORTEST_RETRY", 0.0)
    await busy(store, 2)
    with pytest.raises(QueueFull) as told:
        await store.submit(new("c"), Rules(most=2))
    assert told.value.retry_after is not None
    assert 0.2 <= told.value.retry_after <= queueing.LONGEST_RETRY
    with pytest.raises(TenantQueueFull) as slower:
        await store.submit(new("a"), Rules(most_of_tenant=2, weights={"a": 0.001}))
    assert slower.value.retry_after is not None
    assert slower.value.retry_after >= told.value.retry_after
