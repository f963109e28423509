"""Planner code that breaks its contract, and engines that break theirs: a typed error, and never a hang."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import Divergence, NodeCancelled, NodeFailed, PlannerError
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.messages import Message, user
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.values import Answer, Budget
from storage.errors import StorageUnavailable
from storage.events import Event, EventType
from tests.orchestrator.runtime.harness import (
    DONE,
    Journal,
    Speaker,
    environment,
    play,
    replay,
    settled_calls,
    whole,
)
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Usage
from workers.engines.simulator.engine import CostModel, Simulator
from workers.errors import Overloaded
from workers.tools.declaration import tool


async def one_call(run: Run) -> Answer:
    return Answer((await run.generate("hello")).text)


# Planner code


async def test_planner_that_raises_fails_its_run() -> None:
    async def body(run: Run) -> Answer:
        await run.generate("hello")
        raise ValueError("no idea")

    assert (await play(body)).failure == "planner_error: planner code raised ValueError: no idea"


async def test_planner_that_returns_something_else_fails() -> None:
    async def body(run: Run) -> Any:
        return "text"

    assert (await play(body)).failure == "planner_error: the planner returned str; it must return an Answer"


@pytest.mark.parametrize("function", [lambda run: Answer("sync"), lambda run, more: None])
async def test_planner_that_is_no_coroutine_function_fails(function: Callable[..., Any]) -> None:
    assert (await play(function)).failure.startswith("planner_error: ")


@pytest.mark.parametrize("function", [lambda run: 5, lambda: None, "no function"])
@pytest.mark.parametrize("late", [False, True])
async def test_child_that_is_no_coroutine_function_fails_alone(function: Any, late: bool) -> None:
    async def body(run: Run) -> Answer:
        arguments = [run.generate("late")] if late else []
        child: Node[Any] = run.spawn(function, *arguments)
        outcome = await child.settled()
        return Answer(type(outcome).__name__)

    assert (await play(body)).answer == "Failed"


async def sleeping(run: Run) -> None:
    await asyncio.sleep(0.01)


async def giving_way(run: Run) -> None:
    await asyncio.sleep(0)


async def gathering(run: Run) -> None:
    await asyncio.gather(run.generate("a"), run.generate("b"))


async def shielding(run: Run) -> None:
    async def wait() -> None:
        await run.generate("a")

    await asyncio.create_task(wait())


async def grouping(run: Run) -> None:
    async def wait() -> None:
        await run.generate("a")

    async with asyncio.TaskGroup() as group:
        group.create_task(wait())


async def timing_out(run: Run) -> None:
    async with asyncio.timeout(0.05):
        await run.generate("hello")


async def waiting_for(run: Run) -> None:
    await asyncio.wait_for(run.generate("hello"), 0.05)


async def cancelling(run: Run) -> None:
    raise asyncio.CancelledError


FOREIGN = [sleeping, giving_way, gathering, shielding, grouping, timing_out, waiting_for, cancelling]


@pytest.mark.parametrize("await_it", FOREIGN)
async def test_waiting_for_what_is_not_of_the_run_fails(
    await_it: Callable[[Run], Coroutine[Any, Any, None]],
) -> None:
    async def body(run: Run) -> Answer:
        await await_it(run)
        return DONE

    engine = Simulator("ok", cost=CostModel(latency=0.2))
    assert (await play(body, engine)).failure.startswith("planner_error: ")
    assert settled_calls(engine.counters())


@pytest.mark.parametrize("await_it", FOREIGN)
async def test_a_child_that_waits_for_something_else_fails_alone(
    await_it: Callable[[Run], Coroutine[Any, Any, None]],
) -> None:
    async def body(run: Run) -> Answer:
        child = run.spawn(await_it)
        other = run.generate("hello")
        return Answer(f"{type(await child.settled()).__name__} {(await other).text}")

    assert (await play(body, Simulator("ok", cost=CostModel(latency=0.2)))).answer == "Failed ok"


async def test_planner_that_insists_on_foreign_awaits_is_ended() -> None:
    async def body(run: Run) -> Answer:
        for _ in range(1_000_000):
            with contextlib.suppress(Exception):
                await asyncio.sleep(0)
        return DONE

    assert (await play(body)).failure.startswith("planner_error: ")


async def test_tasks_of_a_planner_cannot_use_its_run() -> None:
    errors: list[Exception] = []

    async def intrude(run: Run) -> None:
        try:
            run.generate("from a task")
        except PlannerError as error:
            errors.append(error)

    async def body(run: Run) -> Answer:
        with contextlib.suppress(RuntimeError):
            task = asyncio.get_running_loop().create_task(intrude(run))
            task.add_done_callback(lambda done: done.exception())
        return Answer((await run.generate("from the planner")).text)

    engine = Simulator("ok", cost=CostModel(latency=0.02))
    played = await play(body, engine, repeat=False)
    assert played.answer == "ok"
    assert engine.counters().started == 1


async def test_a_child_cannot_use_the_run_of_its_parent() -> None:
    async def body(run: Run) -> Answer:
        async def child(own: Run) -> str:
            return (await run.generate("in whose scope?")).text

        return Answer(type(await run.spawn(child).settled()).__name__)

    assert (await play(body)).answer == "Failed"


async def test_code_that_ignores_its_end_is_dropped() -> None:
    async def stubborn(run: Run) -> None:
        while True:
            try:
                await run.generate("hello")
            except GeneratorExit:
                continue

    async def body(run: Run) -> Answer:
        child = run.spawn(stubborn)
        await run.generate("once")
        child.cancel()
        return Answer((await run.generate("twice")).text)

    assert (await play(body)).answer == "ok"


@pytest.mark.parametrize("how", ["cancel", "end", "raise", "limit"])
async def test_clean_up_code_can_do_nothing_more(how: str) -> None:
    async def tidy(run: Run) -> None:
        nodes = [run.generate("a"), run.generate("b")]
        try:
            await run.join(nodes)
        finally:
            nodes[0].cancel("finally")
            run.note("bye")
            await run.generate("farewell")

    async def body(run: Run) -> Answer:
        child = run.spawn(tidy)
        await run.merge(len, [])
        if how == "cancel":
            child.cancel()
        elif how == "raise":
            raise ValueError("on purpose")
        elif how == "limit":
            await run.spawn(nested)
        return DONE

    async def nested(run: Run) -> None:
        await run.spawn(nested)

    engine = Simulator("ok", cost=CostModel(latency=0.05))
    played = await play(body, engine, budget=Budget(depth=4))
    assert played.outcome("0") == "cancelled"
    assert settled_calls(engine.counters())


async def test_an_abandoned_run_writes_nothing_more() -> None:
    """Its process is going down; what the journal says must be true when another one takes over."""

    async def body(run: Run) -> Answer:
        nodes = [run.generate("a"), run.generate("b")]
        try:
            await run.join(nodes)
        finally:
            for node in nodes:
                node.cancel("finally")
            with contextlib.suppress(Exception):
                run.note("bye")
        return DONE

    engine = Simulator("ok", cost=CostModel(latency=60))
    journal = Journal()
    running = asyncio.create_task(Executor(Run, environment(engine), journal).execute(body, {}))
    while engine.counters().in_flight < 2:  # noqa: ASYNC110 -- counters tell nobody that they changed
        await asyncio.sleep(0)
    before = len(journal.events)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert before == len(journal.events) == 3
    assert engine.counters().aborted == 2


async def test_a_child_may_cancel_its_ancestors() -> None:
    shelf: list[Node[Any]] = []

    async def child(run: Run) -> None:
        await run.generate("hello")
        shelf[-1].cancel("from below")
        run.generate("too late")

    async def parent(run: Run) -> None:
        await run.spawn(child)

    async def body(run: Run) -> Answer:
        shelf.append(run.spawn(parent))
        return Answer(type(await shelf[-1].settled()).__name__)

    played = await play(body)
    assert played.answer == "Cancelled"
    assert [played.outcome(path) for path in ("0", "0.0")] == ["cancelled", "cancelled"]


@pytest.mark.parametrize("who", ["itself", "each other"])
async def test_waiting_in_a_circle_fails(who: str) -> None:
    shelf: dict[str, Node[Any]] = {}

    async def wait(run: Run, name: str) -> str:
        await run.generate("hello")
        return str(await shelf[name])

    async def body(run: Run) -> Answer:
        shelf["a"] = run.spawn(wait, "a" if who == "itself" else "b")
        shelf["b"] = run.spawn(wait, "a")
        return Answer(str(await shelf["a"]))

    assert "planner_error: " in (await play(body, budget=Budget(seconds=None))).failure


async def test_a_circle_of_children_leaves_others_alone() -> None:
    shelf: list[Node[Any]] = []

    async def wait(run: Run) -> None:
        while True:
            with contextlib.suppress(PlannerError):
                await shelf[-1]

    async def body(run: Run) -> Answer:
        shelf.append(run.spawn(wait))
        other = run.generate("hello")
        outcome = await shelf[-1].settled()
        return Answer(f"{type(outcome).__name__} {(await other).text}")

    assert (await play(body, budget=Budget(seconds=None))).answer == "Failed ok"


async def test_awaiting_a_cancelled_node_raises() -> None:
    async def body(run: Run) -> Answer:
        node = run.generate("hello")
        node.cancel("changed my mind")
        node.cancel("twice")
        with pytest.raises(NodeCancelled, match="changed my mind"):
            await node
        with pytest.raises(NodeCancelled):
            _ = node.value
        return DONE

    played = await play(body)
    assert played.settled("0") == {"outcome": "cancelled", "reason": "changed my mind"}


async def test_value_of_an_open_node_says_what_to_do() -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises(RuntimeError, match="node 0 has not settled; await it first"):
            _ = run.generate("hello").value
        return DONE

    await play(body)


async def test_a_scope_that_has_ended_takes_no_nodes() -> None:
    runs: list[Run] = []

    async def child(run: Run) -> None:
        runs.append(run)

    async def body(run: Run) -> Answer:
        await run.spawn(child)
        with pytest.raises(PlannerError, match="scope 0"):
            runs[0].generate("late")
        return DONE

    await play(body)


@pytest.mark.parametrize("use", ["input", "await", "arrivals"])
@virtual_time
async def test_a_node_of_another_run_is_refused(use: str) -> None:
    strangers: list[Node[Any]] = []

    async def other(run: Run) -> Answer:
        strangers.append(run.generate("hello"))
        await strangers[0]
        return DONE

    async def body(run: Run) -> Answer:
        run.generate("same path")
        if use == "input":
            await run.generate([user(strangers[0])])
        elif use == "await":
            await strangers[0]
        else:
            async for _ in run.arrivals(strangers):
                pass
        return DONE

    engine = Simulator("ok", cost=CostModel(latency=0.1))
    running = asyncio.create_task(Executor(Run, environment(engine), Journal()).execute(other, {}))
    await asyncio.sleep(0.02)
    assert "another run" in (await play(body, engine, repeat=False)).failure
    assert (await running).outcome is RunOutcome.ANSWERED


@pytest.mark.parametrize("draft", [[Message("user", (5,))], ["text"], [None], 5])  # type: ignore[arg-type]
async def test_a_prompt_that_is_none_is_refused_at_once(draft: Any) -> None:
    async def body(run: Run) -> Answer:
        with pytest.raises((PlannerError, TypeError)):
            run.generate(draft)
        return Answer((await run.generate("hello")).text)

    played = await play(body)
    assert played.paths(EventType.NODE_ADDED) == ["0"]


async def test_a_grammar_reaches_the_engine_and_counts_in_the_content_key() -> None:
    grammar = "root ::= [0-9]+"

    async def body(run: Run) -> Answer:
        with pytest.raises(PlannerError, match="a schema or a grammar"):
            run.generate("?", schema={}, grammar=grammar)
        with pytest.raises(PlannerError, match="the grammar of a call must be a str"):
            run.generate("?", grammar=5)  # type: ignore[arg-type]
        await run.join([run.generate("?"), run.generate("?", grammar=grammar)])
        return Answer((await run.stream("?", grammar=grammar)).text)

    asked: list[str | None] = []

    class Noting(Simulator):
        def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
            asked.append(call.grammar)
            return super().generate(call)

    played = await play(body, Noting("42"))
    assert asked == [None, grammar, grammar]
    plain, guided, streamed = [e.data["request"] for e in played.events if "request" in e.data]
    assert "grammar" not in plain
    assert guided["grammar"] == streamed["grammar"] == grammar
    assert guided["key"] == streamed["key"] != plain["key"]


async def test_arguments_that_change_under_way_fail_their_node() -> None:
    async def body(run: Run) -> Answer:
        arguments: list[Any] = [run.generate("hello")]
        merged = run.merge(len, arguments)
        arguments.append(run.spawn(asleep))
        return Answer(type(await merged.settled()).__name__)

    async def asleep(run: Run) -> None:
        await run.join([run.generate(f"{number}") for number in range(3)])
        await run.generate("last")

    assert (await play(body)).answer == "Failed"


async def test_a_merge_that_raises_fails_alone() -> None:
    async def body(run: Run) -> Answer:
        merged = run.merge(lambda text: int(text.text), run.generate("hello"), label="to a number")
        after = run.merge(str, merged)
        with pytest.raises(NodeFailed, match="ValueError"):
            await after
        return DONE

    played = await play(body)
    assert played.settled("2")["error"]["path"] == "1"


async def test_a_merge_of_a_coroutine_function_fails() -> None:
    async def wrong(run: Run) -> None:
        pass

    async def body(run: Run) -> Answer:
        merged: Node[Any] = run.merge(wrong, run.generate("hello").path)
        return Answer(type(await merged.settled()).__name__)

    assert (await play(body)).answer == "Failed"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_numbers_that_json_lacks_do_not_end_the_run(number: float) -> None:
    async def child(run: Run) -> float:
        return number

    async def body(run: Run) -> Answer:
        merged = await run.merge(lambda: number)
        spawned = await run.spawn(child)
        run.note("a number", number=number)
        run.decide("test", "go on", {"number": number})
        echoed = await run.tool(tool(str_of), {"value": number})
        return Answer(f"{merged} {spawned} {echoed}")

    def str_of(value: str) -> str:
        """Say it again."""
        return value

    assert (await play(body)).answer == f"{number} {number} {number}"


async def test_values_that_json_lacks_are_recorded_by_type() -> None:
    class Odd:
        def __deepcopy__(self, memo: object) -> Odd:
            raise TypeError("not this one")

    async def body(run: Run) -> Answer:
        await run.merge(lambda: Answer("text", clusters=(Odd(),)))  # type: ignore[arg-type]
        return DONE

    assert (await play(body)).settled("0")["value"]["clusters"] == ["<Odd>"]


async def test_names_of_options_do_not_clash_with_those_of_the_verbs() -> None:
    async def child(run: Run, *, kind: str, label: str, function: str) -> str:
        return kind + label + function

    async def body(run: Run) -> Answer:
        run.note("a note", text="more", by="me")
        return Answer(await run.spawn(child, kind="a", label="b", function="c"))

    assert (await play(body)).answer == "abc"


# Engines


async def test_an_engine_that_raises_anything_fails_the_call() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("he", 1)
        raise KeyError("oops")

    assert (
        await play(one_call, Speaker(speak))
    ).failure == "engine_protocol_error: speaker raised KeyError: 'oops'"


async def test_an_engine_that_cancels_itself_fails_the_call() -> None:
    """As one does whose inner tasks are cancelled when it is closed."""

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("he", 1)
        inner = asyncio.ensure_future(asyncio.sleep(10))
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    assert (await play(one_call, Speaker(speak))).failure.startswith("engine_protocol_error: ")


async def test_a_tool_that_cancels_itself_fails() -> None:
    async def give_up() -> None:
        """Give up."""
        raise asyncio.CancelledError

    async def body(run: Run) -> Answer:
        return Answer(str(await run.tool(tool(give_up))))

    assert (await play(body)).failure.startswith("tool_error: ")


@virtual_time
async def test_an_engine_that_hangs_is_given_up() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("he", 1)
        await asyncio.sleep(1e6)

    played = await play(one_call, Speaker(speak), call_seconds=2.0)
    assert played.failure == "engine_timeout: the call took more than 2 s"
    assert played.settled("0")["usage"]["completion_tokens"] == 1


@virtual_time
async def test_an_engine_that_is_full_is_asked_again_when_it_says() -> None:
    asked: list[float] = []

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) < 3:
            raise Overloaded("full", retry_after=5.0)
        yield whole("hello")

    played = await play(one_call, Speaker(speak))
    assert played.answer == "hello"
    assert [round(at - asked[0], 3) for at in asked] == [0.0, 5.0, 10.0]


@virtual_time
async def test_an_engine_that_is_full_for_longer_than_a_call_may_take_refuses_it() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        if call.prompt.segments:
            raise Overloaded("full", retry_after=5.0)
        yield whole("room")

    played = await play(one_call, Speaker(speak), call_seconds=12.0)
    assert played.failure == "overloaded: full: a wait of 5 s is longer than the 2 s that are left"


@virtual_time
async def test_what_had_come_before_an_engine_was_full_comes_once() -> None:
    tries: list[str] = []

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        tries.append(call.prompt.prefill)
        if len(tries) == 1:
            yield Chunk("one\ntw", 2)
            raise Overloaded("full", retry_after=1.0)
        yield whole("two")

    async def body(run: Run) -> Answer:
        return Answer("".join([text async for text in run.stream("count")]))

    assert (await play(body, Speaker(speak))).answer == "one\ntwo"
    assert tries == ["", "one\n"]


async def test_a_completion_without_an_end_fails() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("he", 1)

    played = await play(one_call, Speaker(speak))
    assert played.failure.startswith("engine_interrupted: ")
    assert played.settled("0")["error"]["path"] == "0"


async def test_an_engine_that_says_nothing_fails() -> None:
    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        for nothing in list[Chunk]():
            yield nothing

    assert (await play(one_call, Speaker(speak))).failure.startswith("engine_interrupted: ")


async def test_log_probabilities_may_be_infinite() -> None:
    from workers.calls import Logprob

    logprobs = (Logprob("a", float("-inf"), {"b": -0.5, "c": float("-inf")}),)

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        yield Chunk("a", 1, logprobs=logprobs, finish_reason="stop", usage=Usage(1, 0, 1))

    async def body(run: Run) -> Answer:
        assert (await run.generate("hello", top_logprobs=2)).logprobs == logprobs
        return DONE

    assert (await play(body, Speaker(speak))).answer == "done"


# Storage


class Full(Journal):
    """A journal that fails after some events, and for ever."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def append(self, event: Event) -> None:
        if len(self.events) >= self._room:
            raise StorageUnavailable("the disk is full")
        super().append(event)


@pytest.mark.parametrize("room", range(8))
async def test_a_journal_that_fails_ends_the_run_with_its_error(room: int) -> None:
    async def body(run: Run) -> Answer:
        texts = []
        for number in range(3):
            try:
                texts.append((await run.generate(f"hello {number}")).text)
            except Exception as error:
                texts.append(str(error))
        return Answer(" ".join(texts))

    engine = Simulator("ok")
    with pytest.raises(StorageUnavailable):
        await Executor(Run, environment(engine), Full(room)).execute(body, {})
    assert settled_calls(engine.counters())


async def test_a_divergence_is_raised_as_itself() -> None:
    async def changed(run: Run) -> Answer:
        await run.generate("hello")
        return Answer((await run.generate("goodbye")).text)

    played = await play(one_call)
    assert played.events[-1].type is EventType.RUN_FINISHED
    with pytest.raises(Divergence):
        await replay(changed, played.events, environment(None))
    with pytest.raises(Divergence):
        await replay(changed, replace_last(played.events), environment(None))


def replace_last(events: Any) -> list[Event]:
    return [*events[:-1], replace(events[-1], data={"outcome": "answered", "answer": {"text": "other"}})]
