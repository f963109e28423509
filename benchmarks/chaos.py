"""Kill processes that run tasks, and count what is lost, done twice, or paid twice.

``python -m benchmarks.chaos --tasks 1000`` runs worker processes over one database and one simulated
server, kills them with SIGKILL at random, stops some beyond their lease and lets them go on, and starts new
ones, until every task has ended. ``--outages 30`` starts a PostgreSQL server of its own beneath them, which
crashes and is cut off at random, for up to 30 s, while the clocks of the workers differ by minutes.
``--boundaries`` kills a worker right before and right after each event of a run instead. Every seed of a call
is unique to its node, and every answer has the number of its call, so it shows what is asked for again after
an answer that was kept.

``--hostile`` runs ``anabranch serve`` in ``--processes`` processes, submits ``--tasks`` good tasks (200) over
HTTP and kills the processes ``--kills`` times in all, first calmly, and then among hostile planners, tools,
engines and damaged rows, each thrown in once; ``--only planner.loops,row`` throws in these alone. The good
tasks must not notice, and what the processes say of their health must be true at every moment. With
``--deadly`` there are also planners that end their process, which costs the others time. A table says how
each hostile item ended; all that the processes write goes to ``--logs``, a new directory by default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.postgres import Network, PostgresServer, Proxy, postgres
from orchestrator import logs
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.hindsight.verifying import verify
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from storage.events import Event, EventType
from storage.opening import open_store
from storage.store import Store, Writer
from storage.tasks import TaskStatus
from workers.calls import Call
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.simulator.engine import CostModel, Simulator
from workers.engines.simulator.server import serving

BRANCHES = 4


@planner("chaos")
async def chaos(run: Run, question: Question) -> Answer:
    """A vote between two calls."""
    opening = await run.generate("Begin.")
    vote = await run.vote(f"Vote on {opening.text}", width=BRANCHES, rule="fixed")
    closing = await run.generate(f"End {vote.claim}.")
    return Answer(closing.text, vote.claim)


# -- the worker process -------------------------------------------------------------------------------


async def work(given: argparse.Namespace) -> None:
    """Take tasks from the queue until told to stop by a signal, or run one task and die on the way."""
    _set_clock(given.skew or 0.0)
    engine = OpenAIEngine(given.server)
    settings = Settings.model_construct(
        lease_seconds=given.lease, concurrency=8, grace_seconds=5.0, max_attempts=1_000
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await open_store(given.database) as store:
        service = Service(store, engine, planners={"chaos": chaos}, settings=settings)
        if given.die_at is not None:
            _die_at(store, given.die_at, given.after)
            await service.solve(_request(given.seed))
        await engine.capabilities()  # so that it takes tasks as soon as it says that it is ready
        async with service.working():
            print("ready", flush=True)
            await stop.wait()
    await engine.close()


def _set_clock(skew: float) -> None:
    """Let the clock of this process be wrong by ``skew`` seconds."""
    right = time.time
    time.time = lambda: right() + skew


def _die_at(store: Store, number: int, after: bool) -> None:
    """Have the process killed at its ``number``-th event, before it is stored or after."""
    make_writer = store.writer
    seen = 0

    class Fatal(Writer):
        def __init__(self, inner: Writer) -> None:
            self._inner = inner

        def append(self, event: Event) -> None:
            nonlocal seen
            seen += 1
            if seen <= number:
                self._inner.append(event)
            elif after:
                self._inner.append(event)
                asyncio.ensure_future(self._die())  # noqa: RUF006 -- the process does not outlive it
            else:
                os.kill(os.getpid(), signal.SIGKILL)

        async def _die(self) -> None:
            await self._inner.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        async def flush(self) -> None:
            await self._inner.flush()

        async def room(self) -> None:
            await self._inner.room()

    def writer(task_id: str, fence: int, *, next_seq: int = 0) -> Writer:
        return Fatal(make_writer(task_id, fence, next_seq=next_seq))

    store.writer = writer  # type: ignore[method-assign]


# -- the test -----------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """What the simulated server was asked, by seed: the numbers of the calls, in their order."""

    calls: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def answer(self, call: Call, rng: random.Random) -> str:
        self.count += 1
        self.calls[call.sampling.seed or 0].append(self.count)
        return f"Call {self.count}. The answer is {rng.choice([1, 1, 1, 2])}."


def _number(event: Event) -> int:
    """Of the call whose answer settles a node; 0 if the event is another one."""
    if not event.data.get("external") or event.data["outcome"] != "succeeded":
        return 0
    found = re.match(r"Call (\d+)\.", event.data["value"]["text"])
    assert found is not None, event
    return int(found[1])


class Outages:
    """A PostgreSQL server that crashes, or is cut off for up to ``longest`` seconds."""

    def __init__(self, server: PostgresServer, proxy: Proxy, longest: float) -> None:
        self._server = server
        self._proxy = proxy
        self._longest = longest
        self.url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        self.count = 0

    async def happen(self, rng: random.Random, every: float, over: asyncio.Event) -> None:
        """One after the other, each ``every`` seconds or so, until it is ``over``."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), every * rng.uniform(0.5, 1.5))
                return
            self.count += 1
            seconds = rng.uniform(0.0, self._longest)
            if rng.random() < 0.4:
                await asyncio.to_thread(self._server.crash)
                await asyncio.sleep(seconds / 4)
                await asyncio.to_thread(self._server.start)
            else:
                self._proxy.set(rng.choice([Network.DOWN, Network.DOWN, Network.SILENT]))
                await asyncio.sleep(seconds)
                self._proxy.set(Network.UP)


@asynccontextmanager
async def breakable(longest: float) -> AsyncIterator[Outages]:
    """A new server, behind a network that can be cut."""
    async with AsyncExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, postgres())
        proxy = await stack.enter_async_context(Proxy(server.socket).listening())
        yield Outages(server, proxy, longest)


@dataclass(frozen=True)
class Report:
    """What a run of the test found; ``resume_seconds`` are from a kill to the task's next event."""

    tasks: int
    lost: int
    finished_twice: int
    paid_twice: int
    extra_calls: int
    extra_allowed: int
    open_leases: int
    replays_differing: int
    kills: int
    outages: int
    takeovers: int
    slowest_resume_leases: float
    seconds: float
    undisturbed: bool

    def checks(self) -> list[dict[str, Any]]:
        """The promises, in the form that all benchmarks have."""
        rows: list[tuple[str, float, float]] = [
            ("tasks lost", self.lost, 0),
            ("tasks finished twice", self.finished_twice, 0),
            ("finished calls paid twice", self.paid_twice, 0),
            ("extra calls over the branches in flight at kills", self.extra_calls - self.extra_allowed, 0),
            ("leases still held", self.open_leases, 0),
            ("replays that differ", self.replays_differing, 0),
        ]
        if self.undisturbed:  # else a successor may be killed before it can show that it has taken over
            rows.append(("slowest resume, in leases", self.slowest_resume_leases, 2.0))
        return [
            {"name": name, "value": value, "bound": bound, "passed": value <= bound}
            for name, value, bound in rows
        ]


class Workers:
    """Worker processes that are killed and replaced. Their clocks are wrong by up to ``skew`` seconds."""

    def __init__(self, database: str, server: str, lease: float, skew: float = 0.0) -> None:
        self._arguments = ["--database", database, "--server", server, "--lease", str(lease)]
        self._skew = skew
        self._running: list[asyncio.subprocess.Process] = []
        self.kills = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def fill(self, count: int, rng: random.Random) -> None:
        """Start as many as are missing; those that found no database at their start have ended."""
        self._running = [process for process in self._running if process.returncode is None]
        skews = [rng.uniform(-self._skew, self._skew) for _ in range(count - len(self._running))]
        await asyncio.gather(*(self.start("--skew", str(skew)) for skew in skews))

    async def start(self, *extra: str) -> asyncio.subprocess.Process:
        """One more; it has begun to take tasks, or has died, when this returns."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.chaos", "--worker", *self._arguments, *extra),
            stdout=asyncio.subprocess.PIPE,
        )
        self._running.append(process)
        assert process.stdout is not None
        await process.stdout.readline()
        return process

    async def kill(self, rng: random.Random) -> None:
        """SIGKILL for one of them, if there is one."""
        if not self._running:
            return
        process = self._running.pop(rng.randrange(len(self._running)))
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self.kills += 1

    async def freeze(self, rng: random.Random, seconds: float) -> None:
        """Stop one of them for so long, and let it go on."""
        if not self._running:
            return
        process = rng.choice(self._running)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            process.send_signal(signal.SIGCONT)
            self.kills += 1

    async def stop(self) -> None:
        """Drain what is left."""
        for process in self._running:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._running:
            await process.wait()


@asynccontextmanager
async def served(ledger: Ledger, latency: float = 0.03) -> AsyncIterator[str]:
    """The simulated server, in this process; a call takes ``latency`` seconds or so."""
    simulator = Simulator(ledger.answer, cost=CostModel(latency=latency, jitter=0.4))
    async with serving(simulator) as url:
        yield url


async def at_random(
    database: str,
    *,
    tasks: int,
    workers: int,
    lease: float,
    seed: int,
    every: float = 1.0,
    latency: float = 0.03,
    skew: float = 0.0,
    outages: Outages | None = None,
) -> Report:
    """Kill and freeze workers at random, each ``every`` seconds or so, until all tasks have ended.

    ``skew`` is by how many seconds the clocks of the workers may be wrong. ``outages`` of the database come
    a tenth as often as kills.
    """
    rng = random.Random(seed)
    ledger = Ledger()
    started = time.perf_counter()
    async with (
        served(ledger, latency) as server,
        await open_store(database) as store,
        Workers(database, server, lease, skew) as crew,
    ):
        await crew.fill(workers, rng)
        ids = await _submit(store, tasks)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            if outages is not None:
                group.create_task(outages.happen(rng, 10 * every, over))
            while await _open_tasks(store, ids):
                await asyncio.sleep(every * rng.uniform(0.5, 1.5))
                if rng.random() < 0.25:
                    await crew.freeze(rng, 1.5 * lease)
                else:
                    await crew.kill(rng)
                await crew.fill(workers, rng)
            over.set()
        await crew.stop()
        seconds = time.perf_counter() - started
        broken = outages.count if outages else 0
        return await _audit(store, ids, ledger, crew.kills, broken, lease, seconds, undisturbed=False)


async def at_boundaries(database: str, *, lease: float, stride: int = 1) -> Report:
    """Kill a worker at every ``stride``-th event of a run, before it is stored and after."""
    ledger = Ledger()
    started = time.perf_counter()
    async with (
        served(ledger) as server,
        await open_store(database) as store,
        Workers(database, server, lease) as crew,
    ):
        events = await _length_of_a_run(store, server)
        await crew.start()
        for number in range(0, events, stride):
            for extra in ((), ("--after",)):
                crew.kills += 1
                dying = await crew.start("--die-at", str(number), "--seed", str(crew.kills), *extra)
                await dying.wait()
        ids = [task.id for task in await store.list(limit=10_000)]
        while await _open_tasks(store, ids):  # noqa: ASYNC110 -- other processes end them
            await asyncio.sleep(0.2)
        await crew.stop()
        seconds = time.perf_counter() - started
        return await _audit(store, ids, ledger, crew.kills, 0, lease, seconds, undisturbed=True)


def _request(seed: int) -> TaskRequest:
    return parse({"query": "?", "planner": "chaos", "seed": seed})


async def _submit(store: Store, count: int) -> list[str]:
    service = Service(store, Simulator("unused"), planners={"chaos": chaos})
    return [(await service.submit(_request(seed))).id for seed in range(count)]


async def _length_of_a_run(store: Store, server: str) -> int:
    engine = OpenAIEngine(server)
    service = Service(store, engine, planners={"chaos": chaos})
    solution = await service.solve(_request(0))
    await engine.close()
    return await store.last_seq(solution.trace_id) + 1


async def _open_tasks(store: Store, ids: list[str]) -> int:
    waiting = await store.list(status=TaskStatus.QUEUED, limit=len(ids) + 1)
    running = await store.list(status=TaskStatus.RUNNING, limit=len(ids) + 1)
    return len(waiting) + len(running)


async def _audit(
    store: Store,
    ids: list[str],
    ledger: Ledger,
    kills: int,
    outages: int,
    lease: float,
    seconds: float,
    *,
    undisturbed: bool,
) -> Report:
    lost = twice = paid_twice = extra = allowed = leases = takeovers_of_all = 0
    slowest = 0.0
    runs: dict[str, list[Event]] = {}
    for task_id in ids:
        task = await store.get(task_id)
        events = [event async for event in store.read(task_id)]
        runs[task_id] = events
        lost += task.status is not TaskStatus.SUCCEEDED
        leases += task.lease_owner is not None
        twice += Counter(event.type for event in events)[EventType.RUN_FINISHED] > 1
        kept = {event.path: number for event in events if (number := _number(event))}
        takeovers = task.lease_fence - 1
        takeovers_of_all += takeovers
        for event in events:
            if seed := (event.data.get("request") or {}).get("seed"):
                calls = ledger.calls[seed]
                extra += len(calls) - 1
                allowed += min(takeovers, len(calls) - 1)
                paid_twice += sum(number > kept.get(event.path, math.inf) for number in calls)
        slowest = max(slowest, _longest_gap(events))
    verification = await verify(_each(runs), {"chaos": chaos}.__getitem__)
    return Report(
        tasks=len(ids),
        lost=lost,
        finished_twice=twice,
        paid_twice=paid_twice,
        extra_calls=extra,
        extra_allowed=allowed,
        open_leases=leases,
        replays_differing=len(verification.differing),
        kills=kills,
        outages=outages,
        takeovers=takeovers_of_all,
        slowest_resume_leases=round(slowest / lease, 2),
        seconds=round(seconds, 1),
        undisturbed=undisturbed,
    )


async def _each(runs: dict[str, list[Event]]) -> AsyncIterator[tuple[str, list[Event]]]:
    for task_id, events in runs.items():
        yield task_id, events


def _longest_gap(events: list[Event]) -> float:
    """The longest time from the last event of a dead process to the first of its successor."""
    gaps = [event.at - before.at for before, event in pairwise(events) if event.type is EventType.RUN_RESUMED]
    return max(gaps, default=0.0)


async def _at_random(given: argparse.Namespace, database: str) -> Report:
    async with AsyncExitStack() as stack:
        outages = None
        if given.outages is not None:
            outages = await stack.enter_async_context(breakable(given.outages))
        return await at_random(
            database if outages is None else outages.url,
            tasks=given.tasks,
            workers=given.workers,
            lease=given.lease,
            seed=given.seed,
            every=given.every,
            latency=given.latency,
            skew=given.skew if given.skew is not None else 120.0 if outages else 0.0,
            outages=outages,
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--database", help="URL of an empty database; by default a temporary SQLite file")
    parser.add_argument("--tasks", type=int, help="100; 200 with --hostile")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two kills, or so")
    parser.add_argument("--latency", type=float, default=0.03, help="seconds that a call takes, or so")
    parser.add_argument("--outages", type=float, metavar="SECONDS", help="crash and cut off PostgreSQL")
    parser.add_argument("--skew", type=float, help="seconds; 120 with --outages, else 0")
    parser.add_argument("--boundaries", action="store_true")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--deadly", action="store_true", help="with --hostile: also what ends its process")
    parser.add_argument("--kills", type=int, default=10, help="in all; with --hostile")
    parser.add_argument("--processes", type=int, default=2, help="with --hostile")
    parser.add_argument("--only", metavar="ITEMS", help="with --hostile, such as planner.loops,row")
    parser.add_argument("--logs", metavar="DIRECTORY", help="with --hostile")
    parser.add_argument("--json", action="store_true")
    for hidden in ("--worker", "--after"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--server", help=argparse.SUPPRESS)
    parser.add_argument("--die-at", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logs.configure(Settings.model_construct())  # to standard error; a worker's output says that it is ready
    if given.worker:
        asyncio.run(work(given))
        return
    given.tasks = given.tasks or (200 if given.hostile else 100)
    if given.hostile:
        from benchmarks.hostile.command import main as among_hostility

        among_hostility(given)
        return
    with tempfile.TemporaryDirectory() as directory:
        database = given.database or f"sqlite:///{Path(directory) / 'chaos.db'}"
        if given.boundaries:
            report = asyncio.run(at_boundaries(database, lease=given.lease))
        else:
            report = asyncio.run(_at_random(given, database))
    checks = report.checks()
    if given.json:
        print(json.dumps({"report": report.__dict__, "checks": checks}))
    else:
        print(
            f"{report.tasks} tasks, {report.kills} kills, {report.outages} outages, "
            f"{report.takeovers} takeovers, {report.seconds} s, seed {given.seed}"
        )
        for check in checks:
            verdict = "ok  " if check["passed"] else "FAIL"
            print(f"{verdict} {check['name']}: {check['value']} (at most {check['bound']})")
    sys.exit(0 if all(check["passed"] for check in checks) else 1)


if __name__ == "__main__":
    main()
