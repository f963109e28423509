"""Tree search: steps by a beam (Tree of Thoughts), or answers by adaptive branching (AB-MCTS)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from planners.questions import Temperature, Tokens
from planners.tree.beam import Beam
from planners.tree.branching import Branching
from planners.tree.scoring import check_verifier

Few = Annotated[int, Field(ge=1, le=16)]


@planner("tree")
async def tree(
    run: Run,
    question: Question,
    *,
    search: Literal["beam", "adaptive"] = "beam",
    verifier: str | None = None,
    breadth: Few = 3,
    proposals: Few = 3,
    depth: Few = 3,
    values: Few = 3,
    n: Annotated[int, Field(ge=1, le=256)] = 12,
    batch: Few = 3,
    temperature: Temperature = 0.7,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Search in a tree of steps or of answers, and stop as soon as a verifier accepts an answer.

    ``search`` "beam" proposes next steps, values and selects them (Tree of Thoughts): of each of ``depth``
    levels the best ``breadth`` states are kept; each gets ``proposals`` next steps, of which each is valued
    ``values`` times. "adaptive" tries ``n`` answers, ``batch`` at a time, each from the question or from an
    earlier one, as Thompson sampling over their scores chooses (AB-MCTS, extra ``tree``). ``verifier`` is a
    tool that takes ``question`` and ``answer`` and returns whether the answer is right, or how much of it in
    [0, 1]; without one, "adaptive" has a model judge, which needs log-probabilities. ``max_tokens`` is the
    length of an answer.

    Raises:
        NodeFailed: no call gave a completion.
        InvalidRequest: nothing scores, or something that the search needs is not there.
    """
    check_verifier(run, verifier)
    if search == "adaptive":
        return await Branching(n, batch, temperature, max_tokens, verifier).answer(run, question)
    beam = Beam(breadth, proposals, depth, values, temperature, max_tokens, verifier)
    return await beam.answer(run, question)
