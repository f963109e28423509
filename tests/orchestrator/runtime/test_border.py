"""Where a run ends, its planner code ends; and what the code says is as it may be stored and sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import Divergence, NodeFailed
from orchestrator.planning.run import Run
from orchestrator.runtime import border
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.plain import ITEMS, canonical, plain, text
from orchestrator.runtime.values import Answer, Bounds, Budget, Cluster
from storage.errors import StorageUnavailable
from storage.events import Event, EventType
from tests.orchestrator.runtime.harness import DONE, Journal, Played, check, environment, play, replay, resume
from tests.orchestrator.runtime.hostile_planners import circular, doubling, nested, retrying
from tests.orchestrator.runtime.test_contract import Full
from workers.engines.simulator.engine import CostModel, Simulator


def trying_again(prompt: str) -> Callable[[Run], Any]:
    async def body(run: Run) -> Answer:
        while True:
            with contextlib.suppress(Exception):
                await run.generate(prompt)
                return DONE

    return body


# The end of a run


async def test_code_that_tries_again_ends_with_a_divergence() -> None:
    played = await play(trying_again("once"))
    with pytest.raises(Divergence, match='recorded "once", now "twice"'):
        await replay(trying_again("twice"), played.events, environment(None))
    with pytest.raises(Divergence, match="the record has ended"):
        await replay(trying_again("once"), played.events[:-1], environment(None))


@pytest.mark.parametrize("room", range(1, 6))
async def test_code_that_tries_again_ends_with_its_journal(room: int) -> None:
    with pytest.raises(StorageUnavailable):
        await Executor(Run, environment(Simulator("ok")), Full(room)).execute(retrying, {})


async def test_code_that_tries_again_ends_when_it_is_cancelled() -> None:
    executor = Executor(Run, environment(Simulator("ok")), Journal())
    running = asyncio.create_task(executor.execute(retrying, {}))
    await asyncio.sleep(0.01)
    executor.interrupt("cancelled")
    assert (await running).outcome is RunOutcome.CANCELLED


async def test_code_that_tries_again_ends_when_its_run_is_abandoned() -> None:
    async def body(run: Run) -> Answer:
        while True:
            with contextlib.suppress(Exception, GeneratorExit):
                await run.generate("again")

    engine = Simulator("ok", cost=CostModel(latency=60))
    running = asyncio.create_task(Executor(Run, environment(engine), Journal()).execute(body, {}))
    while not engine.counters().in_flight:  # noqa: ASYNC110 -- counters tell nobody that they changed
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("verb", ["generate", "note", "decide", "spawn"])
async def test_at_a_limit_verbs_end_the_code_at_once(verb: str) -> None:
    async def nothing(run: Run) -> None:
        pass

    verbs: Mapping[str, Callable[[Run], object]] = {
        "generate": lambda run: run.generate("x"),
        "note": lambda run: run.note("x"),
        "decide": lambda run: run.decide("me", "x", {}),
        "spawn": lambda run: run.spawn(nothing),
    }

    async def body(run: Run) -> Answer:
        run.propose(lambda: Answer(f"{run.budget.nodes} left"))
        while True:
            verbs[verb](run)

    played = await play(body, budget=Budget(nodes=20))
    assert (played.result.outcome, played.result.limit) == (RunOutcome.LIMITED, "nodes")
    assert played.result.answer == Answer("0 left")
    kind = EventType.DECISION if verb == "decide" else EventType.NODE_ADDED
    assert len(played.paths(kind)) == 20


async def test_others_get_turns_while_a_run_with_thousands_of_open_nodes_is_closed() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def nothing(run: Run) -> None:
        pass

    async def body(run: Run) -> Answer:
        while True:
            run.spawn(nothing)

    going = asyncio.create_task(others())
    played = await play(body, budget=Budget(nodes=6_400))
    going.cancel()
    assert played.result.limit == "nodes"
    assert turns > 80  # of 100 in closing alone


async def test_a_run_that_earlier_versions_let_go_on_after_its_limit_replays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(run: Run) -> Answer:
        nodes = [run.generate(f"{number}") for number in range(5)]
        run.decide("me", "wait", {})
        await run.join(nodes)
        return DONE

    def let_in(self: border.Border, kind: EventType, path: str) -> None:
        pass

    budget = Budget(calls=3, nodes=None)
    with monkeypatch.context() as earlier:
        earlier.setattr(border.Border, "admit", let_in)
        old = await play(body, budget=budget, repeat=False)
    assert len(old.paths(EventType.NODE_ADDED)) == 5
    assert await replay(body, old.events, environment(Simulator("ok"), budget=budget)) == old.result
    new = await play(body, budget=budget)
    assert len(new.paths(EventType.NODE_ADDED)) == 4


async def test_others_get_their_turn_while_code_waits_only_for_itself() -> None:
    turns = 0

    async def child(run: Run) -> int:
        return turns

    async def body(run: Run) -> Answer:
        return Answer(" ".join([str(await run.spawn(child)) for _ in range(400)]))

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    played = await play(body, repeat=False)
    turning.cancel()
    assert len(set(played.answer.split())) > 3


async def test_code_that_waits_only_for_itself_ends_at_bounds_from_outside() -> None:
    async def child(run: Run) -> int:
        return 1

    async def body(run: Run) -> Answer:
        while True:
            await run.spawn(child)

    world = environment(Simulator("ok"), budget=Budget(nodes=None, seconds=0.05))
    async with asyncio.timeout(60):
        played = await play(body, budget=world.budget, repeat=False)
    assert played.result.limit == "seconds"
    assert await replay(body, played.events, world) == played.result
    at = next(event.seq for event in played.events if event.type is EventType.LIMIT_REACHED)
    for length in (at + 1, len(played.events)):
        assert (await resume(body, played.events[:length], world)).result == played.result


# What code says


def clean(played: Played) -> Result:
    """The result of a run whose journal holds nothing that cannot be sent."""
    for event in played.events:
        canonical(event.data).encode()
    return played.result


async def speak(run: Run) -> Answer:
    run.note("\ud800", half="\udfff")
    run.decide("\ud800", "go on", {"half": ["\udfff"]})
    await run.generate("\ud800", label="\ud800", stop=("\ud800",))
    merged = await run.merge(lambda: "\ud83d\ude00 \ud83d")
    return Answer(merged, "\ud800", clusters=(Cluster("\ud800", 1),))


async def test_halves_of_characters_are_replaced_and_pairs_are_joined() -> None:
    played = await play(speak)
    assert clean(played).answer == Answer("\U0001f600 \ufffd", "\ufffd", clusters=(Cluster("\ufffd", 1),))
    assert played.settled("2")["value"] == "\U0001f600 \ufffd"


async def test_a_journal_that_has_halves_of_characters_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As earlier versions recorded them."""
    played = await play(speak)

    def halved(value: Any) -> Any:
        match value:
            case str():
                return value.replace("\ufffd", "\ud800")
            case Mapping():
                return {key: halved(item) for key, item in value.items()}
            case list():
                return [halved(item) for item in value]
        return value

    def keyed(event: Event) -> Event:
        data = halved(event.data)
        if "request" in data:
            data["request"]["key"] = "0" * 32
        return replace(event, data=data)

    old = list(map(keyed, played.events))
    assert await replay(speak, old, environment(None)) == played.result
    with pytest.raises(Divergence, match="node 1"):
        await replay(
            speak,
            [*old[:4], replace(old[4], data={**old[4].data, "label": "other"}), *old[5:]],
            environment(None),
        )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(72), "text is an int; it must be a str"),  # type: ignore[arg-type]
        (Answer("a", claim=[]), "claim is a list; it must be a str or None"),  # type: ignore[arg-type]
        (Answer("a", confidence=float("nan")), "confidence is nan; it must be a number from 0 to 1, or None"),
        (
            Answer("a", entropy=-0.5),
            "entropy is -0.5; it must be a finite number that is not negative, or None",
        ),
        (Answer("a", clusters=("b",)), "clusters[0] is a str; it must be a Cluster"),  # type: ignore[arg-type]
        (
            Answer("a", clusters=(Cluster("b", 1), Cluster("b", None))),  # type: ignore[arg-type]
            "clusters[1].count is None; it must be an int",
        ),
    ],
)
async def test_an_answer_is_checked_where_it_is_returned(answer: Answer, message: str) -> None:
    async def body(run: Run) -> Answer:
        return answer

    assert (await play(body)).failure == f"planner_error: planner 'test' returned an Answer whose {message}"


async def test_an_answer_may_be_rounded() -> None:
    async def body(run: Run) -> Answer:
        return Answer("a", confidence=1.0 + 1e-16 * 5, entropy=-1e-17)

    assert (await play(body)).result.outcome is RunOutcome.ANSWERED


async def bounded(body: Callable[[Run], Any], **bounds: int) -> Played:
    journal = Journal()
    world = replace(environment(Simulator("ok")), bounds=Bounds(**bounds))
    result = await Executor(Run, world, journal).execute(body, {"planner": "test"})
    check(journal.events)
    assert await replay(body, journal.events, world) == result
    return Played(result, journal.events)


async def test_what_is_too_large_to_be_sent_fails_and_is_not_stored() -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(NodeFailed, match="a prompt has 1,001 characters; there is room for 1,000 "):
            await run.generate("x" * 1_001)
        with pytest.raises(NodeFailed, match="the JSON of a tool's arguments has 1,013 characters"):
            await run.tool("calculator", {"text": "x" * 1_002})
        return Answer(str(await run.generate("x" * 1_000)))

    played = await bounded(body, request=1_000)
    assert played.result.outcome is RunOutcome.ANSWERED
    assert len(canonical([event.data for event in played.events])) < 4_000


async def test_large_things_are_cut_with_a_mark_and_large_answers_fail() -> None:
    async def body(run: Run) -> Answer:
        run.note("long " * 100, much=["x" * 30] * 99, more="x" * 5_000)
        merged = await run.merge(lambda: "y" * 5_000)
        run.decide("me", "go on", {"text": "z" * 5_000})
        with pytest.raises(NodeFailed, match="invalid literal") as failed:
            await run.merge(lambda: int("w" * 5_000))
        assert len(str(failed.value)) < 500
        return Answer(merged)

    played = await bounded(body, label=20, value=300, answer=4_999)
    assert played.failure == (
        "too_large: planner 'test' returned an Answer whose texts have 5,000 characters in all; "
        "there is room for 4,999 (ANABRANCH_MAX_ANSWER_CHARS)"
    )
    added = next(event.data for event in played.events if event.type is EventType.NODE_ADDED)
    assert added["label"] == "long long long long…"
    noted = canonical(played.settled("0")["value"])
    assert len(noted) < 500
    assert noted.count("… (the rest is left out)") >= 1
    assert played.settled("1")["value"] == "y" * 300 + "… (the rest is left out)"
    assert (await bounded(body, label=20, value=300, answer=5_000)).answer == "y" * 5_000


def test_any_value_has_a_form() -> None:
    deep = plain(nested(1_000))
    for _ in range(63):
        (deep,) = deep
    assert deep == ["<list>"]
    assert plain(circular()) == {"a": ["<dict>", "<dict>"]}
    assert plain(10**5_000) == "<int>"
    assert plain({"a": 10**4_000})["a"] == 10**4_000
    assert plain({object(): 1, 2: 3, None: 4, (1,): 5}) == {"<object>": 1, "2": 3, "None": 4, "(1,)": 5}
    assert canonical(plain(doubling(), 1_000)).count("x") < 1_000


def test_a_value_that_refers_to_itself_many_times_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.plain.ITEMS", 1_000)
    assert canonical(plain(doubling())).count("x") < 1_000 < ITEMS


def test_text_stays_as_it_is_if_it_can() -> None:
    for sound in ("", "plain", "ä€😀", "\0"):
        assert text(sound) is sound
    assert text("a\ud800b\udfffc\ud83d\ude00") == "a\ufffdb\ufffdc\U0001f600"


async def test_a_deep_stack_does_not_break_the_journal() -> None:
    def deeper(run: Run) -> None:
        run.note("deeper", nested=nested(1_000))
        deeper(run)

    async def body(run: Run) -> Answer:
        deeper(run)
        return DONE

    played = await play(body, repeat=False)  # where it ends depends on who called the code
    assert (
        played.failure
        == "planner_error: planner code raised RecursionError: maximum recursion depth exceeded"
    )
    assert played.settled("0") == played.settled(played.paths(EventType.NODE_ADDED)[-1])
