"""A process that runs tasks: ``python -m tests.orchestrator.tasks.elsewhere URL``; it ends with its input."""

from __future__ import annotations

import asyncio
import sys

from orchestrator.settings import Settings
from orchestrator.tasks.service import Service
from planners.vote import vote
from storage.opening import open_store
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox


async def work(url: str) -> None:
    """Work on the queue until the input ends."""
    engine = Simulator("The answer is \\boxed{42}", cost=CostModel(latency=0.05))
    async with await open_store(url) as store:
        settings = Settings(grace_seconds=0.2)
        service = Service(store, engine, toolbox=Toolbox(), planners={"vote": vote}, settings=settings)
        async with service.working():
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
