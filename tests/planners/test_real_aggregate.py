"""Chains and drafts that a real language model writes from each other; only the structure is judged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from planners.aggregate import AGGREGATE, aggregate
from planners.distil.refining import REFINE, distil
from tests.planners.conftest import play
from tests.real_model import SMALL
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

TICKETS = (
    "A train ticket costs 15 dollars and a bus ticket a third of that. "
    "What do 2 train tickets and 4 bus tickets cost?"
)
ENDED = (RunOutcome.ANSWERED, RunOutcome.UNDECIDED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(SMALL, slots=4, context=2048, threads=1)
    await engine.capabilities()
    yield engine
    await engine.close()


async def test_chains_are_written_from_others_until_they_agree(engine: LlamaCppEngine) -> None:
    played = await play(aggregate, TICKETS, engine, n=3, k=2, t=2, max_tokens=160, enough=3)
    assert played.result.outcome in ENDED
    assert played.result.answer is not None
    assert played.result.answer.clusters
    seen = [decision["saw"]["counts"] for decision in played.decisions("aggregate")]
    assert all(sum(each.values()) >= 1 for each in seen)
    for prompt in played.said("population 2"):
        assert AGGREGATE in prompt
        assert prompt.count("<attempt>") == 2


async def test_drafts_are_distilled_into_notes(engine: LlamaCppEngine) -> None:
    played = await play(distil, TICKETS, engine, widths="2,1", workspace=96, max_tokens=160)
    assert played.result.outcome in ENDED
    assert played.verdicts("distil")[-1] in ("finish: agreed", "finish: exhausted")
    if "another round" in played.verdicts("distil"):
        (notes,) = played.nodes(NodeKind.GENERATE, "notes")
        assert played.outcome(notes) == "succeeded"
        (last,) = played.said("round 2")
        assert REFINE in last
        assert "<notes>\n- " in last
