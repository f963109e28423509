from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.runtime.nodes import NodeKind
from planners.plan_prompt import END_OF_PLAN
from tests.planners.conftest import BARE, GUIDED
from tests.planners.test_llm_compiler import PLAN, as_json, compile_, model
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

LISTED = as_json(["age", "Ann"], ["age", "Bob"], ["add", "$1", "$2"])


@pytest.mark.parametrize(
    ("can", "plan", "asked"),
    [
        (BARE, PLAN, set()),
        (GUIDED, LISTED, {"schema"}),
        (replace(GUIDED, guided_grammar=True), PLAN, {"grammar"}),
        (replace(BARE, guided_grammar=True), PLAN, {"grammar"}),
    ],
)
async def test_a_plan_is_asked_for_in_the_shortest_form_that_the_engine_can_be_held_to(
    can: Capabilities, plan: str, asked: set[str]
) -> None:
    played = await compile_(engine=Simulator(model(plan), claims=can))
    assert played.answer.text == "75"
    (request,) = played.requests("plan")
    assert request.keys() & {"schema", "grammar"} == asked
    assert ("stop" in request["sampling"]) is ("schema" not in asked)
    if asked == {"grammar"}:
        assert 't0 ::= "age(" (string | ref) ")"' in request["grammar"]
    assert len(played.nodes(NodeKind.TOOL)) == 3


async def test_the_question_comes_first_and_what_the_plan_is_for_last() -> None:
    played = await compile_()
    told = played.said("plan")[0]
    marks = ("<question>", "Plan how", "- age(", "Rules:", "in examples", "Now write")
    places = [told.index(each) for each in marks]
    assert places == sorted(places)
    assert END_OF_PLAN not in told
