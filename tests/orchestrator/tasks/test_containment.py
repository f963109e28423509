"""Nothing that happens to one task, at any point of its life, ends the work on the others."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.errors import TaskFailed, Unavailable
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Result
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks import queue
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.feed import Feed
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import Setup
from orchestrator.tasks.solution import Calibrated
from orchestrator.tasks.turns import Turns
from storage.errors import NotStorable, StorageUnavailable
from storage.memory import MemoryStore
from storage.opening import open_store
from storage.store import Store
from storage.tasks import Claim, NewTask, Task, TaskStatus
from workers.engine import Capabilities
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

REQUEST = TaskRequest(query="Anything.", planner="asking")
BAD = REQUEST.model_copy(update={"query": "Bad."})


class PanicException(BaseException):
    """As a library in Rust raises it."""


RAISED = [RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, PanicException]


@planner("asking")
async def asking(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(f"sqlite:///{tmp_path / 'contained.db'}") as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(queue, "LONGEST_PAUSE", 0.05)


def service_of(store: Store, engine: Simulator | None = None, **options: Any) -> Service:
    settings = Settings.model_construct(lease_seconds=options.pop("lease", 30.0), grace_seconds=0.2)
    return Service(
        store, engine or Simulator("42"), planners={"asking": asking}, settings=settings, **options
    )


async def ended(service: Service, task: Task) -> Task:
    async with asyncio.timeout(60):
        while not (now := await service.task(task.id)).status.terminal:  # noqa: ASYNC110 -- nobody tells of it
            await asyncio.sleep(0.02)
    return now


async def works(service: Service) -> None:
    """The service still takes tasks and solves them."""
    assert service.health.failed() is None
    good = await ended(service, await service.submit(REQUEST))
    assert good.status is TaskStatus.SUCCEEDED, good


def failing(
    function: Callable[..., Any], raised: type[BaseException], *, only: Callable[..., bool], times: int = 1
) -> Callable[..., Any]:
    """The function, which raises ``times`` times when it is called with what ``only`` accepts."""
    left = times

    def maybe_raise(*given: Any) -> None:
        nonlocal left
        if left and only(*given):
            left -= 1
            raise raised("on purpose")

    def called(*given: Any, **named: Any) -> Any:
        maybe_raise(*given)
        return function(*given, **named)

    async def awaited(*given: Any, **named: Any) -> Any:
        maybe_raise(*given)
        return await function(*given, **named)

    return awaited if inspect.iscoroutinefunction(function) else called


def of_bad(given: Any, *_: Any) -> bool:
    task = given.hold.claim.task if isinstance(given, Feed) else given.task
    return bool(task.question["query"] == "Bad.")


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("method", ["finish", "heartbeat"])
async def test_a_task_that_the_store_chokes_on_fails_alone(
    store: Store, method: str, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, method, failing(getattr(store, method), raised, only=of_bad))
    engine = Simulator({"Bad": "one two three " * 20, "": "42"}, cost=CostModel(decode_tokens_per_s=100))
    service = service_of(store, engine, lease=0.6)
    async with service.working():
        bad = await ended(service, await service.submit(BAD))
        assert bad.status is TaskStatus.FAILED
        assert bad.error is not None
        assert bad.error["code"] == "internal"
        assert "on purpose" in bad.error["message"]
        await works(service)


@pytest.mark.parametrize("raised", RAISED)
async def test_a_task_whose_end_can_never_be_stored_is_left_to_others(
    store: Store, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "finish", failing(store.finish, raised, only=of_bad, times=100))
    service = service_of(store)
    async with service.working():
        bad = await service.submit(BAD)
        await works(service)
        assert (await service.task(bad.id)).status is TaskStatus.RUNNING
    with pytest.raises(Unavailable, match="cannot be stored") as told:
        await service.solve(BAD)
    assert told.value.code == "storage_error"


async def test_tasks_whose_processes_died_again_and_again_run_apart() -> None:
    """Whatever took the processes down must not use up the attempts of those that ran beside it."""
    seen: list[tuple[int, int]] = []
    together = asyncio.Event()

    @planner("waiting")
    async def waiting(run: Run, question: Question) -> Answer:
        await run.tool("wait")
        return Answer("done")

    async def wait() -> str:
        """Wait for the others."""
        running = [claim.task.attempts for claim in service._queue._running.values()]
        seen.append((sum(attempts > 4 for attempts in running), sum(attempts <= 4 for attempts in running)))
        await asyncio.wait_for(together.wait(), 10)
        return ""

    store = MemoryStore()
    service = Service(
        store,
        Simulator(),
        planners={"waiting": waiting},
        toolbox=Toolbox([tool(wait)]),
        settings=Settings.model_construct(concurrency=64),
    )
    request = TaskRequest(query="q", planner="waiting")
    tasks = [await service.submit(request) for _ in range(6)]
    for task in tasks[:3]:
        store._put(await store.get(task.id), attempts=4, started_at=1.0)  # handed back
    async with service.working():
        while len(seen) < 4:  # noqa: ASYNC110 -- nobody tells of it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert seen[-1] == (1, 3)
        together.set()
        for task in tasks:
            assert (await ended(service, task)).status is TaskStatus.SUCCEEDED
    assert max(suspects for suspects, _ in seen) == 1


@pytest.mark.parametrize("raised", RAISED)
async def test_the_queue_goes_on_when_a_look_at_it_fails(
    store: Store, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = failing(store.claim, raised, only=lambda *_: True, times=3)
    monkeypatch.setattr(store, "claim", looks)
    service = service_of(store)
    async with service.working():
        await works(service)


@pytest.mark.parametrize("raised", [*RAISED, StorageUnavailable])
@pytest.mark.parametrize("method", ["take", "run"])
async def test_the_queue_goes_on_whatever_the_runner_raises(
    store: Store, method: str, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(_: Runner, given: Claim | Feed) -> bool:
        return of_bad(given)

    monkeypatch.setattr(Runner, method, failing(getattr(Runner, method), raised, only=bad))
    service = service_of(store)
    async with service.working():
        await service.submit(BAD)
        await works(service)


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize(("owner", "method"), [(Feed, "end"), (Turns, "turn")])
async def test_a_listener_that_cannot_be_told_harms_no_task(
    store: Store, owner: type, method: str, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_of(store)
    async with service.working():
        last = await service.submit(BAD)
        monkeypatch.setattr(owner, method, failing(getattr(owner, method), raised, only=lambda *_: True))
        assert (await ended(service, last)).status is TaskStatus.SUCCEEDED
        await works(service)
        async with asyncio.timeout(60):
            while service.running:  # noqa: ASYNC110 -- a task is let go a moment after its end is stored
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("raised", RAISED)
async def test_a_log_that_cannot_be_written_harms_no_task(
    store: Store, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Callable[..., None]:
            def write(*_: Any, **__: Any) -> None:
                raise raised("the disk is full")

            return write

    for module in ("queue", "runner", "containment"):
        monkeypatch.setattr(f"orchestrator.tasks.{module}.log", Broken())
    service = service_of(store, Simulator("42", faults=[Fault(kind="refuse", calls={0})]))
    async with service.working():
        bad = await ended(service, await service.submit(BAD))
        assert bad.status is TaskStatus.FAILED
        await works(service)


@pytest.mark.parametrize("raised", RAISED)
async def test_an_engine_that_raises_what_it_must_not_is_asked_again(
    store: Store, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Simulator):
        asked = 0

        async def capabilities(self) -> Capabilities:
            Odd.asked += 1
            if Odd.asked == 1:
                raise raised("on purpose")
            return await super().capabilities()

    monkeypatch.setattr(queue, "LONGEST_START_DELAY", 0.01)
    service = service_of(store, Odd("42"))
    async with service.working():
        await works(service)


@pytest.mark.parametrize("raised", RAISED)
async def test_an_answer_is_kept_when_its_calibration_breaks(
    store: Store, raised: type[BaseException]
) -> None:
    class Broken(Calibrations):
        def apply(self, setup: Setup, result: Result) -> Calibrated | str:
            raise raised("on purpose")

    service = service_of(store, calibrations=Broken())
    solution = await service.solve(REQUEST)
    assert solution.answer == "42"
    assert solution.uncalibrated == "the calibration cannot be applied: on purpose"


@pytest.mark.parametrize("answer", [Answer(cast(str, 72)), Answer("42", confidence=float("nan")), 72])
async def test_a_planner_that_returns_something_else_fails_alone(store: Store, answer: Any) -> None:
    @planner("wrong")
    async def wrong(run: Run, question: Question) -> Answer:
        return cast(Answer, answer)

    service = service_of(store)
    service.add_planner(wrong)
    async with service.working():
        bad = await ended(service, await service.submit(BAD.model_copy(update={"planner": "wrong"})))
        assert bad.status is TaskStatus.FAILED
        await works(service)
    with pytest.raises(TaskFailed):
        await service.solve(BAD.model_copy(update={"planner": "wrong"}))


async def test_a_solution_that_the_database_refuses_is_a_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PostgreSQL refuses a NUL. What it says of it may hold what it refused."""
    finish = store.finish

    async def refusing(claim: Claim, status: TaskStatus, **told: Any) -> None:
        if status is TaskStatus.SUCCEEDED:
            raise NotStorable("the text '4\0\ud8002' cannot be stored")
        await finish(claim, status, **told)

    monkeypatch.setattr(store, "finish", refusing)
    service = service_of(store)
    with pytest.raises(TaskFailed, match=r"'4\\x00\\ud8002'") as told:
        await service.solve(REQUEST)
    assert told.value.code == "not_storable"


@pytest.mark.parametrize(
    "damage",
    [
        {"question": {"context": ""}},
        {"question": ["?"]},
        {"question": None},
        {"options": {"sampling": 3}},
        {"options": {"budget": {"bricks": 1}}},
        {"options": {"options": {"no": "such"}}},
    ],
)
async def test_a_task_whose_request_is_damaged_fails_alone(
    store: Store, damage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_of(store)
    good = service.check(REQUEST)
    wrong: dict[str, Any] = {
        "question": good.question,
        "planner": "asking",
        "options": good.options,
        **damage,
    }
    bad = await store.submit(NewTask(**wrong))
    async with service.working():
        now = await ended(service, bad)
        assert now.status is TaskStatus.FAILED
        assert now.error is not None
        assert now.error["code"] in ("journal_damaged", "invalid_request")
        await works(service)


async def test_a_solution_that_is_damaged_is_the_fault_of_the_service(store: Store) -> None:
    service = service_of(store)
    claim = await store.start(service.check(REQUEST), "me", 30)
    await store.finish(claim, TaskStatus.SUCCEEDED, outcome="answered", solution={"answer": 3})
    with pytest.raises(Unavailable, match=f"task {claim.task.id}: its stored solution is damaged") as told:
        await service.solution(claim.task.id)
    assert (told.value.code, told.value.http_status) == ("journal_damaged", 500)


async def test_a_queue_that_ends_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known that ends it; it is noticed all the same."""
    service = service_of(store, Simulator("word " * 500, cost=CostModel(decode_tokens_per_s=5)))

    def broken(*_: Any) -> None:
        raise LookupError("on purpose")

    async with service.working():
        assert service.health.failed() is None
        monkeypatch.setattr(queue.Queue, "_take", broken)
        await service.submit(REQUEST)
        async with asyncio.timeout(60):
            while service.health.failed() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert service.health.failed() == "the queue has ended: LookupError: on purpose"
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "queue"]


async def test_a_drain_is_not_held_up_by_what_does_not_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LEAVING_SECONDS", 0.1)
    released = asyncio.Event()
    started = asyncio.Event()

    async def stubborn(self: Runner, feed: Feed) -> None:
        started.set()
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    monkeypatch.setattr(Runner, "run", stubborn)
    service = service_of(store)
    async with asyncio.timeout(60), service.working():
        task = await service.submit(REQUEST)
        await started.wait()
    assert (await service.task(task.id)).status is TaskStatus.QUEUED
    released.set()
