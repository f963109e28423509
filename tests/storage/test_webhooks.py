"""Endpoints, the outbox and deliveries, on each store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert

from storage import endpoints as contract
from storage.endpoints import (
    MOST_WEBHOOKS,
    Attempt,
    Delivery,
    DeliveryStatus,
    Due,
    Ended,
    NewDelivery,
    NewWebhook,
    Room,
    Secret,
    Webhook,
    pause_seconds,
    rotated,
)
from storage.opening import open_store
from storage.sql.store import SqlStore
from storage.sql.tables import webhooks
from storage.sql.webhook_rows import webhook_values
from storage.store import Store
from storage.tasks import NewTask, Task, TaskStatus
from storage.webhooks import TooManyWebhooks, WebhookDisabled, WebhookNotFound

KINDS = ("task.succeeded", "task.failed", "task.cancelled", "task.dead")
DAY = 86_400.0


def endpoint(webhook_id: str = "wh_1", **given: Any) -> NewWebhook:
    defaults: dict[str, Any] = {
        "tenant": "default",
        "url": "https://example.com/hook",
        "events": KINDS,
        "secrets": (Secret("whsec_a"),),
    }
    return NewWebhook(id=webhook_id, **(defaults | given))


def written(ended: Ended) -> NewDelivery:
    """A message of which the body says all about the end."""
    written.count += 1  # type: ignore[attr-defined]
    number = written.count  # type: ignore[attr-defined]
    return NewDelivery(id=f"msg_{number:06}", type=ended.type, body=repr(ended), task_id=ended.task_id)


written.count = 0  # type: ignore[attr-defined]


def new_task(**given: Any) -> NewTask:
    return NewTask(question={"query": "q"}, planner="vote", **given)


async def ended(store: Store, status: TaskStatus, **given: Any) -> Task:
    claim = await store.start(new_task(**given), "me", 30.0)
    error = {"code": "c", "message": "m"} if status is TaskStatus.FAILED else None
    await store.finish(claim, status, outcome="answered", error=error)
    return await store.get(claim.task.id)


async def told(store: Store, webhook_id: str = "wh_1") -> list[tuple[str, str | None]]:
    """The types and tasks of the deliveries, oldest first, after all was spread."""
    while await store.webhooks.spread(written, DAY):
        pass
    found = await store.webhooks.deliveries(webhook_id, None)
    return [(each.type, each.task_id) for each in reversed(found)]


async def claimed(
    store: Store,
    *busy: Webhook,
    limit: int = 100,
    tenant: int = 100,
    each: int = 100,
    lease: float = 60.0,
) -> Sequence[Due]:
    return await store.webhooks.claim(Room(limit, tenant, each), busy=busy, lease_seconds=lease)


async def posted(store: Store, webhook_id: str, *ids: str, patience: float = DAY) -> list[Delivery]:
    new = [NewDelivery(id=each, type="webhook.ping", body="{}") for each in ids]
    return [await store.webhooks.post(webhook_id, None, each, patience) for each in new]


async def test_each_end_is_noted_once_however_a_task_ends(store: Store) -> None:
    await store.webhooks.add(endpoint())
    succeeded = await ended(store, TaskStatus.SUCCEEDED)
    failed = await ended(store, TaskStatus.FAILED)
    queued = await store.submit(new_task())
    await store.request_cancel(queued.id)
    await store.request_cancel(queued.id)  # has ended already
    lapsing = await store.start(new_task(), "gone", 0.0)
    await asyncio.sleep(0.01)  # the lease of no length lapses
    assert await store.claim("me", 30.0, max_attempts=1) is None  # gives it up
    assert await told(store) == [
        ("task.succeeded", succeeded.id),
        ("task.failed", failed.id),
        ("task.cancelled", queued.id),
        ("task.dead", lapsing.task.id),
    ]
    assert await store.webhooks.spread(written, DAY) == 0


async def test_a_task_that_goes_on_is_not_told(store: Store) -> None:
    await store.webhooks.add(endpoint())
    running = await store.start(new_task(), "me", 30.0)
    await store.request_cancel(running.task.id)
    assert await told(store) == []
    await store.finish(running, TaskStatus.CANCELLED)
    assert await told(store) == [("task.cancelled", running.task.id)]


async def test_a_dead_task_that_is_put_back_ends_again(store: Store) -> None:
    await store.webhooks.add(endpoint())
    lapsing = await store.start(new_task(), "gone", 0.0)
    await asyncio.sleep(0.01)
    await store.claim("me", 30.0, max_attempts=1)
    await store.requeue(lapsing.task.id)
    claim = await store.claim("me", 30.0)
    assert claim is not None
    await store.finish(claim, TaskStatus.SUCCEEDED)
    assert [kind for kind, _ in await told(store)] == ["task.dead", "task.succeeded"]


async def test_what_a_note_says_is_what_the_task_says(store: Store) -> None:
    await store.webhooks.add(endpoint())
    task = await ended(store, TaskStatus.FAILED)
    seen: list[Ended] = []

    def keep(end: Ended) -> NewDelivery:
        seen.append(end)
        return written(end)

    assert await store.webhooks.spread(keep, DAY) == 1
    assert task.finished_at is not None
    assert seen == [
        Ended(
            task_id=task.id,
            tenant="default",
            status="failed",
            planner="vote",
            outcome="answered",
            error={"code": "c", "message": "m"},
            webhook=None,
            created_at=task.created_at,
            started_at=task.started_at,
            finished_at=task.finished_at,
        )
    ]


async def test_only_those_are_told_who_want_it(store: Store) -> None:
    await store.webhooks.add(endpoint("wh_all"))
    await store.webhooks.add(endpoint("wh_failures", events=("task.failed", "task.dead")))
    await store.webhooks.add(endpoint("wh_other", tenant="other"))
    named = endpoint("wh_named", named=True)
    mine = await ended(store, TaskStatus.SUCCEEDED, options={"webhook": "wh_named"}, webhook=named)
    theirs = await ended(store, TaskStatus.FAILED, tenant="other", options={"webhook": "wh_named"})
    plain = await ended(store, TaskStatus.FAILED, options={"note": "webhook"})
    assert await told(store, "wh_all") == [("task.succeeded", mine.id), ("task.failed", plain.id)]
    assert await told(store, "wh_failures") == [("task.failed", plain.id)]
    assert await told(store, "wh_other") == [("task.failed", theirs.id)]
    assert await told(store, "wh_named") == [("task.succeeded", mine.id)]
    assert [each.id for each in await store.webhooks.registered("default")] == ["wh_all", "wh_failures"]
    assert len(await store.webhooks.registered(None)) == 3


async def test_a_task_and_the_endpoint_that_it_names_are_stored_together(store: Store) -> None:
    named = endpoint("wh_named", named=True)
    for _ in range(2):
        await store.submit(
            new_task(options={"webhook": "wh_named"}, webhook=named, idempotency_key="the same")
        )
    assert (await store.webhooks.get("wh_named", "default")).secrets == (Secret("whsec_a"),)
    assert len(await store.list()) == 1
    many = [
        store.submit(new_task(options={"webhook": each.id}, webhook=each))
        for each in [endpoint(f"wh_{number % 3}", named=True) for number in range(20)]
    ]
    assert {task.options["webhook"] for task in await asyncio.gather(*many)} == {"wh_0", "wh_1", "wh_2"}


async def test_other_tenants_see_nothing(store: Store) -> None:
    await store.webhooks.add(endpoint(tenant="mine"))
    [delivery] = await posted(store, "wh_1", "msg_a")
    do = store.webhooks
    for refused in (
        do.get("wh_1", "other"),
        do.remove("wh_1", "other"),
        do.rotate("wh_1", "other", "whsec_b", 0),
        do.enable("wh_1", "other"),
        do.post("wh_1", "other", NewDelivery(id="msg_b", type="t", body="{}"), DAY),
        do.deliveries("wh_1", "other"),
        do.resend("wh_1", "other", "msg_a", DAY),
    ):
        with pytest.raises(WebhookNotFound):
            await refused
    assert await do.deliveries("wh_1", "mine") == [delivery]
    assert await do.registered("other") == []


async def test_an_endpoint_is_removed_with_its_deliveries(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a")
    [due] = await claimed(store)
    assert (await store.webhooks.remove("wh_1", "default")).id == "wh_1"
    await store.webhooks.settle(due, Attempt(error="broken", retry_in=1.0))  # nothing is left to be told
    assert not await claimed(store)
    with pytest.raises(WebhookNotFound):
        await store.webhooks.deliveries("wh_1", None)


async def test_a_tenant_has_so_many_endpoints_and_no_more(store: Store) -> None:
    for number in range(MOST_WEBHOOKS):
        await store.webhooks.add(endpoint(f"wh_{number}"))
    with pytest.raises(TooManyWebhooks, match="remove one"):
        await store.webhooks.add(endpoint("wh_more"))
    await store.webhooks.add(endpoint("wh_0"))  # is there
    await store.webhooks.add(endpoint("wh_other", tenant="other"))
    await store.submit(new_task(webhook=endpoint("wh_named", named=True), options={"webhook": "wh_named"}))


async def test_a_claimed_delivery_is_nobody_elses_until_the_claim_lapses(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a")
    [first] = await claimed(store, lease=0.0)
    assert first.webhook.secrets == (Secret("whsec_a"),)
    await asyncio.sleep(0.01)
    [second] = await claimed(store, lease=60.0)
    assert (first.delivery.attempts, second.delivery.attempts) == (1, 2)
    assert not await claimed(store)
    await store.webhooks.settle(first, Attempt(http_status=200))  # comes late, and counts for nothing
    [delivery] = await store.webhooks.deliveries("wh_1", None)
    assert delivery.status is DeliveryStatus.PENDING
    await store.webhooks.settle(second, Attempt(http_status=204))
    [delivery] = await store.webhooks.deliveries("wh_1", None)
    assert (delivery.status, delivery.http_status, delivery.error) == (DeliveryStatus.DELIVERED, 204, "")


async def test_a_failed_delivery_is_due_again_or_dead(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a")
    [due] = await claimed(store)
    await store.webhooks.settle(due, Attempt(http_status=500, error="it answered 500", retry_in=0.0))
    assert (await store.webhooks.get("wh_1", None)).failures == 1
    await asyncio.sleep(0.01)
    [due] = await claimed(store)
    await store.webhooks.settle(due, Attempt(error="gone", retry_in=3600.0))
    assert not await claimed(store)
    [delivery] = await store.webhooks.deliveries("wh_1", None)
    assert delivery.due_at > delivery.created_at + 3000
    assert (delivery.attempts, delivery.http_status, delivery.error) == (2, None, "gone")


async def test_the_dead_are_listed_and_can_be_sent_again_under_their_id(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a", "msg_b")
    for due in await claimed(store):
        await store.webhooks.settle(due, Attempt(error="no", retry_in=None))
    dead = await store.webhooks.deliveries("wh_1", None, status=DeliveryStatus.DEAD)
    assert {each.id for each in dead} == {"msg_a", "msg_b"}
    again = await store.webhooks.resend("wh_1", None, "msg_a", DAY)
    assert (again.id, again.status, again.attempts) == ("msg_a", DeliveryStatus.PENDING, 0)
    assert await store.webhooks.resend("wh_1", None, "msg_a", DAY) == again
    [due] = await claimed(store)
    assert due.delivery.id == "msg_a"
    with pytest.raises(WebhookNotFound, match="no delivery"):
        await store.webhooks.resend("wh_1", None, "msg_none", DAY)


async def test_deliveries_are_listed_in_pages(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", *(f"msg_{number}" for number in range(5)))
    pages, before = list[str](), None
    while page := await store.webhooks.deliveries("wh_1", None, limit=2, before=before):
        pages += [each.id for each in page]
        before = page[-1].id
    assert sorted(pages) == [f"msg_{number}" for number in range(5)]
    assert pages[0] == "msg_4"
    with pytest.raises(WebhookNotFound):
        await store.webhooks.deliveries("wh_1", None, before="msg_none")


async def test_an_endpoint_that_is_gone_is_disabled_and_what_waits_for_it_is_dead(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a", "msg_b")
    [due] = await claimed(store, limit=1)
    await store.webhooks.settle(due, Attempt(http_status=410, error="it answered 410", gone=True))
    webhook = await store.webhooks.get("wh_1", None)
    assert webhook.disabled_at is not None
    assert webhook.disabled_why == "it answered 410"
    assert {each.status for each in await store.webhooks.deliveries("wh_1", None)} == {DeliveryStatus.DEAD}
    await ended(store, TaskStatus.SUCCEEDED)
    await store.webhooks.spread(written, DAY)
    assert len(await store.webhooks.deliveries("wh_1", None)) == 2  # nobody is told of what came after
    with pytest.raises(WebhookDisabled, match="enable it first"):
        await posted(store, "wh_1", "msg_c")
    with pytest.raises(WebhookDisabled):
        await store.webhooks.resend("wh_1", None, "msg_a", DAY)
    enabled = await store.webhooks.enable("wh_1", None)
    assert (enabled.disabled_at, enabled.failures) == (None, 0)
    await store.webhooks.resend("wh_1", None, "msg_a", DAY)
    assert len(await claimed(store)) == 1


async def test_a_task_that_names_a_disabled_endpoint_leaves_a_dead_delivery(store: Store) -> None:
    named = endpoint("wh_named", named=True)
    await store.submit(new_task(options={"webhook": "wh_named"}, webhook=named))
    await posted(store, "wh_named", "msg_a")
    [due] = await claimed(store)
    await store.webhooks.settle(due, Attempt(error="410", gone=True))
    await ended(store, TaskStatus.SUCCEEDED, options={"webhook": "wh_named"}, webhook=named)
    await store.webhooks.spread(written, DAY)
    [last, _] = await store.webhooks.deliveries("wh_named", None)
    assert (last.status, last.error) == (DeliveryStatus.DEAD, "the endpoint is disabled: 410")


async def test_an_endpoint_that_fails_is_tried_alone_and_then_left_alone(store: Store) -> None:
    await store.webhooks.add(endpoint("wh_bad"))
    await store.webhooks.add(endpoint("wh_good"))
    await posted(store, "wh_bad", *(f"bad_{number}" for number in range(10)))
    assert len(await claimed(store, each=2)) == 2
    for failures in range(1, contract.BREAKER_FAILURES + 1):
        due = next(iter(await claimed(store, each=2)))
        await store.webhooks.settle(due, Attempt(error="no", retry_in=0.0))
        webhook = await store.webhooks.get("wh_bad", None)
        assert webhook.failures == failures
    assert webhook.paused_until > webhook.created_at
    await posted(store, "wh_good", "good")
    assert [each.delivery.id for each in await claimed(store)] == ["good"]
    await store.webhooks.enable("wh_bad", None)  # a person knows better
    assert len(await claimed(store, each=2)) == 2


async def test_one_success_forgets_the_failures(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a", "msg_b", "msg_c")
    [first, second] = await claimed(store, each=2)
    await store.webhooks.settle(first, Attempt(error="busy", retry_in=0.0))
    assert (await store.webhooks.get("wh_1", None)).failures == 1
    await store.webhooks.settle(second, Attempt(http_status=200))
    webhook = await store.webhooks.get("wh_1", None)
    assert (webhook.failures, webhook.paused_until) == (0, 0.0)
    assert len(await claimed(store, each=2)) == 2


async def test_an_endpoint_that_asks_for_it_is_left_alone(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a", "msg_b", "msg_c")
    [first, second] = await claimed(store, each=2)
    await store.webhooks.settle(first, Attempt(error="busy", retry_in=0.0, pause=3600.0))
    await store.webhooks.settle(second, Attempt(http_status=200))  # was under way, and changes nothing
    assert not await claimed(store)


async def test_endpoints_that_are_busy_are_left_out_and_none_gets_more_than_its_part(store: Store) -> None:
    for name in ("a", "b"):
        await store.webhooks.add(endpoint(f"wh_{name}"))
        await posted(store, f"wh_{name}", *(f"{name}{number}" for number in range(5)))
    busy = await store.webhooks.get("wh_a", None)
    taken = await claimed(store, busy, limit=10, each=2)
    assert sorted(each.delivery.id for each in taken) == ["b0", "b1"]
    taken = await claimed(store, limit=3, each=2)
    assert sorted(each.delivery.webhook_id for each in taken) == ["wh_a", "wh_a", "wh_b"]


async def test_no_tenant_takes_the_place_of_another(store: Store) -> None:
    for number in range(12):
        named = endpoint(f"wh_{number}", tenant="many", named=True)
        await ended(store, TaskStatus.SUCCEEDED, tenant="many", options={"webhook": named.id}, webhook=named)
    await store.webhooks.add(endpoint("wh_one", tenant="one"))
    await ended(store, TaskStatus.SUCCEEDED, tenant="one")
    while await store.webhooks.spread(written, DAY):
        pass
    first = await claimed(store, limit=6, tenant=4)
    assert sorted(each.webhook.tenant for each in first) == ["many"] * 4 + ["one"]
    busy = [each.webhook for each in first]
    assert not await claimed(store, *busy, limit=6, tenant=4)
    assert len(await claimed(store, *busy[:2], limit=6, tenant=4)) >= 2
    assert len(await claimed(store, *busy, limit=6, tenant=9)) == 1  # there is room for no more in all


async def test_what_has_expired_is_dead_and_what_is_old_is_removed(store: Store) -> None:
    await store.webhooks.add(endpoint())
    await posted(store, "wh_1", "msg_a", patience=-1.0)
    await posted(store, "wh_1", "msg_b")
    await asyncio.sleep(0.01)
    await store.webhooks.tidy(DAY)
    found = {each.id: each for each in await store.webhooks.deliveries("wh_1", None)}
    assert found["msg_a"].status is DeliveryStatus.DEAD
    assert "within the time" in found["msg_a"].error
    assert found["msg_b"].status is DeliveryStatus.PENDING
    await store.webhooks.tidy(-1.0)
    assert [each.id for each in await store.webhooks.deliveries("wh_1", None)] == ["msg_b"]


async def test_a_named_endpoint_stays_while_a_task_may_end_that_names_it(store: Store) -> None:
    task = await store.submit(new_task(options={"webhook": "wh_n"}, webhook=endpoint("wh_n", named=True)))
    await store.webhooks.tidy(-1.0)
    await store.request_cancel(task.id)
    await store.webhooks.tidy(-1.0)  # the end is noted, and not told yet
    assert await told(store, "wh_n") == [("task.cancelled", task.id)]
    await store.webhooks.tidy(DAY)
    [due] = await claimed(store)
    await store.webhooks.settle(due, Attempt(http_status=200))
    await store.webhooks.tidy(-1.0)
    with pytest.raises(WebhookNotFound):
        await store.webhooks.get("wh_n", None)


async def test_endpoints_for_which_nothing_waits_make_nothing_slower(database_url: str) -> None:
    """Each task may name one of its own, and they stay for weeks."""
    async with await open_store(database_url) as store:
        assert isinstance(store, SqlStore)
        await store.webhooks.add(endpoint())
        await posted(store, "wh_1", "msg")
        assert len(await claimed(store)) == 1
        few = await _least_seconds(store)
        rows = [
            webhook_values(endpoint(f"wh_{number}", named=True), time.time()) for number in range(2, 20_000)
        ]
        await store._database.write(lambda connection: connection.execute(insert(webhooks), rows))
        assert await _least_seconds(store) < 5 * few


async def _least_seconds(store: Store) -> float:
    """How long a look for deliveries takes that are due, of which there are none."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        assert not await claimed(store)
        took.append(time.perf_counter() - began)
    return min(took)


async def test_secrets_are_rotated(store: Store) -> None:
    await store.webhooks.add(endpoint())
    once = await store.webhooks.rotate("wh_1", None, "whsec_b", 3600.0)
    assert [each.text for each in once.secrets] == ["whsec_b", "whsec_a"]
    assert once.secrets[0].expires_at is None
    assert once.secrets[1].expires_at is not None
    twice = await store.webhooks.rotate("wh_1", None, "whsec_c", 0.0)
    assert [each.text for each in twice.secrets] == ["whsec_c"]  # the others expired at once
    assert (await store.webhooks.get("wh_1", None)).secrets == twice.secrets


def test_a_rotation_that_is_repeated_changes_nothing() -> None:
    once = rotated((Secret("a"),), "b", keep_until=20.0, now=10.0)
    assert once == (Secret("b"), Secret("a", 20.0))
    assert rotated(once, "b", keep_until=30.0, now=20.0) == once
    assert rotated(once, "c", keep_until=25.0, now=15.0) == (
        Secret("c"),
        Secret("b", 25.0),
        Secret("a", 20.0),
    )
    assert "a" not in repr(Secret("aaaa")).replace("Secret", "")


def test_pauses_double_up_to_a_bound() -> None:
    assert pause_seconds(contract.BREAKER_FAILURES - 1) == 0.0
    pauses = [pause_seconds(failures) for failures in range(contract.BREAKER_FAILURES, 100)]
    assert pauses[:3] == [15.0, 30.0, 60.0]
    assert pauses[-1] == max(pauses) == contract.LONGEST_PAUSE_SECONDS


async def test_what_is_stored_outlasts_the_process(database_url: str) -> None:
    async with await open_store(database_url) as store:
        await store.webhooks.add(endpoint())
        task = await ended(store, TaskStatus.SUCCEEDED)
    async with await open_store(database_url) as store:
        assert await told(store) == [("task.succeeded", task.id)]
        [due] = await claimed(store, lease=0.0)
    async with await open_store(database_url) as store:
        [again] = await claimed(store)
        assert again.delivery.body == due.delivery.body


async def test_two_processes_share_the_work(database_url: str) -> None:
    async with await open_store(database_url) as one, await open_store(database_url) as two:
        for number in range(4):
            await one.webhooks.add(endpoint(f"wh_{number}"))
        for _ in range(10):
            await ended(one, TaskStatus.SUCCEEDED)
        await asyncio.gather(*(each.webhooks.spread(written, DAY) for each in (one, two, one, two)))
        taken = await asyncio.gather(*(claimed(each, each=7, limit=20) for each in (one, two, one, two)))
        ids = [due.delivery.id for part in taken for due in part]
        assert len(ids) == len(set(ids))
        rest = [due.delivery.id for _ in range(4) for due in await claimed(two)]
        assert len(set(ids) | set(rest)) == len(ids) + len(rest) == 40
