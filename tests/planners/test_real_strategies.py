"""``strategies`` and ``no_thinking`` on a small real model: what they ask of an engine is what it can do.

One model is draft and target at once. What it says is not judged, only what is made of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from orchestrator.runtime.nodes import NodeKind
from planners.no_thinking import no_thinking
from planners.strategies.planner import strategies
from planners.strategies.stepwise import BREAK
from tests.planners.conftest import Played, play
from tests.real_model import SMALL
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

COWS = "A farmer has 12 cows and buys 30 more. How many cows does the farmer have now?"
POOL = ["direct: work out one thing after the other.", "equations: name what is unknown."]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(SMALL, slots=2, context=2048, threads=1)
    await engine.capabilities()
    yield engine
    await engine.close()


def said_in(played: Played, path: str) -> tuple[str, str]:
    """The label of a call, and why its completion ended; or nothing if it has none."""
    added, *others = (event.data for event in played.events if event.path == path)
    ended = next((data["value"]["finish_reason"] for data in others if "value" in data), "")
    return str(added["label"]), str(ended)


async def test_strategies_are_rated_and_their_paths_drafted_and_judged(engine: LlamaCppEngine) -> None:
    can = replace(await engine.capabilities(), roles=frozenset({"draft"}))
    played = await play(
        strategies, COWS, engine, capabilities=can, n=1, pool=POOL, steps=2, step_tokens=24, max_tokens=48
    )
    (selection,) = played.decisions("selection")
    scores = selection["saw"]["scores"]
    assert all(0 <= score <= 9 for score in scores)  # it gives digits, and their probabilities
    assert any(score % 1 for score in scores)
    chosen = selection["saw"]["chosen"][0]
    assert scores[selection["saw"]["strategies"].index(chosen)] == max(scores)
    judged = played.decisions("step")
    assert 1 <= len(judged) <= 2
    assert all(each["saw"]["score"] is not None for each in judged)
    drafts = played.requests("step")
    assert drafts[0]["sampling"]["stop"] == [BREAK]
    assert played.result.spent.usage.cached_tokens > played.result.spent.usage.prompt_tokens / 3
    assert played.result.answer is not None
    assert played.result.answer.text


async def test_branches_begin_after_a_closed_block_and_are_ranked(engine: LlamaCppEngine) -> None:
    played = await play(no_thinking, COWS, engine, n=2, thinks="yes", merge="borda", max_tokens=40)
    assert [prompt[-1][0] for prompt in played.prompts("branch")][:2] == ["assistant", "assistant"]
    (merge,) = played.decisions("merge")
    assert merge["verdict"] in ("weighted by borda", "majority")  # the latter if no branch has an answer
    for path in played.nodes(NodeKind.GENERATE, "branch"):
        label, end = said_in(played, path)
        if end == "length" and "concluded" not in label:
            assert played.nodes(NodeKind.GENERATE, f"{label}, concluded")
    assert played.result.answer is not None
    assert "think>" not in played.result.answer.text
    assert played.result.answer.text
