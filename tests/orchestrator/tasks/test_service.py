from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from orchestrator.errors import TaskFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Result
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks import following, queue
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.feed import Feed, Progress
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.requests import BudgetRequest, TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import Setup
from orchestrator.tasks.solution import Calibrated, Solution
from storage.events import Event, EventType
from storage.opening import open_store
from storage.store import Store
from storage.tasks import TaskStatus
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import CostModel, Simulator

SLOW = CostModel(decode_tokens_per_s=50)
ENDLESS = CostModel(decode_tokens_per_s=5)
REQUEST = TaskRequest(query="Anything.", planner="asking")


@planner("asking")
async def asking(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(f"sqlite:///{tmp_path / 'service.db'}") as opened:
        yield opened


@pytest.fixture
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not woken waits longer than any test may take."""
    monkeypatch.setattr(following, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(queue, "IDLE_SECONDS", 3600.0)


def service_of(store: Store, engine: Simulator, **settings: float) -> Service:
    made = Settings.model_validate({"grace_seconds": 0.2, **settings})
    return Service(store, engine, planners={"asking": asking}, settings=made)


class Loading(Simulator):
    """An engine that takes for ever to start."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def capabilities(self) -> Capabilities:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_leaving_a_stream_while_the_engine_starts_cancels_the_task(store: Store) -> None:
    engine = Loading()
    service = service_of(store, engine)
    claim = await service.start(REQUEST)

    async def follow() -> None:
        async with aclosing(service.follow(claim)) as items:
            async for _ in items:
                pass

    following = asyncio.create_task(follow())
    await engine.asked.wait()
    following.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await following
    assert (await store.get(claim.task.id)).status is TaskStatus.CANCELLED


async def test_solving_twice_under_one_key_pays_once(store: Store) -> None:
    engine = Simulator("word " * 20, cost=SLOW)
    service, elsewhere = service_of(store, engine), service_of(store, engine)
    request = REQUEST.model_copy(update={"idempotency_key": "order-17"})
    together = await asyncio.gather(service.solve(request), elsewhere.solve(request))
    later = await service.solve(request)
    assert {solution.trace_id for solution in together} == {later.trace_id}
    assert engine.counters().started == 1


async def test_a_key_from_before_nodes_were_bounded_finds_its_task(store: Store) -> None:
    service = service_of(store, Simulator("42"))
    request = REQUEST.model_copy(update={"idempotency_key": "order-18"})
    budget = {"tokens": None, "calls": 10_000, "depth": 16, "width": 1_024, "seconds": 3_600.0}
    new = service.check(request)
    earlier = await store.submit(replace(new, options={**new.options, "budget": budget}))
    assert (await service.submit(request)).id == earlier.id


async def test_a_clock_that_is_set_back_makes_no_run_shorter(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(call: Call, rng: Random) -> str:
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        return "42"

    real = time.time
    solution = await service_of(store, Simulator(answer)).solve(REQUEST)
    assert 0 <= solution.timings.run < 60
    await service_of(store, Simulator()).replay(solution.trace_id)


@pytest.mark.usefixtures("nobody_polls")
async def test_a_stream_ends_as_soon_as_its_task(store: Store) -> None:
    service = service_of(store, Simulator("42"))
    items = [item async for item in service.stream(REQUEST)]
    assert isinstance(items[-1], Solution)
    engine = Simulator()
    engine.kill()
    with pytest.raises(TaskFailed):
        _ = [item async for item in service_of(store, engine).stream(REQUEST)]


@pytest.mark.usefixtures("nobody_polls")
async def test_a_drain_does_not_wait_for_room(store: Store) -> None:
    """With as many tasks as it may run, a service still hears that it is to stop."""
    service = service_of(store, Simulator("word " * 500, cost=ENDLESS), concurrency=1, lease_seconds=3600.0)
    tasks = [await service.submit(REQUEST) for _ in range(2)]
    async with service.working(), aclosing(service.events(tasks[0].id)) as events:
        async for item in events:
            if isinstance(item, Progress):
                break
    states = [(await store.get(task.id)).status for task in tasks]
    assert states == [TaskStatus.QUEUED, TaskStatus.QUEUED]


@pytest.mark.usefixtures("nobody_polls")
async def test_tasks_that_are_done_make_room_at_once(store: Store) -> None:
    service = service_of(store, Simulator("42"), concurrency=1, lease_seconds=3600.0)
    tasks = [await service.submit(REQUEST) for _ in range(10)]
    async with service.working():
        for task in tasks:
            _ = [event async for event in service.events(task.id)]
    assert {(await store.get(task.id)).status for task in tasks} == {TaskStatus.SUCCEEDED}


async def test_a_resumed_run_that_goes_another_way_fails_and_harms_no_other(store: Store) -> None:
    service = service_of(store, Simulator("word " * 500, cost=ENDLESS))
    task = await service.submit(REQUEST)
    async with service.working(), aclosing(service.events(task.id)) as events:
        async for item in events:
            if isinstance(item, Progress):
                break

    @planner("asking")
    async def changed(run: Run, question: Question) -> Answer:
        return Answer((await run.generate(f"{question.text} Please.")).text)

    later = service_of(store, Simulator("42"))
    later.add_planner(changed)
    async with later.working():
        _ = [event async for event in later.events(task.id)]
        failed = await store.get(task.id)
        assert failed.status is TaskStatus.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "divergence"
        other = await later.submit(replace_query(REQUEST, "Something else."))
        _ = [event async for event in later.events(other.id)]
    assert (await later.solution(other.id)).answer == "42"


def replace_query(request: TaskRequest, query: str) -> TaskRequest:
    return request.model_copy(update={"query": query})


@pytest.mark.usefixtures("nobody_polls")
async def test_a_task_that_cannot_be_set_up_fails_and_harms_no_other(tmp_path: Path) -> None:
    """Redaction has left nothing of one question; the answer to another one cannot be calibrated."""

    class Broken(Calibrations):
        def apply(self, setup: Setup, result: Result) -> Calibrated | str:
            if setup.question.text == "break":
                raise RuntimeError("a mistake")
            return super().apply(setup, result)

    url = f"sqlite:///{tmp_path / 'redacted.db'}"
    async with await open_store(url, redact=lambda text: text.replace("secret", "")) as store:
        service = Service(store, Simulator("42"), planners={"asking": asking}, calibrations=Broken())
        tasks = [
            await service.submit(replace_query(REQUEST, query)) for query in ("secret", "break", "Anything.")
        ]
        async with service.working():
            for task in tasks:
                _ = [event async for event in service.events(task.id)]
        ended = [await service.task(task.id) for task in tasks]
    assert [task.status.value for task in ended] == ["failed", "succeeded", "succeeded"]
    assert [task.error and task.error["code"] for task in ended] == ["journal_damaged", None, None]
    assert ended[1].solution["uncalibrated"] == "the calibration cannot be applied: a mistake"


async def test_a_run_that_reaches_a_bound_without_an_answer_has_failed(store: Store) -> None:
    service = service_of(store, Simulator("word " * 500, cost=ENDLESS))
    request = REQUEST.model_copy(update={"budget": BudgetRequest(seconds=0.1)})
    async with service.working():
        task = await service.submit(request)
        _ = [event async for event in service.events(task.id)]
    ended = await service.task(task.id)
    assert (ended.status, ended.outcome) == (TaskStatus.FAILED, "limited")
    assert (ended.error or {})["code"] == "budget_exhausted"
    assert service.ended == {TaskStatus.FAILED: 1}
    with pytest.raises(TaskFailed) as failed:
        await service.solve(request)
    assert failed.value.code == "budget_exhausted"


async def test_following_many_queued_tasks_wakes_only_who_is_concerned(store: Store) -> None:
    service = service_of(store, Simulator("42"))
    reads = 0
    get = store.get

    async def counted(task_id: str) -> object:
        nonlocal reads
        reads += 1
        return await get(task_id)

    store.get = counted  # type: ignore[method-assign,assignment]
    tasks = [await service.submit(REQUEST) for _ in range(30)]

    async def follow(task_id: str) -> int:
        return len([event async for event in service.events(task_id)])

    following = [asyncio.create_task(follow(task.id)) for task in tasks]
    await asyncio.sleep(0.05)
    async with service.working():
        counts = await asyncio.gather(*following)
    assert min(counts) >= 4
    assert reads < 30 * 8


async def test_a_slow_listener_is_told_the_latest_progress_only(store: Store) -> None:
    claim = await store.start(service_of(store, Simulator()).check(REQUEST), "me", 30)
    feed = Feed(Hold(store, claim))
    feed.open(store.writer(claim.task.id, claim.fence))
    async with aclosing(feed.listen(store, claim.task.id, -1)) as listening:
        feed.append(Event(0, EventType.RUN_STARTED, "", 0.0, {}))
        assert isinstance(await anext(listening), Event)
        for tokens in range(1, 1001):
            feed.progress("0", tokens)
            feed.progress("1", 2 * tokens)
        feed.append(Event(1, EventType.RUN_FINISHED, "", 0.0, {"outcome": "answered"}))
        feed.end()
        heard = [item async for item in listening]
    assert heard[:2] == [Progress("0", 1000), Progress("1", 2000)]
    assert [item.seq for item in heard[2:] if isinstance(item, Event)] == [1]
    assert len(heard) == 3
    await feed.flush()
