"""Chains and drafts that a real language model writes from each other; only the structure is judged."""

from __future__ import annotations

import pytest

from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from planners.aggregate import AGGREGATE, aggregate
from planners.distil.refining import REFINE, distil
from tests.planners.conftest import play
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

COWS = "A farmer has 12 cows and buys 30 more. How many cows does the farmer have now?"
ENDED = (RunOutcome.ANSWERED, RunOutcome.UNDECIDED)


async def test_chains_are_written_from_others(engine: LlamaCppEngine) -> None:
    played = await play(aggregate, COWS, engine, n=2, k=2, t=2, max_tokens=48)
    assert played.result.outcome in ENDED
    assert played.verdicts("aggregate") == ["another population", "finish: exhausted"]
    later = played.said("population 2")
    assert [prompt.count("<attempt>") for prompt in later] == [2, 2]
    plain, *_ = played.said("population 1")
    assert all(prompt.startswith(plain + AGGREGATE) for prompt in later)
    assert all(played.outcome(path) == "succeeded" for path in played.nodes(NodeKind.GENERATE))


async def test_drafts_are_distilled_into_notes(engine: LlamaCppEngine) -> None:
    played = await play(distil, COWS, engine, widths="1,1", workspace=32, max_tokens=48)
    assert played.result.outcome in ENDED
    assert played.verdicts("distil")[0] == "another round"
    (how,) = played.verdicts("workspace")
    assert len(played.requests("notes")) == (how == "summary")  # of a draft that does not fit as it is
    (last,) = played.said("round 2")
    assert REFINE in last
    assert "<notes>\n- " in last
