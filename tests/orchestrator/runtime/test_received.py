"""What a completion leaves in the journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.errors import PlannerError
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import assistant, calling, result, user
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import Journal, play
from tests.orchestrator.runtime.saying import Saying
from workers.calls import Chunk, Segment, Usage
from workers.engine import Capabilities
from workers.functions import Function, FunctionCall
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox


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


LOOK = FunctionCall("id1", "look", '{"at": "Paris"}')


@tool
def look(at: str) -> str:
    """Look there."""
    return f"{at} is here"


async def calls(run: Run) -> Answer:
    said = await run.generate("Where?", functions=[look])
    results = [result(each, run.tool(look, each.values() or {})) for each in said.calls]
    last = await run.generate([user("Where?"), calling(said), *results], functions=[look], label="then")
    return Answer(f"{said.text}|{last.text}|{len(last.calls)}")


async def test_calls_are_kept_and_go_back_with_their_results() -> None:
    engine = Saying(Chunk("I look.", 2), Chunk(finish_reason="stop", usage=Usage(5, 0, 9), calls=(LOOK,)))
    played = await play(calls, engine)
    assert played.answer == "I look.|I look.|1"
    told = {"id": "id1", "name": "look", "arguments": '{"at": "Paris"}'}
    assert played.settled("0")["value"] == {"text": "I look.", "finish_reason": "stop", "calls": [told]}
    first, second = [
        event.data["request"] for event in played.events if "functions" in event.data.get("request", {})
    ]
    assert first["prompt"] == [["user", "Where?"]]
    assert first["functions"] == [{"name": "look", "description": "Look there.", "schema": dict(look.schema)}]
    assert second["prompt"] == [
        ["user", "Where?"],
        ["assistant", "I look.", [told]],
        ["tool", "Paris is here", [told]],
    ]
    assert engine.calls[0].functions == (Function("look", "Look there.", look.schema),)
    assert engine.calls[1].prompt.segments[1:] == (
        Segment("assistant", "I look.", calls=(LOOK,)),
        Segment("tool", "Paris is here", calls=(LOOK,)),
    )


async def test_calls_that_a_model_wrote_as_text_are_calls() -> None:
    written = 'I look.\n<tool_call>{"name": "look", "arguments": {"at": "Paris"}}</tool_call>'
    engine = Saying(Chunk(written, 9, token_ids=(1, 2), finish_reason="stop", usage=Usage(5, 0, 9)))
    played = await play(calls, engine)
    value = played.settled("0")["value"]
    assert value["text"] == "I look."
    assert [call["name"] for call in value["calls"]] == ["look"]
    assert "token_ids" not in value


async def test_without_functions_nothing_is_a_call() -> None:
    written = '{"name": "look", "arguments": {"at": "Paris"}}'
    engine = Saying(Chunk(written, 9, finish_reason="stop", usage=Usage(5, 0, 9), calls=(LOOK,)))
    played = await play(once, engine)
    assert played.settled("0")["value"] == {"text": written, "finish_reason": "stop"}
    [request] = [event.data["request"] for event in played.events if "request" in event.data]
    assert "functions" not in request


async def test_a_restart_voids_the_calls_too() -> None:
    engine = Saying(
        Chunk("a", 1, calls=(LOOK,)),
        Chunk("b", 1, restarted=True),
        Chunk(finish_reason="stop", calls=(LOOK,)),
    )
    assert (await play(calls, engine)).answer == "b|b|1"


async def test_only_tools_are_functions() -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(PlannerError, match="are tools"):
            run.generate("?", functions=["look"])  # type: ignore[list-item]
        return Answer("refused")

    assert (await play(body, Saying(Chunk("a", 1, finish_reason="stop")))).answer == "refused"


@pytest.mark.parametrize(("redact", "told"), [(None, ["hm", "It", "It is"]), (str.upper, ["", "", ""])])
async def test_progress_has_the_end_of_the_text_unless_it_is_redacted(
    redact: Callable[[str], str] | None, told: list[str]
) -> None:
    engine = Saying(
        Chunk(reasoning="hm", tokens=1), Chunk("It", 1), Chunk(" is", 1, finish_reason="stop", usage=Usage())
    )
    environment = Environment(engine, Capabilities("saying"), Toolbox([]), redact=redact)
    seen: list[tuple[str, int, str]] = []

    def on_progress(path: str, tokens: int, latest: Callable[[], str]) -> None:
        seen.append((path, tokens, latest()))

    await Executor(Run, environment, Journal(), on_progress=on_progress).execute(once, {})
    assert seen == [("0", number, text) for number, text in enumerate(told, 1)]
