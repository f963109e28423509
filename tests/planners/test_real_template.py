"""``template`` on a real language model of half a billion parameters; what is judged is the structure.

Whether so small a model takes a prompt apart differs from run to run. So in one test it does, whatever comes
of it; in another one the extraction is given, and the model writes the pieces.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Budget
from planners.template.extracting import EXTRACT
from planners.template.planner import template
from storage.events import EventType
from tests.planners.conftest import Played, play
from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Health
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

QUESTION = "Answer each of these in one word:\n1. What is the capital of Italy?\n2. What colour is snow?"
ITEMS = ["What is the capital of Italy?", "What colour is snow?"]


class TakenApart:
    """The same engine, but what is to be taken apart is."""

    name = "taken apart"

    def __init__(self, engine: LlamaCppEngine) -> None:
        self._engine = engine

    async def capabilities(self) -> Capabilities:
        return await self._engine.capabilities()

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:
        if EXTRACT in "".join(segment.text for segment in call.prompt.segments):
            found = {"data": ITEMS, "n": None, "context": "", "template": "Answer in one word: {data}"}
            yield Chunk(json.dumps(found), 1, finish_reason="stop", usage=Usage(1, 0, 1))
            return
        async for chunk in self._engine.generate(call):
            yield chunk

    async def health(self) -> Health:
        return await self._engine.health()

    async def close(self) -> None:
        """The engine is closed by who started it."""


def check_pieces(played: Played) -> None:
    """Each piece has an item of the user, in the user's order, and all were asked for at once."""
    pieces = played.nodes(NodeKind.GENERATE, "piece")
    items = [said.rpartition("<item>\n")[2].removesuffix("\n</item>\n") for said in played.said("piece")]
    assert items == ITEMS
    first_end = min(played.seq(EventType.NODE_SETTLED, piece) for piece in pieces)
    assert max(played.seq(EventType.NODE_ADDED, piece) for piece in pieces) < first_end


async def test_pieces_are_written_side_by_side_over_one_prefix(engine: LlamaCppEngine) -> None:
    played = await play(template, QUESTION, TakenApart(engine), max_tokens=12)
    check_pieces(played)
    assert played.result.answer is not None
    lines = [line for line in played.result.answer.text.splitlines() if line[:2] in ("1.", "2.")]
    assert [line[:2] for line in lines] == ["1.", "2."]
    assert all(line[2:].strip() for line in lines)
    assert played.result.spent.usage.cached_tokens > 50  # the second piece has the head of the first


async def test_a_prompt_is_taken_apart_or_handed_on_with_a_reason(engine: LlamaCppEngine) -> None:
    budget = Budget(calls=4, tokens=3000)  # two to take it apart, and two pieces
    played = await play(template, QUESTION, engine, max_tokens=12, budget=budget)
    assert 1 <= len(played.nodes(NodeKind.GENERATE, "extract")) <= 2
    if played.nodes(NodeKind.GENERATE, "piece"):
        check_pieces(played)
    elif played.result.limit is None:
        *_, last = played.decisions("template")
        assert last["verdict"] in ("direct", "vote")
        assert last["saw"]["reason"]
