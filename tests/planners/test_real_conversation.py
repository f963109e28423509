"""A conversation on a small real model: what was said earlier, and instructions, show in the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from orchestrator.planning.finding import find_planner
from orchestrator.runtime.values import Question, Turn
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.opening import open_store
from tests.planners.conftest import play
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

MODEL = "qwen2.5-coder-1.5b"
NAMED = (
    Turn("user", "Hello! My name is Quembly and my dog is called Ollo."),
    Turn("assistant", "Hello Quembly! What can I do for you?"),
)
OPTIONS: dict[str, dict[str, Any]] = {"vote": {"n": 3}, "direct": {}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(MODEL, slots=3, context=4096, threads=2)
    await engine.capabilities()
    yield engine
    await engine.close()


@pytest.mark.parametrize("name", OPTIONS)
async def test_a_name_that_was_told_earlier_is_known(engine: LlamaCppEngine, name: str) -> None:
    question = Question("What is the name of my dog?", history=NAMED)
    played = await play(find_planner(name), question, engine, max_tokens=80, **OPTIONS[name])
    assert played.result.answer is not None
    assert "ollo" in (played.result.answer.claim or played.result.answer.text).casefold()


@pytest.mark.parametrize("name", OPTIONS)
async def test_instructions_are_kept_to(engine: LlamaCppEngine, name: str) -> None:
    question = Question(
        "Name the colour of the sky on a clear day, in one sentence.",
        history=(Turn("system", "You answer in French only."),),
    )
    played = await play(find_planner(name), question, engine, max_tokens=80, **OPTIONS[name])
    assert played.result.answer is not None
    assert "bleu" in played.result.answer.text.casefold()


async def test_an_answer_in_json_has_what_was_told_earlier(engine: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"dog": {"type": "string"}, "letters": {"type": "integer"}},
        "required": ["dog", "letters"],
        "additionalProperties": False,
    }
    async with await open_store("memory") as store:
        service = Service(store, engine)
        asked = {
            "query": "What is the name of my dog, and how many letters has it?",
            "history": [{"role": turn.role, "content": turn.content} for turn in NAMED],
            "planner": "vote",
            "format": {"type": "json_schema", "schema": schema},
            "options": {"max_tokens": 120, "n": 3},
        }
        solution = await service.solve(parse(asked))
        told = json.loads(solution.text)
        assert told["dog"].casefold() == "ollo"
        assert isinstance(told["letters"], int)
        assert (await service.replay(solution.trace_id)).result.answer is not None
