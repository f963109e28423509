"""``template`` on a real language model of half a billion parameters; what is judged is the structure."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.runtime.nodes import NodeKind
from planners.template.planner import template
from storage.events import EventType
from tests.planners.conftest import play
from tests.real_model import SMALL
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

QUESTIONS = (
    "Answer each of these questions in one word:\n1. What is the capital of Italy?\n2. What is 2 + 2?\n"
    "3. What colour is snow?",
    "Translate each of these words into French: apple, pear and plum.",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(SMALL, slots=4, context=2048, threads=1)
    await engine.capabilities()
    yield engine
    await engine.close()


async def test_one_of_two_prompts_is_taken_apart_and_answered_side_by_side(engine: LlamaCppEngine) -> None:
    seen = []
    for question in QUESTIONS:
        played = await play(template, question, engine, max_tokens=24)
        pieces = played.nodes(NodeKind.GENERATE, "piece")
        seen.append((played.decisions("template"), played.result))
        if not pieces:
            assert played.verdicts("template")[-1] in ("direct", "vote")  # it was handed on, and told why
            continue
        items = [said.rpartition("<item>\n")[2].removesuffix("\n</item>\n") for said in played.said("piece")]
        places = [question.index(item) for item in items]  # nothing but what the user has written
        assert len(items) == 3
        assert places == sorted(places)
        first_end = min(played.seq(EventType.NODE_SETTLED, piece) for piece in pieces)
        assert max(played.seq(EventType.NODE_ADDED, piece) for piece in pieces) < first_end
        assert played.result.spent.usage.cached_tokens > 0
        assert played.result.answer is not None
        numbers = [line.partition(".")[0] for line in played.result.answer.text.splitlines() if line.strip()]
        assert [number for number in numbers if number.isdigit()][:3] == ["1", "2", "3"]
        return
    pytest.fail(f"neither was taken apart: {seen}")
