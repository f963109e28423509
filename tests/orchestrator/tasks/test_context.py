"""What log lines say of where they come from: the task, its tenant and the node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
import structlog
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from orchestrator import logs
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.opening import open_store
from workers.calls import Call, Chunk
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

SECRET = "What did the mole whisper?"
log = structlog.get_logger()


@planner("telling")
async def telling(run: Run, question: Question) -> Answer:
    """Log in the outermost scope, and in one within."""
    log.warning("outer")
    text = (await run.generate(question.text)).text
    log.warning("outer again")

    async def inner(run: Run) -> str:
        log.warning("inner")
        return str(await run.tool("look", {}))

    await run.spawn(inner)
    log.warning("outer at last")
    return Answer(text)


class Telling(Simulator):
    """An engine that logs each call."""

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        log.warning("engine")
        async for chunk in super().generate(call):
            yield chunk


def look() -> str:
    """Log in a thread."""
    log.warning("tool")
    return "seen"


async def solve(*tenants: str) -> None:
    """Solve a task for each tenant, all at the same time."""
    async with await open_store("memory") as store:
        service = Service(
            store, Telling("It hid."), toolbox=Toolbox([tool(look)]), planners={"telling": telling}
        )
        requests = [TaskRequest(query=SECRET, planner="telling", tenant=tenant) for tenant in tenants]
        await asyncio.gather(*map(service.solve, requests))


async def test_every_line_of_a_run_says_which_task_tenant_and_node_it_is_about() -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        await solve("green", "blue")
    tasks = {}
    for tenant in ("green", "blue"):
        own = [line for line in lines if line["tenant"] == tenant]
        told = {line["event"]: line.get("node") for line in own}
        assert told == {
            "outer": "root",
            "outer again": "root",
            "outer at last": "root",
            "engine": "0",
            "inner": "1",
            "tool": "1.0",
            "task ended": None,
        }
        [tasks[tenant]] = {line["task"] for line in own}
    assert len(lines) == 14
    assert tasks["green"] != tasks["blue"]
    assert not get_contextvars()


async def test_json_lines_have_the_documented_members_and_no_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = structlog.get_config()
    try:
        logs.configure(Settings(log_format="json", log_level="debug"))
        await solve("green")
    finally:
        structlog.configure(**before)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 7
    for line in lines:
        assert {"timestamp", "level", "event", "task", "tenant"} <= set(line)
        assert SECRET not in json.dumps(line)
        assert "It hid." not in json.dumps(line)
