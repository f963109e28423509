"""Services, callers, crashes and databases at random, and what must hold whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import AnabranchError
from orchestrator.planning.planner import Planner
from orchestrator.planning.planner import planner as declared
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.plain import digest
from orchestrator.runtime.values import Answer, Budget, Question
from orchestrator.settings import Settings
from orchestrator.tasks import hold
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.voting import symbolic
from storage import archive
from storage import tasks as storage_tasks
from storage.errors import StorageError, StorageUnavailable
from storage.events import Event, EventType
from storage.memory import MemoryStore
from storage.sql import lease
from storage.sql import store as sql
from storage.sql.database import open_database
from storage.sql.store import SqlStore
from storage.sql.transactions import Body, Database
from storage.store import Store
from storage.tasks import Task, TaskStatus
from tests.orchestrator.runtime import harness
from tests.orchestrator.runtime.programs import CALM, RACY, Step, interpret, simulator
from tests.workers.virtual_time import VirtualTimeLoop
from workers.calls import Call, Chunk, Usage
from workers.engines.simulator.engine import Simulator

T = TypeVar("T")

CHAOS_SECONDS = 40.0
END_SECONDS = 3_000.0
CALL_SECONDS = 5.0
EPOCH = 1_750_000_000.0
TENANTS = ("red", "green", "blue")

_process: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


# -- planners -------------------------------------------------------------------------------------


def program(rng: Random, verbs: tuple[Any, ...], size: int, depth: int = 2) -> tuple[Step, ...]:
    steps = []
    for _ in range(rng.randrange(1, size + 1)):
        nodes = tuple(rng.randrange(6) for _ in range(rng.randrange(4)))
        number = rng.randrange(100)
        if depth and rng.random() < 0.2:
            if "cancel" not in verbs:
                number |= 1  # it never waits for itself
            steps.append(Step("spawn", nodes, number, program(rng, verbs, size // 2, depth - 1)))
        else:
            steps.append(Step(rng.choice(verbs), nodes, number))
    return tuple(steps)


async def calm(run: Run, question: Question, *, size: int = 8) -> Answer:
    """Gives one answer, however long everything takes."""
    return Answer(await interpret(run, program(Random(question.text), CALM, size), []))


async def racy(run: Run, question: Question, *, size: int = 8) -> Answer:
    """Does whatever a planner can."""
    return Answer(await interpret(run, program(Random(question.text), RACY, size), []))


PLANNERS: dict[str, Planner] = {"calm": declared("calm")(calm), "racy": declared("racy")(racy)}


# -- the world ------------------------------------------------------------------------------------


def _made(loop: Any, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
    """A task that its process knows of."""
    task = asyncio.Task(coroutine, loop=loop, **settings)
    if (process := _process.get()) is not None:
        process.tasks[task] = None
        task.add_done_callback(process.tasks.pop)
    return task


class World(VirtualTimeLoop):
    """Virtual time in which transactions take time too."""

    def __init__(self, rng: Random, pauses: Sequence[float]) -> None:
        super().__init__()
        self.rng = rng
        self.pauses = pauses

    def run_in_executor(self, _executor: Any, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run it in one piece some time later, and tell of it still later."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            tell: Callable[[], None]
            asyncio._set_running_loop(None)  # as in a thread of its own
            try:
                tell = partial(future.set_result, function(*args))
            except BaseException as error:
                tell = partial(future.set_exception, error)
            finally:
                asyncio._set_running_loop(self)
            self.call_later(self._pause(), lambda: None if future.cancelled() else tell())

        self.call_later(self._pause(), work)
        return future

    def _pause(self) -> float:
        return self.rng.choice(self.pauses)


class Link(Database):
    """What one process has of the database: it may be slow for a while, or cut for ever."""

    def __init__(self, database: Database, rng: Random, doubt: float) -> None:
        self._database = database
        self.rng = rng
        self.doubt = doubt
        self.dead = False
        self.slow_until = 0.0
        self.broken_until = 0.0

    async def write(self, body: Body[T]) -> T:
        if self.rng.random() < self.doubt:  # the answer to a commit was lost, as PostgreSQL's may be
            with suppress(StorageError, IntegrityError):
                await self._pass(lambda: self._database.write(body))
        return await self._pass(lambda: self._database.write(body))

    async def read(self, body: Body[T]) -> T:
        return await self._pass(lambda: self._database.read(body))

    async def _pass(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await asyncio.sleep(self.slow_until - asyncio.get_running_loop().time())
        if self.dead:
            raise StorageUnavailable("the process is dead")
        if asyncio.get_running_loop().time() < self.broken_until:
            raise StorageUnavailable("the disk is full")
        done = await act()
        if self.dead:
            raise StorageUnavailable("the process is dead")
        return done

    async def close(self) -> None:
        await self._database.close()


@dataclass
class Paid:
    """A call as the engine saw it."""

    call: Call
    at: float
    owner: str
    tokens: int = 0
    usage: Usage | None = None


class Counting:
    """The engine, with a ledger."""

    def __init__(self, engine: Simulator, ledger: list[Paid], owner: str) -> None:
        self._engine = engine
        self._ledger = ledger
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        paid = Paid(call, time.time(), self._owner)
        self._ledger.append(paid)
        async with aclosing(self._engine.generate(call)) as stream:
            async for chunk in stream:
                paid.tokens += chunk.tokens
                paid.usage = chunk.usage or paid.usage
                yield chunk


class Process:
    """A service on a store of its own, and all asyncio tasks that are its."""

    def __init__(self, scenario: Scenario, name: str) -> None:
        self.scenario = scenario
        self.name = name
        self.tasks: dict[asyncio.Task[Any], None] = {}  # in the order in which they began
        self.link: Link
        self.store: Store
        self.service: Service
        self.leaving = asyncio.Event()
        self.crashed = False
        self.life: asyncio.Task[None]
        self.up = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        token = _process.set(self)
        try:
            return asyncio.create_task(work)
        finally:
            _process.reset(token)

    async def start(self) -> None:
        self.life = self.spawn(self._live())
        up = asyncio.create_task(self.up.wait())
        await asyncio.wait([self.life, up], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()

    async def _live(self) -> None:
        scenario = self.scenario
        self.link = Link(await scenario.open_database(), scenario.rng, scenario.doubt)
        async with SqlStore(self.link, None) as self.store:
            engine = Counting(scenario.engine(), scenario.ledger, self.name)
            self.service = Service(
                self.store,
                engine,
                planners=PLANNERS,
                settings=Settings.model_construct(
                    lease_seconds=scenario.lease_seconds,
                    max_attempts=scenario.max_attempts,
                    concurrency=scenario.rng.choice((1, 3, 64)),
                    grace_seconds=scenario.rng.choice((0.01, 1.0, 30.0)),
                    call_seconds=CALL_SECONDS,
                ),
            )
            async with self.service.working():
                self.up.set()
                await self.leaving.wait()

    async def drain(self) -> None:
        self.leaving.set()
        await self.life

    async def crash(self) -> None:
        """It is gone between two moments: nothing that it does on its way out gets anywhere."""
        self.crashed = True
        assert not self.life.done(), "the queue has died"
        self.link.dead = True
        self.link.slow_until = 0.0
        while pending := [task for task in self.tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1.0)


class Scenario:
    """One run; all of it follows from the seed."""

    def __init__(self, seed: int, url: str, scale: float = 1.0) -> None:
        self.scale = scale  # seconds for each of a scenario
        self.url = url
        self.rng = rng = Random(seed)
        self.lease_seconds = rng.choice((0.5, 2.0, 10.0)) if scale == 1.0 else 1.0
        self.max_attempts = rng.choice((1, 2, 50))
        self.room = rng.choice((None, None, 2))
        self.jitter = rng.choice((0.0, 0.8))
        self.doubt = rng.choice((0.0, 0.0, 0.02, 0.3))
        self.hasty = rng.choice((0.0, 0.1, 0.5))
        self.pauses = rng.choice(((0.0,), (0.0, 0.0, 0.001, 0.03), (0.0, 0.01, 0.3)))
        self.trouble = rng.choice((0.05, 0.15, 0.5))
        self.ledger: list[Paid] = []
        self.processes: list[Process] = []
        self.accepted: dict[str, Task] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.pruned = False
        self.taken = 0
        self.ended: dict[str, Task] = {}
        self.counts: dict[str, int] = defaultdict(int)

    async def open_database(self) -> Database:
        return await open_database(self.url)

    def engine(self) -> Simulator:
        return simulator(self.rng.randrange(1000), jitter=self.jitter, room=self.room)

    # -- what happens ---------------------------------------------------------------------------

    async def run(self) -> None:
        rng = self.rng
        asyncio.get_running_loop().set_task_factory(_made)
        clock = asyncio.get_running_loop().time
        until = clock() + CHAOS_SECONDS * self.scale
        for _ in range(rng.randrange(1, 3)):
            await self._start()
        acts: list[asyncio.Task[None]] = []
        for _ in range(rng.choice((5, 20, 50))):
            await asyncio.sleep(self.scale * rng.expovariate(1) * rng.choice((0.0, 0.1, 2.0)))
            if clock() > until:
                break
            if rng.random() < self.trouble:
                await self._trouble()
            else:
                process = rng.choice(self.processes)
                work = process.spawn(self._act(process))
                acts.append(work)
                if rng.random() < self.hasty:
                    asyncio.get_running_loop().call_later(rng.expovariate(2), work.cancel)
        if not self.processes:
            await self._start()
        self.observer = await SqlStore.connect(self.url)
        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(*acts, return_exceptions=True)
            for act in acts:
                if not act.cancelled() and (error := act.exception()):
                    raise error
            while any(not task.status.terminal for task in await self._tasks()):  # noqa: ASYNC110 -- as callers do
                await asyncio.sleep(1.0)
        await asyncio.sleep(
            40.0 * self.scale + 2 * self.lease_seconds
        )  # the slowest process has heard of everything
        for process in self.processes:
            assert process.service.running == 0, "a task is still held"
            await process.drain()
        await self._check()
        await self.observer.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    async def _tasks(self) -> tuple[Task, ...]:
        return await self.observer.list(limit=100_000)

    async def _start(self) -> None:
        process = Process(self, f"p{self.taken}")
        self.taken += 1
        await process.start()
        self.processes.append(process)

    async def _trouble(self) -> None:
        """What happens to a whole process."""
        process = self.rng.choice(self.processes)
        match self.rng.randrange(5):
            case 0 | 1:
                self.counts["crash"] += 1
                self.processes.remove(process)
                await process.crash()
            case 2:
                self.counts["drain"] += 1
                self.processes.remove(process)
                if self.rng.random() < 0.5:
                    process.service.hand_back()
                await process.drain()
            case 3:
                self.counts["slow"] += 1
                process.link.slow_until = asyncio.get_running_loop().time() + self.scale * self.rng.choice(
                    (0.2, 1, 5, 30)
                )
            case 4:
                self.counts["broken"] += 1
                process.link.broken_until = asyncio.get_running_loop().time() + self.scale * self.rng.choice(
                    (0.01, 0.2, 5)
                )
        while len(self.processes) < self.rng.randrange(1, 3):
            await self._start()

    async def _act(self, process: Process) -> None:
        """A request of some caller; it may be refused, but only in words that callers can know."""
        name = self.rng.choice(
            ("submit",) * 6
            + ("solve", "solve", "stream", "cancel", "fork", "fork", "fork", "counterfactual", "requeue")
            + ("replay", "diff", "import", "prune", "events")
        )
        refusal: Exception | None = None
        try:
            self._note_ends(await process.store.list(limit=100_000))
            await getattr(self, f"_{name}")(process)
        except (AnabranchError, StorageError) as error:
            refusal = error
        if refusal is None:
            self.counts[name] += 1
            return
        me, code = asyncio.current_task(), getattr(refusal, "code", "")
        assert code not in ("internal", "storage_error"), repr(refusal)
        assert me is not None
        assert process.crashed or not me.cancelling(), f"a cancelled {name} ended with {refusal!r}"
        self.counts[f"{name} {code}"] += 1

    def _note_ends(self, tasks: Sequence[Task]) -> None:
        """A task that has ended stays as it is, unless it was dead."""
        for task in tasks:
            if task.status.terminal and task.status is not TaskStatus.DEAD:
                assert self.ended.setdefault(task.id, task) == task, "a task ended twice"

    def _request(self) -> Any:
        rng = self.rng
        planner = rng.choice(("calm", "racy"))
        budget: dict[str, Any] = {"seconds": None}
        if planner == "racy" and rng.random() < 0.4:
            budget = {
                "tokens": rng.choice((None, 20, 400)),
                "calls": rng.choice((None, 2, 12)),
                "width": rng.choice((None, 3)),
                "seconds": rng.choice((None, 0.3, 5.0)),
            }
        return parse(
            {
                "query": f"{rng.randrange(30)}",
                "planner": planner,
                "options": {"size": rng.choice((4, 12))},
                "budget": budget,
                "seed": rng.randrange(2**40),
                "tenant": rng.choice(TENANTS),
                "idempotency_key": rng.choice((None, None, f"key {rng.randrange(5)}")),
            }
        )

    def _keyed(self, request: Any, task_id: str) -> None:
        if request.idempotency_key is not None and not self.pruned:
            first = self.keys.setdefault((request.tenant, request.idempotency_key), task_id)
            assert first == task_id, "two tasks have one idempotency key"

    async def _submit(self, process: Process) -> None:
        request = self._request()
        task = await process.service.submit(request)
        self._keyed(request, task.id)
        self.accepted[task.id] = task

    async def _solve(self, process: Process) -> None:
        request = self._request()
        solution = await process.service.solve(request)
        self._keyed(request, solution.trace_id)

    async def _stream(self, process: Process) -> None:
        most = self.rng.choice((3, 1000))
        last: Any = None
        async with aclosing(process.service.stream(self._request())) as items:
            number = 0
            async for item in items:
                assert not isinstance(last, Event) or not isinstance(item, Event) or item.seq == last.seq + 1
                last = item if isinstance(item, Event) else last
                number += 1
                if number == most:
                    break

    async def _pick(self, process: Process, *statuses: TaskStatus) -> Task | None:
        tasks = await process.store.list(limit=1000)
        tasks = tuple(task for task in tasks if not statuses or task.status in statuses)
        return self.rng.choice(tasks) if tasks else None

    async def _cancel(self, process: Process) -> None:
        if task := await self._pick(process):
            after = await process.service.cancel(task.id)
            assert after.status.terminal or after.cancel_requested

    async def _requeue(self, process: Process) -> None:
        if task := await self._pick(process, TaskStatus.DEAD):
            await process.service.requeue(task.id)

    async def _events(self, process: Process) -> None:
        if task := await self._pick(process):
            seqs = [e.seq async for e in process.service.events(task.id) if isinstance(e, Event)]
            assert seqs == list(range(len(seqs)))
            assert process.crashed or (await process.store.get(task.id)).status.terminal

    async def _changed(self, process: Process) -> tuple[Task, list[Event], str, Change] | None:
        if (task := await self._pick(process)) is None:
            return None
        events = [event async for event in process.store.read(task.id)]
        added = [event for event in events if event.type is EventType.NODE_ADDED]
        if not added:
            return None
        at = self.rng.choice(added)
        rng = self.rng
        match at.data["kind"]:
            case "generate":
                change = rng.choice(
                    (
                        Change(prompt=(("user", f"another {rng.randrange(9)}"),)),
                        Change(value="given\nThe answer is 1."),
                        Change(max_tokens=rng.randrange(1, 30)),
                        Change(seed=rng.randrange(9)),
                        Change(temperature=0.1),
                    )
                )
            case "tool":
                change = rng.choice(
                    (Change(value=rng.choice((None, 3, "x"))), Change(arguments={"number": 8, "texts": []}))
                )
            case "vote":
                change = Change(rule=rng.choice(("beta:0.5", "fixed", "all")))
            case _:
                change = Change(value=1)
        return task, events, at.path, change

    async def _fork(self, process: Process) -> None:
        if chosen := await self._changed(process):
            task, events, at, change = chosen
            if task.planner == "calm" and task.status is TaskStatus.SUCCEEDED and self.rng.random() < 0.5:
                await self._idle_fork(process, task, events)
            else:
                await process.service.fork(task.id, at=at, change=change)

    async def _idle_fork(self, process: Process, task: Task, events: list[Event]) -> None:
        """Give a node the value that it had."""
        got = [
            event
            for event in events
            if event.type is EventType.NODE_SETTLED
            and event.data.get("external")
            and event.data["outcome"] == "succeeded"
        ]
        if not got:
            return
        event = self.rng.choice(got)
        value = event.data["value"]
        value = value["text"] if isinstance(value, dict) and "finish_reason" in value else value
        solution = await process.service.fork(task.id, at=event.path, change=Change(value=value))
        assert solution.text == task.solution["text"], "a fork without a change has another answer"
        assert solution.usage.completion == 0 or "failed" in solution.text, "a fork paid again"
        self.counts["idle fork"] += 1

    async def _counterfactual(self, process: Process) -> None:
        if chosen := await self._changed(process):
            task, _, at, change = chosen
            await process.service.counterfactual(task.id, at=at, change=change)

    async def _replay(self, process: Process) -> None:
        if task := await self._pick(process, TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED):
            await process.service.replay(task.id)

    async def _diff(self, process: Process) -> None:
        before, after = await self._pick(process), await self._pick(process)
        if before and after:
            await process.service.difference(before.id, after.id)

    async def _import(self, process: Process) -> None:
        """Write a file, forget the task, and read it for another tenant."""
        if task := await self._pick(process):
            lines = [line async for line in archive.export(process.store, task.id)]
            renamed = [line.replace(task.id, storage_tasks.new_task_id()) for line in lines]
            renamed[0] = renamed[0].replace('"idempotency_key":"', '"idempotency_key":"copy of ')
            copy = await archive.restore(process.store, renamed, tenant=self.rng.choice(TENANTS))
            assert [line async for line in archive.export(process.store, copy.id)][1:] == renamed[1:]

    async def _prune(self, process: Process) -> None:
        rng = self.rng
        self.pruned = True
        await process.store.prune(
            older_than=rng.choice((None, 1.0, 10.0)),
            keep=rng.choice((None, 2, 20)),
            max_bytes=rng.choice((None, 100_000)),
            tenant=rng.choice((None, *TENANTS)),
        )

    # -- what must hold -------------------------------------------------------------------------

    async def _check(self) -> None:
        tasks = await self._tasks()
        self._note_ends(tasks)
        assert self.pruned or self.accepted.keys() <= {task.id for task in tasks}, "a task is gone"
        for tenant in TENANTS:
            own = await self.observer.list(tenant=tenant, limit=100_000)
            assert {task.tenant for task in own} <= {tenant}
        ids = [task.id for task in tasks]
        paid = self._by_task(ids)
        for task in tasks:
            events = [event async for event in self.observer.read(task.id)]
            try:
                await self._check_task(task, events, paid.get(task.id, []))
            except BaseException as error:
                error.add_note(f"task {task.id} {task.status} {task.planner} {task.question} {task.options}")
                raise

    def _by_task(self, ids: list[str]) -> dict[str, list[Paid]]:
        by_family: dict[str, list[Paid]] = defaultdict(list)
        for paid in self.ledger:
            by_family[paid.call.family or ""].append(paid)
        found: dict[str, list[Paid]] = defaultdict(list)
        for paid in self.ledger:
            shared = [[segment.role, segment.text] for segment in paid.call.prompt.segments[:-1]]
            for task_id in ids:
                if digest([task_id, shared]) == paid.call.family:
                    found[task_id].append(paid)
                    break
        return found

    async def _check_task(self, task: Task, events: list[Event], paid: list[Paid]) -> None:
        assert task.status.terminal
        assert task.lease_owner is None
        assert task.lease_expires_at is None
        whole = bool(events) and events[-1].type is EventType.RUN_FINISHED
        self.counts[f"{task.planner} {task.status} {'whole' if whole else 'part'}"] += 1
        if task.status in (TaskStatus.DEAD, TaskStatus.FAILED):
            assert task.error
            assert task.error["code"] not in ("internal", "divergence", "journal_damaged"), task.error
        if task.status is TaskStatus.SUCCEEDED:
            assert whole
        assert sum(event.type is EventType.RUN_FINISHED for event in events) <= 1
        self._check_paid(task, events, paid)
        if not whole:
            return
        harness.check(events)
        service = Service(self.observer, Simulator(), planners=PLANNERS)
        replayed = await service.replay(task.id)
        lines = [line async for line in archive.export(self.observer, task.id)]
        async with MemoryStore() as other:
            await archive.restore(other, lines)
            there = Service(other, Simulator(), planners=PLANNERS)
            assert (await there.replay(task.id)).result == replayed.result
            assert [line async for line in archive.export(other, task.id)] == lines
        if task.solution is not None:
            solution = await service.solution(task.id)
            spent = replayed.result.spent
            assert (solution.usage.prompt, solution.usage.completion, solution.usage.calls) == (
                spent.usage.prompt_tokens,
                spent.usage.completion_tokens,
                spent.calls,
            )
            if task.planner == "calm" and task.parent_id is None:
                assert solution.text == await self._expected(task), "the answer depends on what happened"

    def _check_paid(self, task: Task, events: list[Event], paid: list[Paid]) -> None:
        """No call was sent after its result was stored; what was used is what the engine has counted."""
        asked: dict[str, tuple[str, Any]] = {}
        settled: dict[tuple[str, Any], float] = {}
        counted = 0
        for event in events:
            if (request := event.data.get("request")) and "prompt" in request:
                asked[event.path] = (request["prompt"], request["seed"])
            if event.type is EventType.NODE_SETTLED:
                counted += event.data.get("usage", {}).get("completion_tokens", 0)
                if event.path in asked and "reused" not in event.data:
                    prompt, seed = asked[event.path]
                    settled[str([list(each) for each in prompt]), seed] = event.at
        for one in paid:
            sent = [[segment.role, segment.text] for segment in one.call.prompt.segments]
            at = settled.get((str(sent), one.call.sampling.seed))
            assert at is None or one.at <= at, f"paid at {one.at} for what came at {at}: {sent}"
            assert one.call.tenant == task.tenant or task.tenant not in TENANTS
        whole = bool(events) and events[-1].type is EventType.RUN_FINISHED
        resumed = any(event.type is EventType.RUN_RESUMED for event in events)
        if whole and not resumed and task.attempts == 1 == task.lease_fence and paid:
            assert counted == sum(one.tokens for one in paid), "the tokens are not those of the engine"

    async def _expected(self, task: Task) -> str:
        """What the question gives where nothing ever happens."""
        journal = harness.Journal()
        world = harness.environment(
            simulator(),
            budget=Budget(calls=None, depth=None, width=None, seconds=None),
            call_seconds=CALL_SECONDS,
        )
        question = Question(task.question["query"])
        result = await Executor(Run, world, journal).execute(
            lambda run: calm(run, question, **task.options["options"]), {"planner": "calm"}
        )
        assert result.answer is not None
        return result.answer.text


def drop_what_crashed() -> None:
    """A process that crashes closes no connection: let go of them here, not in the middle of another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


class Clock:
    """All clocks are those of the event loop that a scenario runs in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop: World | None = None
        self._random = Random()
        monkeypatch.setattr(time, "time", lambda: EPOCH + self.now())
        for module in (hold, lease, sql):
            monkeypatch.setattr(module, "monotonic", self.now)
        monkeypatch.setattr(symbolic, "AVAILABLE", False)
        monkeypatch.setattr(storage_tasks, "secrets", self)

    def now(self) -> float:
        """Seconds since the scenario began."""
        return 0.0 if self._loop is None else self._loop.time()

    def randbits(self, bits: int) -> int:
        """In place of ``secrets``."""
        return self._random.getrandbits(bits)

    def run(self, seed: int, url: str) -> Scenario:
        """Run the scenario with that seed to its end; nothing of it is left."""
        self._random = Random(seed)
        scenario = Scenario(seed, url)
        threads = threading.active_count()

        def loop() -> World:
            self._loop = World(Random(-seed), scenario.pauses)
            return self._loop

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(scenario.run())
        drop_what_crashed()
        assert threading.active_count() <= threads
        return scenario
