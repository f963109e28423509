"""Rounds, and votes over roles, on a real language model of half a billion parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.runtime.nodes import NodeKind
from planners.rounds import rounds
from planners.vote import vote
from tests.planners.conftest import play
from tests.real_model import SMALL
from workers.engines.llama.engine import LlamaCppEngine
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

COWS = "A farmer has 12 cows and buys 30 more. How many cows does the farmer have now?"
HARDER = "A train leaves at 9:40 and arrives at 13:15. How many minutes does it take?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(SMALL, slots=3, context=2048, threads=1)
    await engine.capabilities()
    yield engine
    await engine.close()


async def test_later_rounds_see_the_answers_of_those_before(engine: LlamaCppEngine) -> None:
    played = await play(
        rounds, HARDER, engine, n=3, between="seat:0,rounds=2", temperature=1.0, max_tokens=64
    )
    held, verdicts = played.nodes(NodeKind.VOTE), played.verdicts("rounds")
    assert len(held) == len(verdicts) <= 2
    assert verdicts[:-1] == ["another round"] * (len(held) - 1)
    assert len(played.requests("branch")) == 3 * len(held)
    assert played.result.answer is not None
    first = {each["saw"]["claim"] for each in played.decisions("fixed")[:3] if "claim" in each["saw"]}
    shown = [prompt for prompt in played.said("branch") if "Earlier attempts" in prompt]
    assert len(shown) == (1 if len(held) == 2 and len(first) > 1 else 0)
    assert all(f"- {claim}\n" in prompt for prompt in shown for claim in first)
    if len(held) == 2:
        assert played.result.spent.usage.cached_tokens > 50  # of the head that all branches share


async def test_models_vote_by_their_roles(engine: LlamaCppEngine) -> None:
    """The same model under two roles: what is judged is who was asked."""
    pool = Pool([Member(engine, frozenset({"branch", "other"}), Sharing.IN_FLIGHT)])
    voters = {"branch": 1.0, "other": 2.0}
    played = await play(vote, COWS, pool, n=2, rule="fixed", voters=voters, temperature=0.3, max_tokens=64)
    await pool.close()
    assert [request.get("role", "branch") for request in played.requests("branch")] == ["branch", "other"]
    assert played.result.answer is not None
    weights = [cluster.weight for cluster in played.result.answer.clusters]
    assert sum(weight or 0.0 for weight in weights) <= 2.0 + 1e-9
