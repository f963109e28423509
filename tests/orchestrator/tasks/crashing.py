"""A process that dies inside a tool.

``python -m tests.orchestrator.tasks.crashing DATABASE PLANNER LEDGER``
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.opening import open_store
from storage.store import Store
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

LEASE_SECONDS = 1.0


def toolbox(ledger: Path, *, deadly: bool) -> Toolbox:
    """Two tools that write into the ledger what they are told; ``deadly``: then their process is killed."""

    def note(line: str) -> str:
        with ledger.open("a") as file:
            file.write(f"{line}\n")
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    @tool(side_effects=True)
    def pay(cents: int, idempotency_key: str) -> str:
        """Pay once for each key."""
        return note(idempotency_key)

    @tool(side_effects=True)
    def shout(text: str) -> str:
        """Say something to everybody."""
        return note(text)

    return Toolbox([pay, shout])


@planner("paying")
async def paying(run: Run, question: Question) -> Answer:
    """Think, pay, and tell."""
    price = await run.generate("How much?")
    return Answer(str(await run.tool("pay", {"cents": len(price.text)})))


@planner("shouting")
async def shouting(run: Run, question: Question) -> Answer:
    """Shout, and tell whether that went well."""
    return Answer(str(await run.tool("shout", {"text": "hello"}).settled()))


PLANNERS: Mapping[str, Planner] = {"paying": paying, "shouting": shouting}


def service_of(store: Store, ledger: Path, *, deadly: bool) -> Service:
    """A service with these planners and tools."""
    settings = Settings.model_construct(lease_seconds=LEASE_SECONDS)
    return Service(
        store, Simulator("42"), toolbox=toolbox(ledger, deadly=deadly), planners=PLANNERS, settings=settings
    )


async def main(database: str, name: str, ledger: str) -> None:
    """Solve, and die on the way."""
    async with await open_store(database) as store:
        await service_of(store, Path(ledger), deadly=True).solve(TaskRequest(query="?", planner=name))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
