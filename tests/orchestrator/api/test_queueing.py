"""Tasks for which there is no room or no time, over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.settings import Settings
from storage import queueing
from storage.errors import StorageUnavailable
from storage.queueing import Lengths
from storage.tasks import TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow


async def scraped(api: Api) -> str:
    async with api.session.get("/metrics") as response:
        return await response.text()


async def test_a_full_queue_is_told_with_when_to_come_again(open_api: Open) -> None:
    async with open_api(work=False, settings=Settings(queue=3, tenant_queue=2)) as api:
        kept = [await api.submit(headers={"Idempotency-Key": str(key)}) for key in range(2)]
        assert {reply.status for reply in kept} == {202}
        refused = await api.submit()
        assert (refused.status, refused.error) == (429, "tenant_queue_full")
        assert refused.body["error"]["retryable"] is True
        assert 1 <= int(refused.headers["Retry-After"]) <= queueing.LONGEST_RETRY
        assert (await api.submit(tenant="other")).status == 202
        full = await api.submit(tenant="third")
        assert (full.status, full.error) == (503, "queue_full")
        assert 1 <= int(full.headers["Retry-After"]) <= queueing.LONGEST_RETRY
        again = await api.submit(headers={"Idempotency-Key": "0"})
        assert (again.status, again.body["id"]) == (202, kept[0].body["id"])
        assert len((await api.get("/v1/tasks")).body["tasks"]) == 3
        await api.call("POST", f"/v1/tasks/{kept[0].body['id']}/cancel")
        assert (await api.submit()).status == 202


async def test_a_task_that_would_begin_too_late_is_refused_at_once(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "SETTLED_SECONDS", 0.0)
    async with open_api(work=False) as api:
        store = api.service.store
        for waited in (0.2, 0.0):
            reply = await api.submit()
            claim = await store.claim_task(reply.body["id"], "me", 60)
            await asyncio.sleep(waited)
            if waited:
                await store.finish(claim, TaskStatus.SUCCEEDED)
        for _ in range(20):
            await api.submit()
        refused = await api.submit(deadline=1)
        assert (refused.status, refused.error) == (503, "deadline_unreachable")
        assert "some 20 tasks begin before it" in refused.message
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await api.submit(deadline=3600)).status == 202
        passed = await api.submit(deadline="2001-01-01T00:00:00Z")
        assert (passed.status, passed.error) == (422, "deadline_passed")
        assert "Retry-After" not in passed.headers


async def test_who_waits_is_told_that_a_deadline_has_passed(open_api: Open) -> None:
    settings = Settings(concurrency=1, grace_seconds=0.2, lease_seconds=3600.0)
    async with open_api(slow(), settings=settings) as api:
        await api.submit()
        waited = asyncio.create_task(api.submit(wait=60, deadline=0.5))
        followed = await api.submit(deadline=0.5)
        frames = [frame async for frame in api.frames(f"/v1/tasks/{followed.body['id']}/events")]
        reply = await waited
    assert [frame.event for frame in frames if not frame.comment] == ["task_ended"]
    for body in (reply.body, frames[-1].data):
        assert (body["status"], body["outcome"]) == ("failed", "expired")
        assert body["error"]["code"] == "deadline_exceeded"
        assert body["priority"] == "interactive"
        assert body["deadline"] > body["created_at"]
    assert reply.status == 200


async def test_metrics_tell_the_length_of_the_queue_by_line(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> Lengths:
        raise StorageUnavailable("the database is away")

    async with open_api(work=False, settings=Settings(tenant_queue=2)) as api:
        for priority in ("interactive", "batch"):
            await api.submit(priority=priority, tenant=priority)
        await api.submit(tenant="interactive", priority="batch")
        assert (await api.submit(tenant="interactive")).status == 429
        told = await scraped(api)
        assert 'anabranch_queue_length{priority="interactive"} 1' in told
        assert 'anabranch_queue_length{priority="batch"} 2' in told
        assert 'anabranch_tasks_turned_away_total{code="tenant_queue_full"} 1' in told
        monkeypatch.setattr(api.service.store, "waiting", away)
        told = await scraped(api)
    assert "anabranch_queue_length{" not in told
    assert "anabranch_tasks_running" in told
