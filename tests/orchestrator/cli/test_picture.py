"""The picture of a run: every node is in it, to the right of what it waited for."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from orchestrator.cli.picture import picture
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from tests.orchestrator.runtime.harness import play
from workers.engines.simulator.engine import Simulator

TASK = Task(
    id="t",
    tenant="default",
    status=TaskStatus.SUCCEEDED,
    question={},
    planner="a < b",
    options={},
    seed=0,
    idempotency_key=None,
    parent_id=None,
    fork_at=None,
    created_at=0.0,
)


async def body(run: Run) -> Answer:
    first = run.generate("one", label="<first>")
    vote = await run.vote([user("two ", first)], width=2, rule="fixed")
    last = run.generate("three")
    last.cancel()
    return vote


async def test_every_node_stands_right_of_what_it_waited_for() -> None:
    played = await play(body, Simulator("the answer is 4"))
    drawing = picture(Trace.of(TASK, played.events))
    root = ElementTree.fromstring(drawing)
    space = "{http://www.w3.org/2000/svg}"
    columns = {}
    for box in root.iter(f"{space}g"):
        rect, title = box.find(f"{space}rect"), box.find(f"{space}text")
        assert rect is not None
        assert title is not None
        assert title.text
        columns[title.text.split()[0]] = int(rect.attrib["x"])
    assert set(columns) == {"0", "1", "1.0", "1.1", "2"}
    assert columns["0"] < columns["1.0"] == columns["1.1"] < columns["1"] < columns["2"]
    assert len(re.findall("stroke-dasharray", drawing)) == 1


async def test_a_run_without_nodes_has_an_empty_picture() -> None:
    async def nothing(run: Run) -> Answer:
        return Answer("nothing")

    played = await play(nothing)
    ElementTree.fromstring(picture(Trace.of(TASK, played.events)))
