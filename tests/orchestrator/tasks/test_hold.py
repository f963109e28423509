"""The lease of a task is kept from its claim on, and nothing is paid for while it is not sure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import HandedBack, TaskFailed, Unavailable
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.feed import Feed, Progress
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.requests import BudgetRequest, TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from storage.events import Event, EventType
from storage.opening import open_store
from storage.store import Store
from storage.tasks import Claim, Task, TaskStatus
from workers.calls import Call, Chunk
from workers.engine import Capabilities
from workers.engines.simulator.engine import CostModel, Fault, Simulator

REQUEST = TaskRequest(query="Anything.", planner="steps")


@planner("steps")
async def steps(run: Run, question: Question) -> Answer:
    """One call after the other."""
    first = await run.generate("First.")
    second = await run.generate(f"Then, after {first.text}.")
    return Answer(second.text)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(f"sqlite:///{tmp_path / 'hold.db'}") as opened:
        yield opened


def service_of(store: Store, engine: Simulator, *, lease: float = 0.3, grace: float = 0.0) -> Service:
    settings = Settings.model_construct(lease_seconds=lease, grace_seconds=grace)
    return Service(store, engine, planners={"steps": steps}, settings=settings)


class Silence:
    """Makes the heartbeats of a store wait, between :meth:`begin` and :meth:`end`."""

    def __init__(self, store: Store) -> None:
        self._heartbeat = store.heartbeat
        self._over = asyncio.Event()
        self._over.set()
        store.heartbeat = self._silent  # type: ignore[method-assign]

    async def _silent(self, claim: Claim) -> Claim:
        await self._over.wait()
        return await self._heartbeat(claim)

    def begin(self) -> None:
        self._over.clear()

    def end(self) -> None:
        self._over.set()


class Loading(Simulator):
    """An engine that starts when it is told to."""

    def __init__(self) -> None:
        super().__init__("42")
        self.asked, self.loaded = asyncio.Event(), asyncio.Event()

    async def capabilities(self) -> Capabilities:
        self.asked.set()
        await self.loaded.wait()
        return await super().capabilities()


class Answering(Simulator):
    """An engine that answers when it is told to."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("42", faults=faults)
        self.asked, self.told = 0, asyncio.Event()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.asked += 1
        await self.told.wait()
        async with aclosing(super().generate(call)) as stream:
            async for chunk in stream:
                yield chunk


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- counters of an engine tell nobody that they changed
            await asyncio.sleep(0.01)


async def solving_in_silence(store: Store, engine: Answering) -> tuple[asyncio.Task[Solution], Silence]:
    """A solve whose first call is under way, and whose lease is not renewed any more."""
    silence = Silence(store)
    solving = asyncio.create_task(service_of(store, engine).solve(REQUEST))
    await until(lambda: engine.asked == 1)
    silence.begin()
    return solving, silence


async def taken_over(store: Store) -> None:
    """Claim the task as soon as its lease has lapsed."""
    async with asyncio.timeout(60):
        while await store.claim("the heir", 30) is None:  # noqa: ASYNC110 -- no event tells that
            await asyncio.sleep(0.02)


async def test_no_call_starts_while_the_lease_is_not_sure(store: Store) -> None:
    engine = Answering()
    solving, silence = await solving_in_silence(store, engine)
    (task,) = await store.list()
    while (task.lease_expires_at or 0.0) >= time.time():
        await asyncio.sleep(0.1)
        task = await store.get(task.id)
    engine.told.set()
    await until(lambda: engine.counters().finished == 1)
    await asyncio.sleep(0.2)
    assert engine.asked == 1
    silence.end()
    assert (await solving).answer == "42"
    assert engine.asked == 2


async def test_who_finds_the_task_taken_over_makes_no_further_call(store: Store) -> None:
    engine = Answering()
    solving, silence = await solving_in_silence(store, engine)
    await taken_over(store)
    engine.told.set()
    await until(lambda: engine.counters().finished == 1)
    silence.end()
    with pytest.raises(Unavailable, match="the heir") as lost:
        await solving
    assert lost.value.code == "lease_lost"
    assert engine.asked == 1


async def test_calls_in_flight_are_aborted_when_the_task_was_taken_over(store: Store) -> None:
    engine = Answering(Fault(kind="hang"))
    engine.told.set()
    solving, silence = await solving_in_silence(store, engine)
    await taken_over(store)
    silence.end()
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable, match="the heir"):
            await solving
    assert (engine.asked, engine.counters().aborted) == (1, 1)


async def test_the_lease_is_kept_while_the_engine_starts(store: Store) -> None:
    engine = Loading()
    solving = asyncio.create_task(service_of(store, engine).solve(REQUEST))
    await engine.asked.wait()
    (task,) = await store.list()
    lapses = {task.lease_expires_at or 0.0}
    async with asyncio.timeout(60):
        while len(lapses) < 6:
            await asyncio.sleep(0.02)
            lapses.add((await store.get(task.id)).lease_expires_at or 0.0)
    assert max(lapses) > min(lapses) + 0.3
    engine.loaded.set()
    assert (await solving).answer == "42"


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_cancel_is_obeyed_while_the_engine_starts(store: Store, elsewhere: bool) -> None:
    engine = Loading()
    service = service_of(store, engine)
    claim = await service.start(REQUEST)
    running = asyncio.create_task(service.run(claim))
    await engine.asked.wait()
    await (store.request_cancel(claim.task.id) if elsewhere else service.cancel(claim.task.id))
    async with asyncio.timeout(60):
        await running
    assert (await store.get(claim.task.id)).status is TaskStatus.CANCELLED


async def test_a_task_that_is_to_be_cancelled_is_not_begun(store: Store) -> None:
    """Its process had died before it heard of it."""
    dead = await store.start(service_of(store, Simulator()).check(REQUEST), "dead", 0.01)
    await store.request_cancel(dead.task.id)
    engine = Simulator("42")
    service = service_of(store, engine)
    async with service.working():
        _ = [event async for event in service.events(dead.task.id)]
    assert (await store.get(dead.task.id)).status is TaskStatus.CANCELLED
    assert engine.counters().started == 0


async def test_a_resumed_run_that_is_to_be_cancelled_ends_its_journal(store: Store) -> None:
    """It needs no engine for that."""
    service = service_of(store, Simulator("42", cost=CostModel(latency=30.0)))
    task = await hand_back_at(service, EventType.NODE_ADDED)
    lapsed = await store.claim("dead", 0.01)
    assert lapsed is not None
    await store.request_cancel(task.id)
    await asyncio.sleep(0.03)
    claim = await store.claim("later", 30)
    assert claim is not None
    await service_of(store, Loading()).run(claim)
    events = [event async for event in store.read(task.id)]
    assert events[-1].type is EventType.RUN_FINISHED
    assert events[-1].data["outcome"] == "cancelled"


async def hand_back_at(service: Service, kind: EventType, number: int = 1) -> Task:
    """Submit a task, and hand it back as soon as the ``number``-th event of a kind is told of."""
    task = await service.submit(REQUEST)
    async with service.working(), aclosing(service.events(task.id)) as events:
        async for item in events:
            if isinstance(item, Event) and item.type is kind:
                number -= 1
                if not number:
                    break
    handed = await service.store.get(task.id)
    assert (handed.status, handed.attempts) == (TaskStatus.QUEUED, 0)
    return handed


async def test_what_is_handed_back_has_all_that_was_journalled(store: Store) -> None:
    """The second call is in flight, and the result of the first may not be stored yet."""
    first, second = Simulator("42", faults=[Fault(kind="hang", calls={1})]), Simulator("42")
    task = await hand_back_at(service_of(store, first), EventType.NODE_ADDED, 2)
    assert (first.counters().finished, first.counters().aborted) == (1, first.counters().started - 1)
    later = service_of(store, second)
    async with later.working():
        _ = [event async for event in later.events(task.id)]
    assert (await later.solution(task.id)).answer == "42"
    assert second.counters().started == 1


@pytest.mark.parametrize("starting", [False, True])
async def test_who_follows_a_task_that_is_handed_back_is_told(store: Store, starting: bool) -> None:
    engine = Loading() if starting else Simulator("42", cost=CostModel(latency=30.0))
    service = service_of(store, engine)
    claim = await service.start(REQUEST)

    async def follow() -> None:
        async for _ in service.follow(claim):
            pass

    following = asyncio.create_task(follow())
    await until(
        lambda: engine.asked.is_set() if isinstance(engine, Loading) else engine.counters().started == 1
    )
    service.hand_back()
    with pytest.raises(HandedBack, match="put back into the queue"):
        await following
    task = await store.get(claim.task.id)
    assert (task.status, task.attempts, task.cancel_requested) == (TaskStatus.QUEUED, 0, False)
    assert engine.counters().in_flight == 0


async def test_a_dead_task_goes_on_when_it_is_put_back(store: Store) -> None:
    claim = await store.start(service_of(store, Simulator()).check(REQUEST), "crashing", 0.01)
    await asyncio.sleep(0.05)
    assert await store.claim("next", 30, max_attempts=1) is None
    service = service_of(store, Simulator("42"))
    with pytest.raises(TaskFailed, match="given up after 1 attempts"):
        await service.solution(claim.task.id)
    async with service.working():
        await service.requeue(claim.task.id)
        items = [item async for item in service.events(claim.task.id)]
    assert items
    solution = await service.solution(claim.task.id)
    assert isinstance(solution, Solution)
    with pytest.raises(Unavailable, match="only a dead task"):
        await service.requeue(claim.task.id)


async def test_a_dead_task_has_the_time_of_its_budget_again_when_it_is_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Answering()
    slow = service_of(store, engine)
    request = REQUEST.model_copy(update={"budget": BudgetRequest(seconds=1000.0)})
    claim = await slow.start(request)
    running = asyncio.create_task(slow.run(claim))
    await until(lambda: engine.asked == 1)
    slow.hand_back()
    with pytest.raises(HandedBack):
        await running
    assert await store.last_seq(claim.task.id) >= 0
    await store.claim("crashing", 0.01)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 1200)
    assert await store.claim("next", 30, max_attempts=1) is None
    service = service_of(store, Simulator("42"))
    async with service.working():
        await service.requeue(claim.task.id)
        _ = [item async for item in service.events(claim.task.id)]
    assert (await service.solution(claim.task.id)).answer == "42"
    await service.replay(claim.task.id)


async def test_a_process_may_claim_anew_what_it_has_lost(store: Store) -> None:
    engine, silence = Answering(), Silence(store)
    async with service_of(store, engine, grace=60.0).working() as service:
        first = await service.submit(REQUEST)
        await until(lambda: engine.asked == 1)
        silence.begin()
        await until(lambda: engine.asked == 2)  # the lease has lapsed, and the queue has found the task
        silence.end()
        engine.told.set()
        second = await service.submit(REQUEST)
        async with asyncio.timeout(60):
            for task in (first, second):
                _ = [event async for event in service.events(task.id)]
    for task in (first, second):
        assert (await service.solution(task.id)).answer == "42"
        assert (await service.replay(task.id)).result.answer is not None
    assert service.running == 0


async def test_who_leaves_a_solve_as_its_end_is_stored_has_left(store: Store) -> None:
    finish, stored = store.finish, asyncio.Event()

    async def slowly(*ending: Any, **told: Any) -> None:
        await finish(*ending, **told)
        stored.set()
        await asyncio.Event().wait()

    store.finish = slowly  # type: ignore[method-assign]
    solving = asyncio.create_task(service_of(store, Simulator("42"), lease=30.0).solve(REQUEST))
    await stored.wait()
    store.finish = finish  # type: ignore[method-assign]
    solving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await solving
    (task,) = await store.list()
    assert task.status is TaskStatus.SUCCEEDED


async def test_who_leaves_a_solve_as_it_is_accepted_leaves_no_task_to_be_run(store: Store) -> None:
    start, stored, answered = store.start, asyncio.Event(), asyncio.Event()

    async def slowly(*asked: Any) -> Claim:
        claim = await start(*asked)
        stored.set()
        await answered.wait()
        return claim

    store.start = slowly  # type: ignore[assignment, method-assign]
    solving = asyncio.create_task(service_of(store, Simulator("42"), lease=30.0).solve(REQUEST))
    await stored.wait()
    solving.cancel()
    await asyncio.sleep(0)
    answered.set()
    with pytest.raises(asyncio.CancelledError):
        await solving
    (task,) = await store.list()
    assert task.status is TaskStatus.CANCELLED


async def test_who_leaves_a_stream_is_not_told_that_its_task_was_taken_over(store: Store) -> None:
    engine, silence = Answering(), Silence(store)
    silence.begin()
    items = service_of(store, engine).stream(REQUEST)
    await anext(items)
    await taken_over(store)
    await items.aclose()
    (task,) = await store.list()
    assert task.lease_owner == "the heir"


async def test_who_watches_a_task_sees_its_end_wherever_it_runs(store: Store) -> None:
    engine = Answering()
    async with service_of(store, engine).working() as service:
        task = await service.submit(REQUEST)

        async def watch() -> None:
            async for event in service.events(task.id):
                seen.append(event)

        await until(lambda: service.running == 1)  # from now on it is told of what happens here
        seen: list[Event | Progress] = []
        watching = asyncio.create_task(watch())
        await until(lambda: engine.asked == 1 and len(seen) == 2)
    async with asyncio.timeout(60), service_of(store, Simulator("42")).working():
        await watching
    assert seen == [event async for event in store.read(task.id)]
    assert isinstance(seen[-1], Event)
    assert seen[-1].type is EventType.RUN_FINISHED


async def test_who_watches_a_task_is_not_told_that_it_was_taken_over(store: Store) -> None:
    engine, silence = Answering(), Silence(store)
    async with service_of(store, engine).working() as service:
        task = await service.submit(REQUEST)
        await until(lambda: engine.asked == 1)
        silence.begin()
    claim = await store.claim_task(task.id, "the heir", 30)
    feed = Feed(Hold(store, claim))
    feed.open(store.writer(task.id, claim.fence - 1, next_seq=99))
    feed.append(Event(99, EventType.NODE_CHUNK, "1", 0.0, {"text": "late"}))

    async def listen() -> list[int]:
        return [item.seq async for item in feed.listen(store, task.id, -1) if isinstance(item, Event)]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    feed.append(Event(100, EventType.NODE_CHUNK, "1", 0.0, {"text": "later"}))
    feed.end()
    assert await listening == [0, 1]
