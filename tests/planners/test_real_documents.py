"""``documents`` on a real language model of half a billion parameters: what is judged is the structure."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.documents import BOUND, second_question
from benchmarks.long_documents import cases
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.values import Question
from planners.documents.planner import documents
from tests.planners.conftest import play
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

(CASE,) = cases(1, characters=700, documents=2, kinds=["planted"])
OPTIONS: dict[str, Any] = {"chunk": 140, "hops": 1, "quote_tokens": 48, "max_tokens": 64}


async def test_every_quote_stands_where_it_is_said_to_stand(engine: LlamaCppEngine) -> None:
    played = await play(documents, Question(CASE.text, CASE.material), engine, **OPTIONS)
    answer = played.result.answer
    assert answer is not None
    read = played.decisions("citing")
    assert len(read) == len(played.said("chunk")) > 2
    spans = [tuple(map(int, span.split("-"))) for each in read for span in each["saw"]["quotes"]]
    assert (played.result.outcome is RunOutcome.UNDECIDED) or spans
    told = re.findall(r"^\[\d+\] (?:\(.*?\) )?(\d+)-(\d+): (.*)$", answer.text, re.MULTILINE)
    assert bool(told) == bool(spans)
    for start, end, quote in told:
        assert " ".join(CASE.material[int(start) : int(end)].split()) == quote
    usages = [event.data["usage"] for event in played.events if event.data.get("usage")]
    assert all(each["prompt_tokens"] < 400 for each in usages)  # the chunks are as long as they were to be


async def test_a_second_question_computes_only_its_own_tokens(engine: LlamaCppEngine) -> None:
    other = "Which river does the text name, and how many people live beside it?"
    second = await second_question(engine, CASE.material, CASE.text, other, OPTIONS, block=1)
    assert second.calls > 3
    assert second.computed < second.prompt / 2
    assert second.ratio <= BOUND
