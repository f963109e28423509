"""No planner has its material computed more than once."""

from __future__ import annotations

import pytest

from benchmarks.prefix_planners import (
    BOUND,
    WAYS,
    Metered,
    Way,
    failures,
    found,
    material,
    measured,
    simulator,
    table,
)
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import system, user
from orchestrator.runtime.values import Answer, Question
from workers.engines.simulator.cache import count_tokens
from workers.engines.simulator.engine import Simulator

HERE = [(way, method) for way in WAYS if (method := found(way.planner))]


@pytest.mark.parametrize(("way", "method"), HERE, ids=[f"{way.planner}: {way.query[:20]}" for way, _ in HERE])
async def test_every_planner_computes_its_material_once(way: Way, method: Planner) -> None:
    row = await measured(way, method, simulator(way), 2_000)
    assert failures(way, row, whole=True) == []
    assert row.prompt >= 2_000 * row.calls


@planner("own_heads")
async def own_heads(run: Run, question: Question) -> Answer:
    """Begin each call with something of its own."""
    first = await run.generate([system("Plan."), user(question.context, question.text)])
    second = await run.generate([system("Answer."), user(question.context, question.text)])
    return Answer(first.text + second.text)


async def test_a_planner_with_heads_of_its_own_is_found_out() -> None:
    way = Way("own_heads", "Why?", (("", "So."),), 3)
    row = await measured(way, own_heads, Simulator("So."), 2_000)
    assert row.ratio == pytest.approx(2, abs=0.1)
    assert failures(way, row, whole=True) == [
        f"{row.ratio:.2f} is more than {BOUND}",
        "2 calls where at least 3 were to be made",
    ]
    assert "| own_heads | 2 |" in table([row])


def test_a_planner_that_is_not_there_is_left_out() -> None:
    assert found("no_such_planner") is None


def test_a_material_is_as_long_as_it_is_to_be_and_always_the_same() -> None:
    assert 500 <= count_tokens(material(500)) < 530
    assert material(500) == material(500)


def test_nothing_that_was_counted_is_a_row_of_nothing() -> None:
    assert Metered(Simulator("x")).row("direct", "failed").computed == 0
