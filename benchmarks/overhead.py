"""What the orchestrator costs beside plain asyncio: ``python -m benchmarks.overhead [--full] [--json]``.

Engines here compute nothing: they wait as long as a model would take, so that what is left is ours. Raw
asyncio does the same calls on the same engine, in turns with us within one run. All of it goes through the
service that users have, but for the costs of a node, which are taken from the executor itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.checks import Check, at_least, at_most
from orchestrator import logs
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import user
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.values import Answer, Budget, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.events import Event
from storage.opening import open_store
from workers.calls import Call, Chunk, Completion, Prompt, Segment, Usage
from workers.engine import Capabilities, Engine, Health
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.timeouts import Timeouts
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox

SEED = 20_260_101
CALLS = 8
QUESTION = "What is six times seven?"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    repeats: int
    rounds: int
    nodes: int
    links: int


QUICK = Size(repeats=15, rounds=2, nodes=1_000, links=3)
FULL = Size(repeats=100, rounds=10, nodes=5_000, links=10)


class Waiting:
    """An engine that waits for as many seconds as the first part of a prompt says, and keeps the times."""

    name = "waiting"

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    async def capabilities(self) -> Capabilities:
        return Capabilities(model="waiting")

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        name, _, seconds = call.prompt.segments[0].text.partition(" ")
        self.began[name] = time.perf_counter()
        if float(seconds):
            await asyncio.sleep(float(seconds))
        self.ended[name] = time.perf_counter()
        yield Chunk("ok", 1, finish_reason="stop", usage=Usage(1, 0, 1))

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        pass


class Forgetting:
    """A recorder that keeps nothing: the bare executor."""

    def append(self, event: Event) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def room(self) -> None:
        pass

    async def leased(self) -> None:
        pass


@planner("overhead")
async def eight_calls(run: Run, question: Question) -> Answer:
    """Ask the same eight times at once."""
    nodes = [run.generate(question.text) for _ in range(CALLS)]
    return Answer((await run.join(nodes))[0].text)


async def eight_raw_calls(engine: Engine) -> None:
    async def one() -> str:
        call = Call(Prompt((Segment("user", QUESTION),)))
        return "".join([chunk.text async for chunk in engine.generate(call)])

    await asyncio.gather(*(one() for _ in range(CALLS)))


async def execute(body: Callable[[Run], Coroutine[Any, Any, Answer]], engine: Engine) -> None:
    """Run planner code without a journal."""
    budget = Budget(calls=None, width=None, seconds=None)
    environment = Environment(engine, await engine.capabilities(), Toolbox(), budget=budget)
    result = await Executor(Run, environment, Forgetting()).execute(body, {})
    assert result.outcome is RunOutcome.ANSWERED, result


async def seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


@asynccontextmanager
async def service(engine: Engine, database: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """One solve of eight calls by the service, as a function."""
    request = TaskRequest(query=QUESTION, planner=eight_calls.name)
    async with await open_store(database) as store:
        serving = Service(store, engine, planners={eight_calls.name: eight_calls})
        yield lambda: serving.solve(request)


@asynccontextmanager
async def temporary_database() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'journal.db'}"


async def eight_calls_of_50_ms(size: Size) -> list[Check]:
    """Latency of a single solve, beside the same calls with ``asyncio.gather``."""
    engine = Simulator("The answer is 42.", cost=CostModel(latency=0.05))
    times: dict[str, list[float]] = {"raw": [], "memory": [], "sqlite": []}
    async with (
        service(engine, "memory") as in_memory,
        temporary_database() as url,
        service(engine, url) as in_sqlite,
    ):
        for _ in range(size.repeats):
            times["raw"].append(await seconds(eight_raw_calls(engine)))
            times["memory"].append(await seconds(in_memory()))
            times["sqlite"].append(await seconds(in_sqlite()))
    raw, memory, sqlite = (1e3 * statistics.median(each) for each in times.values())
    return [
        at_most("8 calls of 50 ms over raw asyncio, in memory, ms", memory - raw, 3.0),
        at_most("8 calls of 50 ms over raw asyncio, SQLite journal, ms", sqlite - raw, 10.0),
    ]


@asynccontextmanager
async def simulator_server() -> AsyncIterator[str]:
    """The base URL of a simulator in a process of its own: calls of 50 ms in 32 slots."""
    options = ["--port=0", "--latency=0.05", "--max-concurrency=32", "--answer=The answer is 42."]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers.engines.simulator", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def many_solves(size: Size) -> list[Check]:
    """Throughput of 200 concurrent solves on one HTTP server."""
    count = 200
    ratios = []
    async with simulator_server() as base, temporary_database() as url:
        engine = OpenAIEngine(base, timeouts=Timeouts(connect=60.0))
        try:
            async with service(engine, url) as solve:
                await asyncio.gather(*(eight_raw_calls(engine) for _ in range(count)))  # opens connections
                await solve()
                for _ in range(size.rounds):
                    raw = await seconds(asyncio.gather(*(eight_raw_calls(engine) for _ in range(count))))
                    ours = await seconds(asyncio.gather(*(solve() for _ in range(count))))
                    ratios.append(raw / ours)
        finally:
            await engine.close()
    ratio = statistics.median(ratios)
    return [at_least(f"{count} solves of 8 calls, rate beside raw asyncio", ratio, 0.85)]


async def cpu_of_a_node(size: Size) -> list[Check]:
    """CPU of the whole process for each node, with an engine that answers at once."""
    count = size.nodes

    async def fan_out(run: Run) -> Answer:
        for _ in range(count // 100):
            await run.join([run.generate("all 0") for _ in range(100)])
        return Answer("done")

    async def wide(run: Run) -> Answer:
        await run.join([run.generate("all 0") for _ in range(count)])
        return Answer("done")

    async def chain(run: Run) -> Answer:
        node = run.generate("all 0")
        for _ in range(count - 1):
            node = run.generate([user("all 0"), user(node)])
        await node
        return Answer("done")

    async def votes(run: Run) -> Answer:
        await run.join([run.vote("all 0", rule="fixed", width=9) for _ in range(count // 10)])
        return Answer("done")

    checks = []
    for name, body in {"fan-out": fan_out, "wide": wide, "chain": chain, "vote": votes}.items():
        spent = []
        for _ in range(5):
            gc.collect()
            began = time.process_time()
            await execute(body, Waiting())
            spent.append(1e6 * (time.process_time() - began) / count)
        # What else runs on the machine only ever adds to the time, so the lowest is the nearest.
        checks.append(at_most(f"CPU of a node, {name}, lowest of 5, µs", min(spent), 150.0))
    return checks


async def successor_beside_a_sibling(_size: Size) -> list[Check]:
    """A node whose input is there starts while a sibling still runs."""
    engine = Waiting()

    async def body(run: Run) -> Answer:
        first, sibling = run.generate("first 0.05"), run.generate("sibling 1.0")
        await run.join([run.generate([user("second 0.01"), user(first)]), sibling])
        return Answer("done")

    await execute(body, engine)
    waited = 1e3 * (engine.began["second"] - engine.ended["first"])
    return [at_most("start of a successor beside a sibling of 1 s, ms", waited, 60.0)]


async def makespan(_size: Size) -> list[Check]:
    """A random DAG of 1,000 nodes, beside its longest path.

    Raw asyncio on the same DAG tells how much of the excess is the machine's.
    """
    rng = random.Random(SEED)
    lasts = [rng.uniform(0.05, 0.45) for _ in range(1_000)]
    inputs = [rng.sample(range(at), min(at, rng.randint(0, 3))) for at in range(len(lasts))]
    ends: list[float] = []
    for at, needed in enumerate(inputs):
        ends.append(lasts[at] + max((ends[source] for source in needed), default=0.0))

    async def body(run: Run) -> Answer:
        nodes: list[Node[Completion]] = []
        for at, needed in enumerate(inputs):
            nodes.append(run.generate([user(f"{at} {lasts[at]}"), *(user(nodes[n]) for n in needed)]))
        await run.join(nodes)
        return Answer("done")

    async def raw() -> None:
        engine, tasks = Waiting(), list[asyncio.Task[None]]()

        async def one(at: int) -> None:
            for source in inputs[at]:
                await tasks[source]
            async for _ in engine.generate(Call(Prompt((Segment("user", f"{at} {lasts[at]}"),)))):
                pass

        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(one(at)) for at in range(len(inputs))]

    longest = max(ends)
    asyncio_took = await seconds(raw()) / longest
    took = await seconds(execute(body, Waiting())) / longest
    return [at_most(f"makespan over {longest:.1f} s of critical path (raw: {asyncio_took:.3f})", took, 1.02)]


async def settled_to_sent(size: Size) -> list[Check]:
    """From the end of a node's last input to its own call, with 1,000 calls in flight."""
    rng = random.Random(SEED)
    engine = Waiting()

    async def body(run: Run) -> Answer:
        ends = []
        for chain in range(1_000):
            node: Node[Completion] | None = None
            for link in range(size.links):
                start = user(f"{chain}/{link} {rng.uniform(1.0, 3.0)}")
                node = run.generate([start] if node is None else [start, user(node)])
            assert node is not None
            ends.append(node)
        await run.join(ends)
        return Answer("done")

    await execute(body, engine)
    waits = sorted(
        1e3 * (engine.began[f"{chain}/{link}"] - engine.ended[f"{chain}/{link - 1}"])
        for chain in range(1_000)
        for link in range(1, size.links)
    )
    return [at_most("last input settled to call sent, p99, ms", waits[int(0.99 * len(waits))], 1.0)]


MEASUREMENTS = [
    eight_calls_of_50_ms,
    many_solves,
    cpu_of_a_node,
    successor_beside_a_sibling,
    makespan,
    settled_to_sent,
]


S = TypeVar("S")
"""How much is measured; each benchmark has its own."""


async def run_all(
    measurements: Iterable[Callable[[S], Awaitable[list[Check]]]], size: S, report: Callable[[Check], None]
) -> list[Check]:
    """Measure one after the other, and report each check as soon as it is there."""
    checks = []
    for measure in measurements:
        for check in await measure(size):
            report(check)
            checks.append(check)
    return checks


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more repeats and nodes")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args(argv)
    logs.configure(Settings())
    gc.freeze()  # as a server should: what was imported is not looked through again and again

    def line(check: Check) -> None:
        if not given.json:
            verdict = "ok" if check.passed else "FAIL"
            print(f"{check.name:<58} {check.value:>9.3f} {check.bound:>8g}  {verdict}", flush=True)

    if not given.json:
        print(f"seed {SEED}\n{'measured':<58} {'value':>9} {'bound':>8}")
    checks = asyncio.run(run_all(MEASUREMENTS, FULL if given.full else QUICK, line))
    if given.json:
        print(json.dumps({"seed": SEED, "checks": [asdict(check) for check in checks]}))
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
