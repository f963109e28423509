"""Runs that are recorded once for each version of the journal and must replay for ever.

``python -m tests.orchestrator.tasks.keepsakes FOLDER`` records them for a new version. A record that is there
is not replaced: a change that makes it diverge makes the traces of users diverge.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.errors import NodeFailed
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.archive import export
from storage.events import VERSION, Event, EventType
from storage.opening import open_store
from storage.store import Store
from workers.calls import Call, Completion
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox


@tool
def look_up(place: str) -> str:
    """The river at a place."""
    return {"Basel": "Rhine"}[place]


@tool(side_effects=True)
def pay(cents: int, idempotency_key: str) -> int:
    """Pay."""
    return cents


def loud(completion: Completion) -> str:
    return completion.text.upper()


@planner("everything")
async def everything(run: Run, question: Question) -> Answer:
    """All that a run can do."""
    river = run.tool("look_up", {"place": question.text})
    told = run.generate([user("Tell me of the ", river)], label="told", max_tokens=50)
    dropped = run.generate("Something else", max_tokens=900)
    lines = [line async for line in run.stream("List some", breaks="\n")]

    async def count(own: Run, name: object) -> str:
        own.note("counting", river=name)
        vote = await own.vote(f"Count the bridges over the {name}", width=5, rule="beta:0.8", max_tokens=40)
        return str(vote.claim)

    counted = run.spawn(count, river)
    try:
        await run.tool("look_up", {"place": "Nowhere"})
    except NodeFailed as error:
        run.note("failed", why=error.failure.code)
    dropped.cancel("no longer needed")
    paid = await run.tool("pay", {"cents": 5})
    run.decide("everything", "enough", {"lines": len(lines), "drawn": run.random.random()})
    run.propose(lambda: Answer("so far"))
    text = await run.merge(loud, told)
    return Answer(f"{text} {await counted} {paid} {len(lines)}")


REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "everything": {"query": "Basel", "planner": "everything", "seed": 5},
    "limited": {"query": "Basel", "planner": "everything", "seed": 6, "budget": {"calls": 6}},
}


def says(call: Call, rng: Random) -> str:
    prompt = str(call.prompt.messages()[-1]["content"])
    if prompt.startswith("Count"):
        return f"The answer is {rng.choice([7, 7, 7, 9])}."
    if prompt.startswith("List"):
        return "one\ntwo\nthree"
    return f"{prompt}!"


def service_of(store: Store, **given: Any) -> Service:
    engine = Simulator(says, cost=CostModel(latency=0.02, decode_tokens_per_s=500, jitter=0.6))
    settings = Settings.model_construct(**given)
    return Service(
        store,
        engine,
        toolbox=Toolbox([look_up, pay]),
        planners={"everything": everything},
        settings=settings,
    )


async def record(folder: Path) -> None:
    """Run each request, in two processes where it can be, and write down its trace."""
    async with await open_store("memory") as store:
        for name, request in REQUESTS.items():
            task = await service_of(store).submit(parse(dict(request)))
            first = service_of(store, grace_seconds=0.0)
            async with first.working(), aclosing(first.events(task.id)) as events:
                async for item in events:
                    if isinstance(item, Event) and item.type is EventType.NODE_SETTLED:
                        break
            second = service_of(store)
            async with second.working():
                _ = [item async for item in second.events(task.id)]
            lines = [line async for line in export(store, task.id)]
            target = folder / f"journal-{VERSION}-{name}.jsonl"
            await asyncio.to_thread(target.write_text, "".join(lines))


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
