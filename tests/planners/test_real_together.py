"""``together`` on a real language model of half a billion parameters; what is judged is the structure."""

from __future__ import annotations

import pytest

from orchestrator.runtime.nodes import NodeKind
from planners.together.planner import together
from storage.events import EventType
from tests.planners.conftest import play
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

COWS = "A farmer has 12 cows and buys 30 more. How many cows does the farmer have now?"


async def test_workers_go_on_with_one_page_whose_beginning_is_cached(engine: LlamaCppEngine) -> None:
    played = await play(together, COWS, engine, rounds=2, paragraph=40, max_tokens=64)
    *_, finish = played.decisions("together")
    saw = finish["saw"]
    assert finish["verdict"].startswith("finish: ")
    assert 1 <= saw["paragraphs"] <= 4
    assert saw["paragraphs"] + saw["dropped"] + saw["nothing to add"] + saw["failed"] == 2 * saw["rounds"]
    assert saw["shared tokens"] > saw["paragraphs"]
    assert saw["cached tokens"] > saw["prompt tokens"] / 4
    final = played.said("answer")[0]
    page = final.partition("<page>\n")[2].partition("</page>")[0]
    assert page.count("Worker ") >= saw["paragraphs"]
    for prompt in played.said("worker"):
        assert final.startswith(prompt.partition("</page>")[0])
    (answer,) = played.nodes(NodeKind.GENERATE, "answer")
    cached = next(e for e in played.events if e.type is EventType.NODE_SETTLED and e.path == answer)
    assert cached.data["usage"]["cached_tokens"] > 0
    assert played.result.answer is not None
    assert played.result.answer.reasoning == page.strip()
