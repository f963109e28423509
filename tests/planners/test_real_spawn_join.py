"""Children of a real, small language model; what is judged is the structure of the run."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.runtime.nodes import NodeKind
from planners.spawn_join.spawning import spawn_join
from storage.events import EventType
from tests.planners.conftest import play
from tests.planners.led import Led
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

QUESTION = "How many legs have three dogs and two hens together?"
BLOCK = "<spawn>\n<task>What are 3 times 4 legs?</task>\n<task>What are 2 times 2 legs?</task>\n</spawn>"
CALL = (
    '<tool_call>{"name": "spawn", "arguments": {"messages": '
    '["What are 3 times 4 legs?", "What are 2 times 2 legs?"]}}</tool_call>'
)


@pytest.mark.parametrize(("form", "first"), [("text", BLOCK), ("calls", CALL)], ids=["text", "calls"])
async def test_children_know_their_message_and_the_parent_goes_on(
    engine: LlamaCppEngine, form: str, first: str
) -> None:
    given: dict[str, Any] = {"form": form, "turns": 2, "children": 2, "temperature": 0.0}
    played = await play(spawn_join, QUESTION, Led(engine, first), child_tokens=16, max_tokens=20, **given)
    one, two = played.nodes(NodeKind.SPAWN, "child")
    assert played.seq(EventType.NODE_ADDED, two) < played.seq(EventType.NODE_SETTLED, one)
    children = [each for each in played.said("turn 1") if QUESTION not in each]
    assert [("3 times 4" in each, "2 times 2" in each) for each in children] == [(True, False), (False, True)]
    again = played.said("turn 2")[0]
    assert "1: " in again.rpartition("<result>")[0]
    *_, last = played.decisions("spawn_join")
    assert (last["saw"]["children"], last["saw"]["form"]) == (2, form)
    assert last["saw"]["sequential"] < last["saw"]["total"]
    assert played.result.answer is not None


async def test_a_model_that_may_spawn_comes_to_an_end(engine: LlamaCppEngine) -> None:
    played = await play(spawn_join, QUESTION, engine, turns=2, children=2, child_tokens=16, max_tokens=32)
    *_, last = played.decisions("spawn_join")
    assert len(played.nodes(NodeKind.SPAWN, "child")) == last["saw"]["children"] <= 2
    assert played.result.answer is not None
