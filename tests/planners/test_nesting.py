"""Skeletons whose points are split into points of their own, and the trained router before them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.change import Change
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Budget
from planners.nesting import MOST, SPLIT
from planners.outlining import OUTLINE
from planners.skeleton import EXPAND, MOST_WRITTEN, skeleton
from tests.planners.conftest import BARE, play
from tests.planners.revisiting import forked, killed_anywhere
from tests.planners.test_skeleton import task_of
from tests.workers.virtual_time import elapsed, virtual_time
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import ROUTER

QUESTION = "Any advice on sleep?"
SPLITS = {"Evenings": "1. Dim lights: no glare.\n2. No coffee: it lingers.", "Mornings": "enough"}


def writer(
    splits: dict[str, str],
    outline: str = " Evenings: calm.\n2. Mornings: early.",
    cost: CostModel | None = None,
) -> Simulator:
    def say(call: Call, _: Random) -> str:
        task, last = task_of(call), call.prompt.segments[-1].text
        if task == SPLIT:
            return next((text for heading, text in splits.items() if last.endswith(heading)), "enough")
        return {OUTLINE: f"1.{outline}", EXPAND: " It helps."}.get(task, "Sleep more.")

    return Simulator(say, claims=BARE, cost=cost or CostModel())


async def test_points_are_split_and_all_parts_are_written_at_once() -> None:
    played = await play(skeleton, QUESTION, writer(SPLITS), route="always", depth=2)
    assert played.answer.text == (
        "## Evenings\n1. Dim lights: It helps.\n2. No coffee: It helps.\n3. Mornings: It helps."
    )
    assert played.verdicts("skeleton") == ["split"]
    assert len(played.nodes(NodeKind.GENERATE, "split of point")) == 2
    assert all("1. Evenings / Dim lights: no glare." in prompt for prompt in played.said("point"))


@virtual_time
async def test_a_level_costs_one_call_of_time() -> None:
    async def seconds(depth: int) -> float:
        engine = writer(SPLITS, cost=CostModel(latency=1.0))
        return await elapsed(play(skeleton, QUESTION, engine, route="always", depth=depth))

    assert await seconds(2) == pytest.approx(await seconds(1) + 1.0)


async def test_parts_are_split_again_up_to_the_depth() -> None:
    splits = {
        "Evenings": "1. Light: dim.\n2. Food: little.",
        "Light": "1. Lamps: low.\n2. Screens: off.",
        "Lamps": "1. Never: no.\n2. Reached: no.",
    }
    played = await play(skeleton, QUESTION, writer(splits), route="always", depth=3)
    assert played.answer.text.splitlines()[:3] == ["## Evenings", "### Light", "1. Lamps: It helps."]
    assert "Reached" not in played.answer.text
    assert played.decisions("skeleton")[1]["saw"] == {"points": 3, "parts": 2}
    assert (
        len(played.nodes(NodeKind.GENERATE, "split of point")) == 4
    )  # only what is new is asked about again


@pytest.mark.parametrize(
    "reply",
    [
        "enough",
        "",
        "1. Alone: a list of one.",
        "Evenings matter.",
        "1. Evenings: the same.\n2. evenings: again.",
        "1. One: a.\n1. One: b.",
    ],
)
async def test_what_splits_nothing_leaves_the_point_as_it_is(reply: str) -> None:
    played = await play(skeleton, QUESTION, writer({"Evenings": reply}), route="always", depth=3)
    assert played.answer.text == "1. Evenings: It helps.\n2. Mornings: It helps."
    assert played.verdicts("skeleton") == ["not split"]


async def test_the_number_of_points_is_bounded() -> None:
    names = ("Hours", "Light", "Noise", "Food", "Warmth", "Bed", "Walks", "Screens", "Naps")
    parts = ("Morning", "Noon", "Evening", "Night", "Weekend", "Holiday")
    outline = "\n".join(f"{at}. {name}: so." for at, name in enumerate(names, 1))[2:]
    splits = {
        name: "\n".join(f"{at}. {part} {name.lower()}: so." for at, part in enumerate(parts, 1))
        for name in names
    }
    played = await play(skeleton, QUESTION, writer(splits, outline), route="always", depth=2)
    assert MOST_WRITTEN - MOST < len(played.nodes(NodeKind.GENERATE, "point")) <= MOST_WRITTEN
    assert "Night hours" in played.answer.text
    assert "Weekend" not in played.answer.text


async def test_a_split_that_fails_or_is_cut_off_loses_no_point() -> None:
    def say(call: Call, rng: Random) -> str:
        task = task_of(call)
        if task == SPLIT:
            return "1. Dim lights: no glare.\n2. No coffee: " + "it lingers " * 200
        return {OUTLINE: "1. Evenings: calm.\n2. Mornings: early.", EXPAND: " It helps."}.get(task, "x")

    played = await play(skeleton, QUESTION, Simulator(say, claims=BARE), route="always", depth=2)
    assert played.answer.text == "1. Evenings: It helps.\n2. Mornings: It helps."


@pytest.mark.parametrize("calls", [3, 4, 5])
async def test_calls_are_kept_for_the_points(calls: int) -> None:
    budget = Budget(calls=calls)
    played = await play(skeleton, QUESTION, writer(SPLITS), route="always", depth=2, budget=budget)
    assert played.answer.text == "1. Evenings: It helps.\n2. Mornings: It helps."
    assert played.verdicts("skeleton") == ["not split"]
    asked = len(played.nodes(NodeKind.GENERATE, "split of point"))
    assert asked == (2 if calls == 5 else 0)  # what was asked cannot be written by the calls that are left


async def test_it_survives_kills_and_can_be_forked() -> None:
    await killed_anywhere(skeleton, QUESTION, lambda: writer(SPLITS), route="always", depth=2)
    first, fork = await forked(
        skeleton, QUESTION, writer(SPLITS), at="1", change=Change(value="enough"), route="always", depth=2
    )
    assert "## Evenings" in first.text
    assert "##" not in fork.text


def judging(told: Any) -> Any:
    @tool(name=ROUTER)
    async def judge(question: str) -> Any:
        """Whether it is a list."""
        if isinstance(told, Exception):
            raise told
        return told

    return judge


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"probability": 0.9, "threshold": 0.5}, "A"),
        ({"probability": 0.5, "threshold": 0.5}, "A"),
        ({"probability": 0.49, "threshold": 0.5}, "no"),
        (RuntimeError("broken"), "no"),
        ({}, "no"),
    ],
)
async def test_the_trained_router_decides_where_words_do_not(told: Any, verdict: str) -> None:
    open_question = "What do you make of Rome and Paris?"
    played = await play(skeleton, open_question, writer(SPLITS), route="trained", tools=[judging(told)])
    assert played.verdicts("router") == [verdict]
    assert bool(played.nodes(NodeKind.GENERATE, "point")) == (verdict == "A")


async def test_words_go_before_the_trained_router() -> None:
    played = await play(
        skeleton, "What is 2 + 2?", writer(SPLITS), route="trained", tools=[judging({"probability": 1.0})]
    )
    assert played.nodes(NodeKind.TOOL) == []
    assert played.verdicts("router") == []


async def test_without_a_trained_router_the_request_is_refused() -> None:
    played = await play(skeleton, QUESTION, writer(SPLITS), route="trained")
    assert played.failure == InvalidRequest.code
    assert "ANABRANCH_ROUTER" in str(played.result.failure)
