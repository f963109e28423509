"""What reading a journal costs: ``python -m benchmarks.reading [--json]``.

The journals are made up: a chain of calls, each with the one before for its input, and scopes nested in one
another. The service runs in a process of its own, over SQLite, and is asked for its health, as by a load
balancer, while two clients read one trace of 10,000 nodes again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from benchmarks.checks import Check, at_least, at_most
from benchmarks.overhead import SEED
from orchestrator.api.application import create_application
from orchestrator.api.listening import listening
from orchestrator.api.traces import trace_json
from orchestrator.cli.printing import trace_tree
from orchestrator.tasks.hindsight.difference import difference
from orchestrator.tasks.service import Service
from storage.archive import export, read_lines, restore
from storage.events import Event, EventType
from storage.opening import open_store
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from workers.engines.simulator.engine import Simulator

NODES, IMPORTED, LEVELS = 10_000, 50_000, 5_000
SECONDS = 10.0
"""How long the service is watched."""

TASK = Task(
    id="0000000000000000",
    tenant="default",
    status=TaskStatus.SUCCEEDED,
    question={"query": "?"},
    planner="direct",
    options={},
    seed=SEED,
    idempotency_key=None,
    parent_id=None,
    fork_at=None,
    created_at=0.0,
    finished_at=1.0,
)


Line = tuple[EventType, str, dict[str, Any]]
"""An event without its number and its time."""


def journal(*lines: Line) -> list[Event]:
    """The events, with their numbers."""
    return [Event(number, kind, path, float(number), data) for number, (kind, path, data) in enumerate(lines)]


def chain(nodes: int) -> list[Event]:
    """Calls, each of which has the one before for its input."""
    answer = {"external": True, "outcome": "succeeded", "value": {"text": "42", "finish_reason": "stop"}}
    lines: list[tuple[EventType, str, dict[str, object]]] = [
        (EventType.RUN_STARTED, "", {"planner": "direct"})
    ]
    for number in range(nodes):
        asked: dict[str, Any] = {"kind": "generate", "request": {"key": "k", "prompt": [["user", "?"]]}}
        if number:
            asked["inputs"] = [str(number - 1)]
        lines += [(EventType.NODE_ADDED, str(number), asked), (EventType.NODE_SETTLED, str(number), answer)]
    return journal(*lines, (EventType.RUN_FINISHED, "", {"outcome": "answered", "answer": {"text": "42"}}))


def nested(levels: int) -> list[Event]:
    """Scopes, each within the one before."""
    paths = [".".join("0" * level) for level in range(1, levels + 1)]
    return journal(
        (EventType.RUN_STARTED, "", {"planner": "direct"}),
        *((EventType.NODE_ADDED, path, {"kind": "spawn"}) for path in paths),
        *((EventType.NODE_SETTLED, path, {"outcome": "succeeded", "value": 1}) for path in reversed(paths)),
        (EventType.RUN_FINISHED, "", {"outcome": "answered", "answer": {"text": "42"}}),
    )


async def reading(folder: Path) -> list[Check]:
    """A long trace from SQLite, beside one that is four times shorter."""
    taken = {}
    for nodes in (NODES // 4, NODES):
        async with await open_store(f"sqlite:///{folder / f'{nodes}.db'}") as store:
            await store.restore(TASK, chain(nodes))
            times = []
            for _ in range(5):
                gc.collect()
                began = time.process_time()
                await Trace.read(store, TASK.id)
                times.append(time.process_time() - began)
            taken[nodes] = min(times)
    return [
        at_most(f"reading a trace of {NODES:,} nodes, s of CPU time", taken[NODES], 0.5),
        at_most("... over one that is four times shorter", taken[NODES] / taken[NODES // 4], 8.0),
    ]


async def importing(folder: Path) -> list[Check]:
    """A long file into SQLite."""
    file = folder / "trace.jsonl"
    async with await open_store("memory") as source:
        await source.restore(TASK, chain(IMPORTED))
        file.write_text("".join([line async for line in export(source, TASK.id)]))
    async with await open_store(f"sqlite:///{folder / 'imported.db'}") as store:
        began = time.perf_counter()
        await restore(store, read_lines(file))
        return [at_most(f"importing a trace of {IMPORTED:,} nodes, s", time.perf_counter() - began, 10.0)]


async def depth(_folder: Path) -> list[Check]:
    """Everything that shows a trace, on one whose scopes are nested very deep."""
    events = nested(LEVELS)
    began = time.perf_counter()
    trace = Trace.of(TASK, events)
    Console(file=StringIO(), width=200).print(trace_tree(trace))
    written = sum(map(len, trace_json(trace)))
    same = difference(events, events).same
    assert (same, written > LEVELS) == (LEVELS, True)
    return [at_most(f"showing {LEVELS:,} levels of scopes, s", time.perf_counter() - began, 30.0)]


async def health(folder: Path) -> list[Check]:
    """The health check of a service that is busy with long traces."""
    url = f"sqlite:///{folder / f'{NODES}.db'}"
    command = (sys.executable, "-m", "benchmarks.reading", "--serve", url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        base = (await process.stdout.readline()).decode().strip()
        waited, traces = await _asked(base)
    finally:
        process.kill()
        await process.wait()
    return [
        at_least("traces read meanwhile", traces, 1),
        at_most("p99 of GET /healthz meanwhile, ms", 1e3 * waited[len(waited) * 99 // 100], 100.0),
        at_most("the slowest, ms", 1e3 * waited[-1], 1000.0),
    ]


async def _asked(base: str) -> tuple[list[float], int]:
    """Sorted times of health checks, and how many traces were read meanwhile."""
    waited: list[float] = []
    traces = 0
    async with aiohttp.ClientSession(base) as session:
        until = time.perf_counter() + SECONDS

        async def read() -> None:
            nonlocal traces
            while time.perf_counter() < until:
                async with session.get(f"/v1/tasks/{TASK.id}/trace") as response:
                    assert response.status == 200
                    await response.read()
                traces += 1

        readers = [asyncio.create_task(read()) for _ in range(2)]
        while time.perf_counter() < until:
            began = time.perf_counter()
            async with session.get("/healthz") as response:
                assert response.status == 200
            waited.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
        await asyncio.gather(*readers)
    return sorted(waited), traces


async def serve(url: str) -> None:
    """A service, until it is killed; its address is the first line of output."""
    async with await open_store(url) as store:
        application = create_application(Service(store, Simulator("42")), draining=asyncio.Event())
        gc.collect()
        gc.freeze()  # as the server does
        async with listening(application, "127.0.0.1", 0) as base:
            print(base, flush=True)
            await asyncio.Event().wait()


async def measured(quiet: bool) -> list[Check]:
    """All figures, each printed as it comes."""
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        for measurement in (reading, importing, depth, health):
            for check in await measurement(Path(folder)):
                checks.append(check)
                if not quiet:
                    verdict = "ok" if check.passed else "FAIL"
                    print(f"{check.name:<60} {check.value:>9.3f} {check.bound:>7g}  {verdict}", flush=True)
    return checks


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.serve:
        asyncio.run(serve(given.serve))
        return 0
    checks = asyncio.run(measured(given.json))
    if given.json:
        print(json.dumps({"seed": SEED, "checks": [asdict(check) for check in checks]}))
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
