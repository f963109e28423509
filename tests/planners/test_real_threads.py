"""Threads of a real, small language model; what is judged is the structure of the run."""

from __future__ import annotations

import pytest

from orchestrator.runtime.nodes import NodeKind
from planners.threads.weaving import threads
from storage.events import EventType
from tests.planners.conftest import Played, play
from tests.planners.led import Led
from workers.engines.llama.engine import LlamaCppEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

QUESTION = "How many legs have three dogs and two hens together?"
BLOCK = (
    "<Parallel>\n<Outlines>\n<Outline>1: Count the legs of three dogs.</Outline>\n"
    "<Outline>2: Count the legs of two hens.</Outline>\n</Outlines>"
)


def settled(played: Played, path: str) -> dict[str, int]:
    """The tokens of a call."""
    event = next(e for e in played.events if e.type is EventType.NODE_SETTLED and e.path == path)
    return dict(event.data["usage"])


async def test_outlines_are_written_side_by_side_over_one_prefix(engine: LlamaCppEngine) -> None:
    led = Led(engine, BLOCK)
    played = await play(threads, QUESTION, led, thread_tokens=20, max_tokens=96, temperature=0.0)
    one, two = played.nodes(NodeKind.GENERATE, "thread")
    assert played.seq(EventType.NODE_ADDED, two) < played.seq(EventType.NODE_SETTLED, one)
    cached, prompt = (
        sum(settled(played, path)[name] for path in (one, two)) for name in ("cached_tokens", "prompt_tokens")
    )
    assert cached > 0.4 * prompt  # at least one of them finds what both share
    last = played.nodes(NodeKind.GENERATE, "sequence 1")[0]
    assert settled(played, last)["cached_tokens"] > settled(played, one)["prompt_tokens"] / 2
    saw = played.decisions("threads")[-1]["saw"]
    assert (saw["blocks"], saw["threads"]) == (1, 2)
    assert saw["sequential"] < saw["total"]
    assert played.result.answer is not None


async def test_what_the_model_makes_of_the_form_is_an_answer_or_says_why_not(engine: LlamaCppEngine) -> None:
    played = await play(threads, QUESTION, engine, lead="begin", thread_tokens=16, max_tokens=64)
    assert played.result.answer is not None
    *_, last = played.decisions("threads")
    saw = last["saw"]
    assert len(played.nodes(NodeKind.GENERATE, "thread")) == saw["threads"]
    if last["verdict"] == "finish":
        assert saw["total"] == played.result.spent.usage.completion_tokens
    assert saw["blocks"] or "one sequence" in played.verdicts("threads")  # it was begun with a block
