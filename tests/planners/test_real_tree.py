"""Trees and tournaments on a real model of half a billion parameters: the structure of their runs."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import countdown
from benchmarks.verifiers import verifier
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Question
from planners.tournament import tournament
from planners.tree.planner import tree
from planners.tree.steps import VALUES
from storage.events import EventType
from tests.planners.conftest import play
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

COWS = "A farmer has 12 cows and buys 30 more. How many cows does the farmer have now?"
ENDED = (RunOutcome.ANSWERED, RunOutcome.UNDECIDED)


async def test_a_beam_proposes_values_and_selects_steps(engine: LlamaCppEngine) -> None:
    options: dict[str, Any] = {"breadth": 1, "proposals": 2, "depth": 1, "values": 2, "max_tokens": 96}
    played = await play(tree, COWS, engine, **options)
    assert played.result.outcome in ENDED
    (level,) = [each["saw"] for each in played.decisions("tree") if each["verdict"] == "select"]
    (kept,) = level["kept"]
    assert kept["step"]
    assert 0 <= kept["value"] <= 2 * VALUES["sure"]
    assert len(played.nodes(NodeKind.GENERATE, "value")) == 2 * level["of"]
    assert played.result.spent.usage.cached_tokens > 0


async def test_answers_are_tried_until_a_verifier_accepts_one(engine: LlamaCppEngine) -> None:
    pytest.importorskip("treequest")
    puzzle = countdown.puzzles(1)[0]
    options: dict[str, Any] = {
        "search": "adaptive",
        "verifier": "solves",
        "n": 4,
        "batch": 2,
        "max_tokens": 96,
    }
    played = await play(tree, puzzle.text, engine, tools=[verifier([puzzle])], **options)
    assert played.result.outcome in ENDED
    answer = played.result.answer
    assert answer is not None
    accepted = answer.claim is not None and countdown.is_right(answer.claim, puzzle.numbers, puzzle.target)
    assert (answer.undecided is None) is accepted
    assert played.verdicts("tree")[-1] == ("finish: verified" if accepted else "finish: exhausted")


async def test_a_judge_scores_answers(engine: LlamaCppEngine) -> None:
    pytest.importorskip("treequest")
    played = await play(tree, COWS, engine, search="adaptive", n=2, batch=2, max_tokens=64)
    assert played.result.answer is not None
    assert len(played.nodes(NodeKind.GENERATE, "judge")) == 3  # two answers, and one that says nothing
    assert not [each for each in played.verdicts("tree") if each == "not judged"]


async def test_copies_go_on_from_cached_tokens(engine: LlamaCppEngine) -> None:
    options: dict[str, Any] = {
        "n": 4,  # some may end at once
        "segment": 12,
        "max_tokens": 36,
        "score": "confidence",
        "copies": 1,
        "temperature": 1.0,
    }
    long = Question("Tell the story of a farmer and her cows, in many sentences.")
    played = await play(tournament, long, engine, **options)
    assert played.result.outcome in ENDED
    copied, *_ = [each["saw"] for each in played.decisions("tournament") if each["verdict"] == "copy"]
    assert copied["as"] == [4]
    path, *_ = played.nodes(NodeKind.GENERATE, "branch 4")
    settled = next(e for e in played.events if e.type is EventType.NODE_SETTLED and e.path == path)
    usage = settled.data["usage"]
    assert usage["cached_tokens"] > usage["prompt_tokens"] / 2
