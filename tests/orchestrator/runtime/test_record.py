"""Strict replay and resume: every divergence is named, nothing is done twice, nothing is asked again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import Divergence
from orchestrator.planning.run import Run
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Answer
from storage.events import Event, EventType
from tests.orchestrator.runtime.harness import (
    Journal,
    Speaker,
    check,
    environment,
    play,
    replay,
    resume,
    said,
)
from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.errors import EngineUnavailable
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox


def two_calls(first: str = "one", second: str = "two", **options: Any) -> Callable[[Run], Any]:
    async def body(run: Run) -> Answer:
        nodes = [run.generate(first, **options), run.generate(second)]
        return Answer(" ".join(completion.text for completion in await run.join(nodes)))

    return body


async def one_call(run: Run) -> Answer:
    return Answer((await run.generate("one")).text)


async def two_calls_and_a_note(run: Run) -> Answer:
    answer: Answer = await two_calls()(run)
    run.note("more")
    return answer


async def a_merge(run: Run) -> Answer:
    return Answer(await run.merge(str, 5))


def catching(body: Callable[[Run], Any]) -> Callable[[Run], Any]:
    async def planner(run: Run) -> Answer:
        try:
            return Answer(str(await body(run)))
        except Exception:
            return Answer("ok ok")

    return planner


LONG = "The beginning is the same for a long while. " * 50


@pytest.mark.parametrize("wrap", [lambda body: body, catching], ids=["plain", "catching"])
@pytest.mark.parametrize(
    ("recorded", "now", "message"),
    [
        (
            two_calls(),
            two_calls(second="three"),
            r'node 1 .*request\.prompt\.0\.1: recorded "two", now "three"',
        ),
        (two_calls(), two_calls("two", "one"), r'node 0 .*request\.prompt\.0\.1: recorded "one", now "two"'),
        (two_calls(), two_calls(temperature=0.1), r"node 0 .*request\.sampling\.temperature: .* now 0\.1"),
        (two_calls(LONG + "old"), two_calls(LONG + "new"), r'recorded …[^;]{1,70}old", now …[^;]{1,70}new"'),
        (two_calls(), one_call, r"node 0 .*the run waits here, the record goes on with node_added|node .*"),
        (
            one_call,
            two_calls(),
            r"node 1 .*the run does node_added here, the record has node_settled of node 0",
        ),
        (two_calls(), a_merge, r"node 0 .*kind: recorded \"generate\", now \"merge\""),
        (two_calls(), two_calls_and_a_note, r"node 2 .*does node_added here, the record has run_finished"),
    ],
)
async def test_a_divergence_is_named(
    recorded: Callable[[Run], Any],
    now: Callable[[Run], Any],
    message: str,
    wrap: Callable[[Callable[[Run], Any]], Callable[[Run], Any]],
) -> None:
    played = await play(recorded)
    with pytest.raises(Divergence, match=f"(?s){message}"):
        await replay(wrap(now), played.events, environment(None))


async def test_another_header_is_a_divergence() -> None:
    played = await play(one_call)
    events = [replace(played.events[0], data={"planner": "other"}), *played.events[1:]]
    with pytest.raises(Divergence, match=r"node root .*planner: recorded \"other\", now \"test\""):
        await replay(one_call, events, environment(None))


async def test_a_replay_of_a_part_says_where_it_ends() -> None:
    played = await play(two_calls())
    for length in range(len(played.events)):
        with pytest.raises(Divergence, match="the record has ended"):
            await replay(two_calls(), played.events[:length], environment(None))


async def test_a_record_that_goes_on_is_a_divergence() -> None:
    played = await play(one_call)
    more = [*played.events, replace(played.events[-1], seq=len(played.events))]
    with pytest.raises(Divergence, match="the run has ended, the record goes on"):
        await replay(one_call, more, environment(None))


@pytest.mark.parametrize("kind", [EventType.NODE_CHUNK, EventType.NODE_SETTLED])
@pytest.mark.parametrize("path", ["0", "1", "7"])
async def test_a_result_for_a_node_that_is_not_in_flight_is_a_divergence(kind: EventType, path: str) -> None:
    async def body(run: Run) -> Answer:
        first = run.generate("first")
        second = run.generate([user(first)])
        return Answer((await second).text)

    events = list((await play(body)).events)
    data = {"external": True, "outcome": "succeeded", "value": {"text": "x", "finish_reason": "stop"}}
    if kind is EventType.NODE_CHUNK:
        data = {"text": "x"}
    at = next(e.seq for e in events if e.type is EventType.NODE_SETTLED)
    if kind is EventType.NODE_SETTLED and path == "0":
        at += 1
    with pytest.raises(Divergence, match=f"node {path}"):
        await replay(body, [*events[:at], Event(at, kind, path, 0.0, data), *events[at:]], environment(None))


# Resuming


async def test_what_is_recorded_is_not_asked_again() -> None:
    played = await play(two_calls())
    for length in range(1, len(played.events) + 1):
        engine = Simulator("ok")
        resumed = await resume(two_calls(), played.events[:length], environment(engine))
        check(resumed.events)
        assert resumed.result == played.result
        settled = [e for e in played.events[:length] if e.type is EventType.NODE_SETTLED]
        assert engine.counters().started == 2 - len(settled)
        resumptions = [e.seq for e in resumed.events if e.type is EventType.RUN_RESUMED]
        assert resumptions == ([] if length == len(played.events) else [length])


async def test_a_tool_with_side_effects_is_not_called_twice() -> None:
    calls: list[str] = []

    @tool(side_effects=True)
    async def send(text: str) -> str:
        """Send a text."""
        calls.append(text)
        return f"sent {text}"

    async def body(run: Run) -> Answer:
        outcome = await run.tool("send", {"text": "hello"}).settled()
        return Answer(str(outcome))

    played = await play(body, tools=[send])
    assert calls == ["hello"]
    kinds = [event.type for event in played.events]
    started = kinds.index(EventType.NODE_ADDED) + 1
    for length in range(1, len(kinds) + 1):
        calls.clear()
        resumed = await resume(body, played.events[:length], environment(Simulator("ok"), tools=[send]))
        if length < started:
            assert calls == ["hello"]
        else:
            assert calls == []
        if length == started:
            assert "tool_interrupted" in resumed.answer
        else:
            assert resumed.answer == played.answer


async def test_a_tool_that_takes_a_key_is_invoked_again_with_the_same_one() -> None:
    keys: list[str] = []

    @tool(side_effects=True)
    async def send(text: str, idempotency_key: str) -> str:
        """Send a text, once."""
        keys.append(idempotency_key)
        return f"sent {text}"

    async def body(run: Run) -> Answer:
        return Answer(" ".join(await run.join([run.tool(send, {"text": "a"}), run.tool("send", ["b"])])))

    world = replace(environment(Simulator("ok"), tools=[send]), task_id="task")
    journal = Journal()
    result = await Executor(Run, world, journal).execute(body, {"planner": "test"})
    assert result.answer == Answer("sent a sent b")
    assert keys == ["task:0", "task:1"]
    asked = {e.path: e.data["request"] for e in journal.events if e.type is EventType.NODE_ADDED}
    assert {path: request["idempotency_key"] for path, request in asked.items()} == {
        "0": "task:0",
        "1": "task:1",
    }
    for length in range(1, len(journal.events) + 1):
        keys.clear()
        resumed = await resume(body, journal.events[:length], world)
        settled = {e.path for e in journal.events[:length] if e.type is EventType.NODE_SETTLED}
        assert resumed.result.answer == result.answer
        assert sorted(keys) == sorted({"task:0", "task:1"} - {f"task:{path}" for path in settled})
    told = world.toolbox.describe()
    assert "idempotency_key" not in str(told[0]["schema"])
    elsewhere = replace(world, toolbox=Toolbox().as_described(told))
    assert await replay(body, journal.events, elsewhere) == result


async def test_a_side_effect_is_recorded_before_it_happens() -> None:
    @tool(side_effects=True)
    async def send() -> int:
        """Send something."""
        return len(stored())

    stored: Callable[[], list[Event]] = list

    async def body(run: Run) -> Answer:
        return Answer(str(await run.tool(send)))

    class Durable(Journal):
        @property
        def stored(self) -> list[Event]:
            return self.events[: self.flushed]

    journal = Durable()
    stored = lambda: journal.stored  # noqa: E731
    result = await Executor(Run, environment(Simulator("ok")), journal).execute(body, {})
    assert result.answer == Answer("2")
    assert [event.type for event in journal.events[1:3]] == [EventType.NODE_ADDED, EventType.NODE_SETTLED]


async def read_along(run: Run) -> Answer:
    lines = [text async for text in run.stream("count", breaks="\n")]
    return Answer("".join(lines))


async def counting(call: Call) -> AsyncGenerator[Chunk, None]:
    for text in ("one\n", "two\n", "three")[call.prompt.prefill.count("\n") :]:
        last = text == "three"
        yield Chunk(text, 1, finish_reason="stop" if last else None, usage=Usage(1, 0, 3) if last else None)


async def test_a_stream_goes_on_where_it_was_cut_off() -> None:
    played = await play(read_along, Speaker(counting))
    assert [e.data["text"] for e in played.events if e.type is EventType.NODE_CHUNK] == [
        "one\n",
        "two\n",
        "three",
    ]
    prefills: list[str] = []

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        prefills.append(call.prompt.prefill)
        async for chunk in counting(call):
            yield chunk

    for length in range(1, len(played.events) - 2):
        resumed = await resume(read_along, played.events[:length], environment(Speaker(speak)))
        assert resumed.answer == "one\ntwo\nthree"
        assert await replay(read_along, resumed.events, environment(None)) == resumed.result
    assert prefills == ["", "", "one\n", "one\ntwo\n"]


async def test_an_engine_without_prefill_fails_a_cut_off_stream() -> None:
    played = await play(read_along, Speaker(counting))
    world = environment(Speaker(counting), capabilities=Capabilities("bare"))
    assert "stream_interrupted" in (await resume(read_along, played.events[:3], world)).failure


# What an engine streams


@pytest.mark.parametrize("breaks", ["\n", "", "ab", "o"])
async def test_a_stream_is_handed_over_at_its_breaks(breaks: str) -> None:
    async def body(run: Run) -> Answer:
        stream = run.stream([user("count"), assistant("")], breaks=breaks)
        pieces = [text async for text in stream]
        assert all(piece[-1] in breaks for piece in pieces[:-1])
        return Answer("".join(pieces) + "|" + (await stream).text)

    assert (await play(body, Speaker(counting))).answer == "one\ntwo\nthree|one\ntwo\nthree"


async def test_a_stream_that_breaks_off_gives_what_it_has_and_raises() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("one\ntwo", 2)
        raise EngineUnavailable("gone")

    async def body(run: Run) -> Answer:
        text = ""
        try:
            async for piece in run.stream(said_once):
                text += piece
        except Exception as error:
            text += type(error).__name__
        return Answer(text)

    said_once = "count"
    assert (await play(body, Speaker(speak))).answer == "one\nNodeFailed"


async def restarting(call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("lost\nwords", 2, worker="a")
    yield Chunk("kept", 1, restarted=True, worker="b")
    yield Chunk(" words", 1, finish_reason="stop", usage=Usage(1, 0, 2), worker="b")


async def test_a_call_that_begins_again_drops_what_it_had() -> None:
    assert (await play(one_call, Speaker(restarting))).answer == "kept words"


async def test_a_stream_that_begins_again_after_it_was_read_is_continued() -> None:
    calls: list[Call] = []

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        calls.append(call)
        if len(calls) == 1:
            yield Chunk("one\ntw", 2, worker="a")
            yield Chunk("eins", 1, restarted=True, worker="b")
        async for chunk in counting(call):
            yield chunk

    played = await play(read_along, Speaker(speak))
    assert played.answer == "one\ntwo\nthree"
    assert [call.prompt.prefill for call in calls] == ["", "one\n"]


async def test_an_engine_without_prefill_fails_a_stream_that_begins_again() -> None:
    played = await play(read_along, Speaker(restarting), capabilities=Capabilities("bare"))
    assert played.failure.startswith("stream_interrupted: ")
    assert played.result.failure is not None
    assert played.result.failure.retryable


async def test_prompts_hold_the_results_of_nodes() -> None:
    async def body(run: Run) -> Answer:
        first = run.generate("first")
        number = run.merge(lambda: {"b": [1, 2.5, None], "a": True})
        return Answer((await run.generate([user("say: ", first, " and ", number)])).text)

    engine = Simulator(lambda call, _: said(call).upper())
    assert (await play(body, engine)).answer == 'SAY: FIRST AND {"A":TRUE,"B":[1,2.5,NULL]}'


async def test_a_fork_does_not_settle_what_it_has_cancelled() -> None:
    """Both results are known; the first makes the planner cancel the second before that is delivered."""

    async def body(run: Run) -> Answer:
        first, second = run.generate("one"), run.generate("two")
        await first
        if stop_early:
            second.cancel("the first is enough")
        else:
            await second
        return Answer((await run.generate("three")).text)

    stop_early = False
    played = await play(body)
    stop_early = True
    engine, journal = Simulator("ok"), Journal()
    result = await Executor(Run, environment(engine), journal, memo=Memo(played.events)).execute(body, {})
    assert result.answer == Answer("ok")
    assert engine.counters().started == 0
    check(journal.events)
