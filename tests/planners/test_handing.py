"""What gives up hands on to what suits the question, in every planner that can give up."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from orchestrator.planning.planner import Planner
from orchestrator.runtime.values import Budget
from planners.calls import calls
from planners.decompose import decompose
from planners.llm_compiler import llm_compiler
from planners.react import react
from planners.skeleton import skeleton
from tests.planners.conftest import BARE, play
from workers.calls import Call
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.tool import Tool

SHORT = "Who wrote the book?"
TEXT = "Write a poem about rivers."
LIST = "What are the benefits of rivers?"
OPEN = "What do you make of rivers?"


@tool
def birth(name: str) -> int:
    """The year in which a person was born."""
    return 1990


def lost(call: Call, _: Random) -> str:
    """A model that plans one question, acts on nothing, and has nothing to list."""
    asked = "".join(message["content"] for message in call.prompt.messages())
    if "Reply with one letter" in asked:
        return "C"
    return '1. ask("Who?")\n2. join()' if "join()" in asked else "So it is \\boxed{15}."


GIVING_UP: list[tuple[Planner, list[Tool], str]] = [
    (skeleton, [], "direct"),
    (react, [], "direct"),
    (react, [birth], "direct"),
    (calls, [], "direct"),
    (decompose, [], "vote"),
    (llm_compiler, [birth], "vote"),
]


@pytest.mark.parametrize(("planner", "tools", "unclear"), GIVING_UP)
async def test_what_gives_up_hands_on_to_what_suits_the_question(
    planner: Planner, tools: list[Tool], unclear: str
) -> None:
    for question, method in ((SHORT, "vote"), (TEXT, "direct"), (LIST, "direct"), (OPEN, unclear)):
        options: dict[str, Any] = {"max_steps": 1} if planner is react else {}
        played = await play(planner, question, Simulator(lost, claims=BARE), tools=tools, **options)
        if planner is skeleton and question == LIST:
            continue  # that is what it is for
        assert played.verdicts(planner.name)[-1] == method, question
        assert played.answer.text == "So it is \\boxed{15}."


async def test_an_outline_of_one_point_hands_on() -> None:
    def one(call: Call, _: Random) -> str:
        asked = "".join(message["content"] for message in call.prompt.messages())
        return "1. It is 15." if "skeleton" in asked.lower() else "So it is \\boxed{15}."

    for question, method in ((SHORT, "vote"), (TEXT, "direct"), (OPEN, "direct")):
        played = await play(skeleton, question, Simulator(one, claims=BARE), route="always")
        assert played.verdicts("skeleton") == [method]


async def test_a_vote_that_cannot_be_afforded_is_a_plain_call() -> None:
    played = await play(skeleton, SHORT, Simulator(lost, claims=BARE), budget=Budget(calls=2))
    assert played.verdicts("skeleton") == ["direct"]
    played = await play(skeleton, SHORT, Simulator(lost, claims=BARE), budget=Budget(calls=3))
    assert played.verdicts("skeleton") == ["vote"]
