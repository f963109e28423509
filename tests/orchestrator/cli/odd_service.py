"""``anabranch serve`` with planners and tools that do what they must not, and parts that break on request."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from orchestrator.cli import app, solving
from orchestrator.opening import opened_service
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks import cancelling, queue, watchdog
from orchestrator.tasks.service import Service
from storage.sql.store import SqlStore
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox


@tool(timeout=3600.0)
def sleep(seconds: float) -> str:
    """Blocks a thread."""
    time.sleep(seconds)
    return "slept"


@tool(timeout=3600.0)
async def block(seconds: float) -> str:
    """Blocks the event loop."""
    time.sleep(seconds)  # noqa: ASYNC251 -- what it is for
    return "blocked"


@planner("using")
async def using(run: Run, question: Question, *, tool: str = "sleep", seconds: float = 600.0) -> Answer:
    """Use a tool."""
    return Answer(str(await run.tool(tool, {"seconds": seconds})))


@planner("spinning")
async def spinning(run: Run, question: Question, *, seconds: float = 600.0) -> Answer:
    """Never yield."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return Answer("done")


@planner("sleeping")
async def sleeping(run: Run, question: Question) -> Answer:
    """Wait outside of Python."""
    time.sleep(600)  # noqa: ASYNC251 -- on purpose
    return Answer("done")


@planner("asking")
async def asking(run: Run, question: Question) -> Answer:
    """Ask once."""
    return Answer((await run.generate(question.text)).text)


PLANNERS = {each.name: each for each in (using, spinning, sleeping, asking)}


def opened(
    settings: Settings, toolbox: Toolbox, on_progress: Any, *, staying: bool = False, on_store: Any = None
) -> AbstractAsyncContextManager[Service]:
    """A service with the planners and tools of this module."""
    engine = Simulator({"slow": "word " * 5_000, "": "42"}, cost=CostModel(decode_tokens_per_s=50))
    return opened_service(
        settings, Toolbox([sleep, block]), engine=engine, planners=PLANNERS, on_store=on_store
    )


def broken(*_: Any) -> None:
    """What nobody has thought of."""
    raise LookupError("on purpose")


async def at_once(*_: Any) -> None:
    """A background task that ends."""
    await asyncio.sleep(1)


BREAK = os.environ.get("BREAK")
if BREAK == "queue":
    queue.Queue._take = broken  # type: ignore[method-assign,assignment]
elif BREAK == "store":
    since = time.monotonic()
    SqlStore.failed = lambda self: "on purpose" if time.monotonic() > since + 2 else None  # type: ignore[method-assign]
elif BREAK == "cancelling":
    cancelling.Cancelling._follow = at_once  # type: ignore[method-assign,assignment]
elif BREAK == "watchdog":
    watchdog.Watchdog._watch = lambda *_: time.sleep(1)  # type: ignore[method-assign]
solving.opened = opened
sys.argv[0] = "anabranch"
app.main()
