"""What a completion leaves in the journal."""

from __future__ import annotations

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import play
from tests.orchestrator.runtime.saying import Saying
from workers.calls import Chunk, Usage


async def once(run: Run) -> Answer:
    said = await run.generate("Why?")
    return Answer(f"{said.text} <- {said.reasoning}")


async def test_thinking_is_kept_apart_from_the_text_and_counted() -> None:
    engine = Saying(
        Chunk(reasoning="may", tokens=1),
        Chunk(reasoning="be", tokens=1),
        Chunk("42", tokens=1),
        Chunk(finish_reason="stop", usage=Usage(5, 0, 3, 2)),
    )
    played = await play(once, engine)
    assert played.answer == "42 <- maybe"
    settled = played.settled("0")
    assert settled["value"] == {"text": "42", "finish_reason": "stop", "reasoning": "maybe"}
    assert settled["usage"]["reasoning_tokens"] == 2
    assert played.result.spent.usage == Usage(5, 0, 3, 2)


async def test_a_completion_without_thinking_leaves_no_trace_of_it() -> None:
    played = await play(once, Saying(Chunk("42", 1, finish_reason="stop", usage=Usage(5, 0, 1))))
    settled = played.settled("0")
    assert "reasoning" not in settled["value"]
    assert "reasoning_tokens" not in settled["usage"]


async def test_a_restart_voids_the_thinking_too() -> None:
    engine = Saying(
        Chunk(reasoning="one", tokens=1),
        Chunk(reasoning="two", tokens=1, restarted=True),
        Chunk("42", 1, finish_reason="stop"),
    )
    assert (await play(once, engine)).answer == "42 <- two"


@pytest.mark.parametrize("reason", ["refused", "abort", "length"])
async def test_every_reason_is_kept(reason: str) -> None:
    async def body(run: Run) -> Answer:
        return Answer((await run.generate("Why?")).finish_reason)

    chunk = Chunk("no", 1, finish_reason=reason)  # type: ignore[arg-type]
    assert (await play(body, Saying(chunk))).answer == reason


async def test_a_prompt_holds_what_was_said_and_not_what_was_thought() -> None:
    async def body(run: Run) -> Answer:
        first = run.generate("Why?")
        second = await run.generate([user("Somebody said: ", first)], label="second")
        third = await run.generate([user("Why?"), assistant(first)], label="third")
        return Answer(second.text + third.text)

    engine = Saying(Chunk("<think>41?</think>42", 1, finish_reason="stop"))
    await play(body, engine)
    texts = [[segment.text for segment in call.prompt.segments] for call in engine.calls]
    assert texts[1:] == [["Somebody said: ", "42"], ["Why?", "<think>41?</think>42"]]
