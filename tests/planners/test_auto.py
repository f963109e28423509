from __future__ import annotations

from random import Random

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Question
from planners import auto as module
from planners.auto import ROUTER, auto
from planners.joining import JOINER
from planners.plan_prompt import PLANNER
from planners.skeleton import OUTLINE
from tests.planners.conftest import play
from workers.calls import Call
from workers.engines.simulator.engine import Fault, Simulator
from workers.tools.declaration import tool
from workers.tools.tool import Tool


@tool
async def population(city: str) -> int:
    """How many people live in a city."""
    return {"Paris": 2_100_000, "Rome": 2_750_000}[city]


@tool
async def calculator(expression: str) -> str:
    """Arithmetic."""
    return expression


def model(letter: str = "") -> Simulator:
    """An engine that routes as told, plays its part in every method, and else answers plainly."""

    def say(call: Call, _: Random) -> str:
        instructions = call.prompt.messages()[0]["content"]
        for beginning, text in (
            (ROUTER, letter),
            (OUTLINE, " One.\n2. Two."),
            (PLANNER, '1. population("Paris")\n2. population("Rome")\n3. join()\n'),
            (JOINER, '{"thought": "", "answer": "Rome"}'),
        ):
            if instructions.startswith(beginning):
                return text
        return r"It is \boxed{7}."

    return Simulator(say)


@pytest.mark.parametrize(
    ("question", "method", "reason"),
    [
        (Question("Which?", choices=("this", "that")), "vote", "it offers choices"),
        (Question("What is 17 * 23?"), "vote", "it asks for a computation: '7 * 2'"),
        (
            Question("Ann has 3 apples and eats 1. How many are left?"),
            "vote",
            "it asks for a computation: 'How many'",
        ),
        (Question("Write a poem about rivers."), "direct", "it asks for something whole: 'poem'"),
        (Question("Give me tips for sleeping well."), "skeleton", "it asks for a list: 'tips'"),
    ],
)
async def test_what_a_question_shows_decides_without_a_call(
    question: Question, method: str, reason: str
) -> None:
    played = await play(auto, question, model())
    assert played.verdicts("auto") == [method]
    assert played.decisions("auto")[0]["saw"] == {"reason": reason}
    assert played.nodes(NodeKind.GENERATE, "router") == []


@pytest.mark.parametrize(
    ("letter", "method", "kinds"),
    [
        ("C", "skeleton", {NodeKind.GENERATE, NodeKind.MERGE}),
        ("B", "vote", {NodeKind.GENERATE, NodeKind.VOTE}),
        ("A", "direct", {NodeKind.GENERATE}),
        ("D", "llm_compiler", {NodeKind.GENERATE, NodeKind.TOOL}),
        ("Hm", "direct", {NodeKind.GENERATE}),
        ("E", "direct", {NodeKind.GENERATE}),
        ("Apples", "direct", {NodeKind.GENERATE}),
    ],
)
async def test_where_it_is_unclear_the_model_decides(letter: str, method: str, kinds: set[NodeKind]) -> None:
    played = await play(auto, "Which city is larger, Paris or Rome?", model(letter), tools=[population])
    assert played.verdicts("auto") == [method]
    assert {kind for kind in NodeKind if played.nodes(kind)} == kinds
    assert len(played.nodes(NodeKind.GENERATE, "router")) == 1
    assert "population" in played.said("router")[0]


async def test_a_tool_that_is_named_is_used() -> None:
    played = await play(auto, "Compare Paris and Rome by population.", model(), tools=[population])
    assert played.verdicts("auto") == ["llm_compiler"]
    assert played.answer.text == "Rome"


@pytest.mark.parametrize(
    ("tools", "offered"), [([], False), ([calculator], False), ([calculator, population], True)]
)
async def test_tools_are_offered_only_where_there_are_some_worth_a_plan(
    tools: list[Tool], offered: bool
) -> None:
    played = await play(auto, "Is Rome larger than Paris?", model("D"), tools=tools)
    assert ("D: by first using these tools: population." in played.said("router")[0]) is offered
    assert played.verdicts("auto") == ["llm_compiler" if offered else "direct"]


async def test_with_tools_at_hand_words_alone_do_not_decide() -> None:
    played = await play(auto, "How many people live in Rome?", model("D"), tools=[population])
    assert played.verdicts("auto") == ["llm_compiler"]


async def test_a_router_that_fails_is_no_verdict() -> None:
    engine = Simulator("Plainly.", faults=[Fault(kind="reset", calls={0})])
    played = await play(auto, "Why is the sky blue?", engine)
    assert played.verdicts("auto") == ["direct"]
    assert played.answer.text == "Plainly."


def test_every_letter_is_offered_and_means_a_method() -> None:
    offered = {line[0] for line in (ROUTER + module.WITH_TOOLS).splitlines() if line[1:2] == ":"}
    assert offered == set(module.MEANING)


def test_it_takes_no_options() -> None:
    with pytest.raises(InvalidRequest, match="its options: none"):
        auto.validate({"n": 3})
