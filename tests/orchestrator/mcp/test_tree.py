from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("mcp")

from orchestrator.mcp.tree import traced
from orchestrator.tasks.service import Service
from storage.events import Event, EventType
from storage.opening import open_store
from storage.tasks import Task
from storage.trace import Trace
from tests.orchestrator.api.conftest import PLANNERS
from workers.engines.simulator.engine import Simulator


async def solved(query: str = "?") -> Task:
    from orchestrator.tasks.requests import parse

    async with await open_store("memory") as store:
        service = Service(store, Simulator("Answer: 1"), planners=PLANNERS)
        solution = await service.solve(parse({"query": query, "planner": "direct"}))
        return await store.get(solution.trace_id)


def deep(task: Task, depth: int) -> Trace:
    """A trace whose every node is in the one before."""
    events: list[tuple[EventType, str, dict[str, Any]]] = [
        (EventType.NODE_ADDED, ".".join(["0"] * level), {"kind": "spawn", "label": f"level {level}"})
        for level in range(1, depth + 1)
    ]
    return Trace.of(task, [Event(number, *event[:2], 0.0, event[2]) for number, event in enumerate(events)])


@pytest.mark.parametrize("most", [500, 2_000, 100_000])
async def test_a_tree_is_as_long_as_it_may_be_and_says_what_is_left_out(most: int) -> None:
    found = traced(deep(await solved(), 1_000), most)
    assert len(found.tree) <= most
    assert found.nodes == 1_000
    shown = found.tree.count(" spawn level ")
    assert shown + found.left_out == 1_000
    assert (f"… {found.left_out:,} more lines" in found.tree) is (found.left_out > 0)


async def test_what_a_stored_text_holds_cannot_look_like_a_line_of_ours() -> None:
    found = traced(deep(await solved("one\ntwo \x1b[31m three" * 1_000), 1), 5_000)
    assert found.tree.splitlines()[0].startswith("question: one two \\x1b[31m three")
    assert len(found.tree.splitlines()) == 3
