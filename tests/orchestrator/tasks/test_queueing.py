"""Tasks that wait in a service: whose turn it is, and what becomes of those whose deadlines pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest, TaskFailed, Unavailable
from orchestrator.runtime.environment import RunOutcome
from orchestrator.settings import Settings
from orchestrator.tasks import following
from orchestrator.tasks.requests import TaskRequest, parse, request_of
from orchestrator.tasks.service import Service
from planners.direct import direct
from storage.events import EventType
from storage.opening import open_store
from storage.store import Store
from storage.tasks import EXPIRED, Priority, Task, TaskStatus
from workers.engines.simulator.engine import CostModel, Simulator

ENDLESS = CostModel(decode_tokens_per_s=1)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


def service_of(store: Store, engine: Simulator | None = None, **settings: Any) -> Service:
    made = Settings.model_validate({"grace_seconds": 0.1, **settings})
    return Service(store, engine or Simulator("42"), planners={"direct": direct}, settings=made)


def asked(**given: Any) -> TaskRequest:
    return parse({"query": "What is 6 * 7?", "planner": "direct", **given})


async def ended(service: Service, task: Task) -> Task:
    async with asyncio.timeout(60):
        async for _ in service.events(task.id):
            pass
    return await service.task(task.id)


async def order(service: Service, tasks: list[Task]) -> list[Task]:
    """The tasks in the order in which they began."""
    async with service.working():
        done = [await ended(service, task) for task in tasks]
    assert {task.status for task in done} == {TaskStatus.SUCCEEDED}
    return sorted(done, key=lambda task: task.started_at or 0.0)


async def test_a_flood_of_one_tenant_starves_no_other(store: Store) -> None:
    service = service_of(store, concurrency=1)
    tasks = [await service.submit(asked(tenant="many")) for _ in range(50)]
    tasks.append(await service.submit(asked(tenant="few")))
    begun = await order(service, tasks)
    assert [task.tenant for task in begun].index("few") == 1


async def test_turns_go_by_the_weights_of_the_settings(store: Store) -> None:
    service = service_of(store, concurrency=1, tenant_weights={"a": 3})
    tasks = [await service.submit(asked(tenant=tenant)) for tenant in "ab" for _ in range(12)]
    begun = await order(service, tasks)
    assert [task.tenant for task in begun[:16]].count("a") == 12


async def test_batch_tasks_begin_after_the_others_but_not_last_of_all(store: Store) -> None:
    service = service_of(store, concurrency=1, batch_every=4)
    tasks = [await service.submit(asked(priority="batch")) for _ in range(2)]
    tasks += [await service.submit(asked()) for _ in range(10)]
    begun = await order(service, tasks)
    assert "".join(task.priority[0] for task in begun) == "iiibiiibiiii"


async def test_who_follows_a_task_is_told_that_its_deadline_has_passed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the process has no room for another task; and at once, without polling for it."""
    monkeypatch.setattr(following, "POLL_SECONDS", 3600.0)
    service = service_of(store, Simulator("word " * 1000, cost=ENDLESS), concurrency=1)
    async with service.working():
        await service.submit(asked())
        late = await service.submit(asked(deadline=0.2))
        done = await ended(service, late)
        assert (done.status, done.outcome, done.started_at) == (TaskStatus.FAILED, EXPIRED, None)
        with pytest.raises(TaskFailed, match="its deadline passed") as told:
            await service.solution(late.id)
        assert told.value.code == "deadline_exceeded"
        assert service.turned_away["deadline_exceeded"] == 1
        assert await store.last_seq(late.id) == -1


async def test_a_run_ends_at_the_deadline_of_its_task(store: Store) -> None:
    """And its journal says how long it had, so that a replay does not need to know the time."""
    service = service_of(store, Simulator("word " * 1000, cost=ENDLESS))
    async with service.working():
        task = await service.submit(asked(deadline=0.5))
        done = await ended(service, task)
        assert (done.status, done.outcome) == (TaskStatus.FAILED, RunOutcome.LIMITED)
        [started] = [event async for event in store.read(task.id) if event.type is EventType.RUN_STARTED]
        assert 0 < started.data["budget"]["seconds"] <= 0.5
        assert (await service.replay(task.id)).result.outcome is RunOutcome.LIMITED


async def test_a_budget_that_is_shorter_than_the_deadline_stays(store: Store) -> None:
    service = service_of(store)
    async with service.working():
        task = await ended(service, await service.submit(asked(deadline=3600, budget={"seconds": 60})))
    [started, *_] = [event async for event in store.read(task.id)]
    assert started.data["budget"]["seconds"] == 60


async def test_what_a_request_says_about_waiting_is_stored_with_it(store: Store) -> None:
    service = service_of(store)
    until = datetime.now(UTC) + timedelta(hours=1)
    request = asked(priority="batch", deadline=until.isoformat())
    task = await service.submit(request)
    assert (task.priority, task.deadline) == (Priority.BATCH, until.timestamp())
    assert request_of(task) == request
    plain = await service.submit(asked())
    assert not {"priority", "deadline"} & plain.options.keys()  # as before there were these


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline": 0},
        {"deadline": -1},
        {"deadline": "tomorrow"},
        {"deadline": "30"},
        {"deadline": True},
        {"deadline": "2030-01-01T00:00:00"},
        {"deadline": float("inf")},
        {"deadline": float("nan")},
        {"deadline": []},
        {"priority": "urgent"},
        {"priority": None},
    ],
    ids=str,
)
def test_what_is_no_deadline_and_no_priority_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        asked(**wrong)


async def test_refusals_are_counted_by_their_codes(store: Store) -> None:
    service = service_of(store, queue=3, tenant_queue=2)
    for _ in range(2):
        await service.submit(asked())
    await service.submit(asked(tenant="other"))
    for tenant, code, status in (("default", "tenant_queue_full", 429), ("third", "queue_full", 503)):
        with pytest.raises(Unavailable) as told:
            await service.submit(asked(tenant=tenant))
        assert (told.value.code, told.value.http_status, told.value.retryable) == (code, status, True)
        assert told.value.retry_after is not None
        assert service.turned_away[code] == 1
    with pytest.raises(Unavailable) as late:
        await service.submit(asked(deadline="2020-01-01T00:00:00Z"))
    assert (late.value.code, late.value.http_status, late.value.retryable) == ("deadline_passed", 422, False)


@pytest.mark.parametrize(
    "wrong", ['{"a": 0}', '{"a": -1}', '{"a": 1e9}', '{"a": "x"}', '{"a": NaN}', "[]", "{"]
)
def test_weights_that_are_none_are_named(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_TENANT_WEIGHTS", wrong)
    with pytest.raises(InvalidRequest, match="tenant_weights"):
        Settings.read()
