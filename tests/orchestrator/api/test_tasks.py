from __future__ import annotations

import asyncio

import pytest

from tests.orchestrator.api.conftest import Api, Open, slow
from workers.engines.simulator.engine import Fault, Simulator


async def test_a_task_is_accepted_and_then_solved(api: Api) -> None:
    reply = await api.submit(planner="vote", options={"n": 4})
    assert reply.status == 202
    assert reply.body["status"] in ("queued", "running")
    assert reply.body["question"] == {"query": "What is 6 * 7?", "context": "", "choices": []}
    assert reply.body["options"]["options"] == {"n": 4}
    location = reply.headers["Location"]
    assert location == f"/v1/tasks/{reply.body['id']}"
    async for frame in api.frames(f"{location}/events"):
        last = frame
    assert last.event == "task_ended"
    task = (await api.get(location)).body
    assert task == last.data
    assert task["status"] == "succeeded"
    assert task["outcome"] == "answered"
    assert task["solution"]["answer"] == "42"
    assert task["solution"]["clusters"][0]["claim"] == "42"
    assert task["solution"]["trace_id"] == task["id"]
    assert task["error"] is None
    assert task["created_at"] <= task["started_at"] <= task["finished_at"]


@pytest.mark.usefixtures("nobody_polls")
async def test_waiting_gives_the_solution_in_one_request(api: Api) -> None:
    reply = await api.submit(wait=100)
    assert reply.status == 200
    assert reply.body["solution"]["answer"] == "42"


async def test_waiting_ends_when_its_time_is_over(open_api: Open) -> None:
    key = {"Idempotency-Key": "the same"}
    async with open_api(slow()) as api:
        task = (await api.submit(headers=key)).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress":
                break
        reply = await api.submit(headers=key, wait=0.2)
        assert reply.status == 202
        assert reply.body["status"] == "running"


async def test_a_failed_task_says_why(open_api: Open) -> None:
    async with open_api(Simulator(faults=[Fault(kind="refuse")])) as api:
        reply = await api.submit(wait=60)
    assert reply.status == 200
    assert reply.body["status"] == "failed"
    assert reply.body["solution"] is None
    assert reply.body["error"]["code"] == "engine_unavailable"


async def test_a_task_that_has_not_run_has_an_empty_trace_and_no_replay(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.submit()
        assert (await api.get(f"/v1/tasks/{reply.body['id']}/trace")).status == 200
        replay = await api.call("POST", f"/v1/tasks/{reply.body['id']}/replay")
        assert (replay.status, replay.error) == (409, "conflict")


async def test_the_same_key_gives_the_same_task(api: Api) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = await api.submit(headers=key, wait=60)
    again = await api.submit(headers=key)
    in_body = await api.submit(idempotency_key="order-17")
    assert first.body["id"] == again.body["id"] == in_body.body["id"]
    assert again.status == 200  # it has ended
    other = await api.submit("What is 7 * 8?", headers=key)
    assert (other.status, other.error) == (409, "idempotency_conflict")
    elsewhere = await api.submit(headers={**key, "X-Tenant": "other"})
    assert elsewhere.body["id"] != first.body["id"]


async def test_header_and_body_must_not_disagree(api: Api) -> None:
    reply = await api.submit(idempotency_key="a", headers={"Idempotency-Key": "b"})
    assert (reply.status, reply.error) == (409, "contradiction")
    assert "Idempotency-Key" in reply.message
    reply = await api.submit(tenant="a", headers={"X-Tenant": "b"})
    assert (reply.status, reply.error) == (409, "contradiction")
    assert "X-Tenant" in reply.message


async def test_tasks_are_listed_page_by_page(open_api: Open) -> None:
    async with open_api(work=False) as api:
        ids = [(await api.submit(tenant=tenant)).body["id"] for tenant in ("a", "b", "a", "a")]
        page = (await api.get("/v1/tasks?limit=3")).body
        assert [task["id"] for task in page["tasks"]] == ids[:0:-1]
        rest = (await api.get(f"/v1/tasks?limit=3&cursor={page['next']}")).body
        assert [task["id"] for task in rest["tasks"]] == ids[:1]
        assert rest["next"] is None
        mine = (await api.get("/v1/tasks?tenant=b")).body
        assert [task["id"] for task in mine["tasks"]] == [ids[1]]
        assert len((await api.get("/v1/tasks?status=queued&tenant=a")).body["tasks"]) == 3
        assert (await api.get("/v1/tasks?status=failed")).body == {"tasks": [], "next": None}


async def test_a_tenant_sees_only_its_own(open_api: Open) -> None:
    async with open_api(work=False) as api:
        own = (await api.submit(headers={"X-Tenant": "a"})).body
        assert own["tenant"] == "a"
        for method, path in [
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/trace"),
            ("POST", "/cancel"),
            ("POST", "/requeue"),
            ("POST", "/replay"),
        ]:
            other = await api.call(method, f"/v1/tasks/{own['id']}{path}", headers={"X-Tenant": "b"})
            assert (other.status, other.error) == (404, "task_not_found")
        assert (await api.get("/v1/tasks", headers={"X-Tenant": "b"})).body["tasks"] == []
        assert len((await api.get("/v1/tasks", headers={"X-Tenant": "a"})).body["tasks"]) == 1
        mixed = await api.get("/v1/tasks?tenant=a", headers={"X-Tenant": "b"})
        assert (mixed.status, mixed.error) == (409, "contradiction")
        assert (await api.get(f"/v1/tasks/{own['id']}", headers={"X-Tenant": "a"})).status == 200


async def test_a_queued_task_is_cancelled_at_once(open_api: Open) -> None:
    async with open_api(work=False) as api:
        task = (await api.submit()).body
        reply = await api.call("POST", f"/v1/tasks/{task['id']}/cancel")
        assert reply.status == 200
        assert reply.body["status"] == "cancelled"


@pytest.mark.usefixtures("nobody_polls")
async def test_a_running_task_is_cancelled_at_its_engine(open_api: Open) -> None:
    engine = slow()
    async with open_api(engine) as api:
        task = (await api.submit(planner="vote", options={"n": 4})).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress" and frame.data["tokens"] >= 5:
                break
        assert (await api.call("POST", f"/v1/tasks/{task['id']}/cancel")).body["cancel_requested"]
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            last = frame
        assert last.data["status"] == "cancelled"
        assert engine.counters().in_flight == 0
        assert engine.counters().aborted == engine.counters().started > 0
        again = await api.call("POST", f"/v1/tasks/{task['id']}/cancel")
        assert again.body["status"] == "cancelled"
        replay = await api.call("POST", f"/v1/tasks/{task['id']}/replay")
        assert replay.status == 200
        assert replay.body["outcome"] == "cancelled"


async def test_a_dead_task_is_put_back_into_the_queue(open_api: Open) -> None:
    async with open_api(work=False) as api:
        task = (await api.submit()).body
        assert (await api.call("POST", f"/v1/tasks/{task['id']}/requeue")).body == task
        assert await api.service.store.claim("crashing", 0.01) is not None
        await asyncio.sleep(0.03)
        assert await api.service.store.claim("next", 30, max_attempts=1) is None
        assert (await api.get(f"/v1/tasks/{task['id']}")).body["status"] == "dead"
        reply = await api.call("POST", f"/v1/tasks/{task['id']}/requeue")
        assert (reply.status, reply.body["status"], reply.body["error"]) == (200, "queued", None)
        async with api.service.working():
            async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
                last = frame
        assert last.data["status"] == "succeeded"
        refused = await api.call("POST", f"/v1/tasks/{task['id']}/requeue")
        assert (refused.status, refused.error) == (409, "illegal_transition")


async def test_a_replay_calls_nobody(open_api: Open) -> None:
    engine = Simulator({"6 * 7": {"The answer is \\boxed{42}": 3, "The answer is \\boxed{48}": 1}})
    async with open_api(engine) as api:
        task = (await api.submit(planner="vote", wait=60)).body
        calls = engine.counters().started
        reply = await api.call("POST", f"/v1/tasks/{task['id']}/replay")
        assert reply.status == 200
        assert engine.counters().started == calls
        events = [
            frame async for frame in api.frames(f"/v1/tasks/{task['id']}/events") if frame.id is not None
        ]
    assert reply.body.pop("seconds") > 0
    result = reply.body.pop("result")
    assert result["answer"]["text"] == task["solution"]["text"]
    assert result["spent"]["calls"] == calls
    assert reply.body == {
        "trace_id": task["id"],
        "outcome": "answered",
        "answer": task["solution"]["answer"],
        "events": len(events),
        "calls": 0,
    }


async def test_a_run_that_goes_another_way_is_a_conflict(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api() as api:
        task = (await api.submit(wait=60)).body
        monkeypatch.setattr("planners.direct.INSTRUCTIONS", "Answer in one word.")
        reply = await api.call("POST", f"/v1/tasks/{task['id']}/replay")
    assert (reply.status, reply.error) == (409, "divergence")
    assert "node 0" in reply.message


async def test_a_trace_shows_what_was_asked_and_answered(api: Api) -> None:
    task = (await api.submit(wait=60)).body
    reply = await api.get(f"/v1/tasks/{task['id']}/trace")
    assert reply.status == 200
    assert task["id"] in str(reply.body)


async def test_tasks_of_a_drain_are_handed_back(open_api: Open) -> None:
    async with open_api(slow()) as api:
        task = (await api.submit()).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress":
                break
        left = api.service
        api.draining.set()
        refused = await api.submit()
        assert (refused.status, refused.error) == (503, "draining")
        assert refused.body["error"]["retryable"]
        assert refused.headers["Retry-After"] == "1"
        assert (await api.get(f"/v1/tasks/{task['id']}")).status == 200
    assert left.engine.snapshot().replicas[0].in_flight == 0
    async with open_api(work=False) as api:
        assert (await api.get(f"/v1/tasks/{task['id']}")).body["status"] == "queued"
    async with open_api() as api:  # another process goes on with it
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            last = frame
    assert last.data["solution"]["answer"] == "42"
