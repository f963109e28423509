"""What live spans cost: CPU time for each node of runs on an engine that answers at once.

``python -m benchmarks.tracing`` runs votes without tracing, with it, with content, and with a collector that
is down. The collector is another process. All variants take turns, so that what else the machine does meets
them alike; the time is that of this process with all its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from statistics import median

import structlog
from aiohttp import web

from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tracing.live import Tracing
from orchestrator.tracing.sending import sending
from storage.opening import open_store
from workers.engines.simulator.engine import CostModel, Simulator

WIDTH = 64
NOWHERE = "http://127.0.0.1:9"
INSTANT = CostModel(prefill_tokens_per_s=1e12, decode_tokens_per_s=1e12)


def main() -> None:
    """Print a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each variant")
    parser.add_argument("--tasks", type=int, default=40, help="runs in each measurement")
    parser.add_argument("--collect", type=int, metavar="PORT", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.collect is not None:
        web.run_app(_collector(), host="127.0.0.1", port=asked.collect, print=None)
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(measure(asked.rounds, asked.tasks))


async def measure(rounds: int, tasks: int) -> None:
    """Measure the variants in turns."""
    port = free_port()
    collector = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.tracing", "--collect", str(port))
    )
    try:
        await _until_it_listens(port)
        there = f"http://127.0.0.1:{port}"
        variants: dict[str, Callable[[], AbstractAsyncContextManager[Tracing | None]]] = {
            "off": _off,
            "on": lambda: _on(there),
            "on, with content": lambda: _on(there, content=True),
            "on, collector down": lambda: _on(NOWHERE),
        }
        costs: dict[str, list[float]] = {name: [] for name in variants}
        for round_ in range(rounds + 1):
            for name, opened in variants.items():
                async with opened() as tracing:
                    cost = await cost_of(tasks, tracing)
                if round_:  # the first warms up
                    costs[name].append(cost)
    finally:
        collector.terminate()
        await collector.wait()
    base = median(costs["off"])
    for name, found in costs.items():
        middle = median(found)
        print(f"{name:20} {middle * 1e6:6.0f} µs of CPU a node, {middle / base:.2f} times that without")


async def cost_of(tasks: int, tracing: Tracing | None) -> float:
    """CPU seconds for each node."""
    async with await open_store("memory") as store:
        service = Service(store, Simulator("Answer: 42", cost=INSTANT), tracing=tracing)
        request = TaskRequest(query="What is 6 * 7?", planner="vote", options={"n": WIDTH, "rule": "fixed"})
        began, nodes = time.process_time(), 0
        for _ in range(tasks):
            solution = await service.solve(request)
            nodes += len(list((await service.trace(solution.trace_id)).walk()))
        return (time.process_time() - began) / nodes


@asynccontextmanager
async def _off() -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _on(endpoint: str, *, content: bool = False) -> AsyncIterator[Tracing]:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    async with sending(content=content) as tracing:
        yield tracing


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(300):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


def _collector() -> web.Application:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    application = web.Application(client_max_size=64 << 20)
    application.router.add_post("/v1/traces", take)
    return application


if __name__ == "__main__":
    main()
