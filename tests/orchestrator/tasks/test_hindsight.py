"""Forks, counterfactuals and differences, through the service, on a simulator."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from orchestrator.errors import Conflict, InvalidRequest, TaskNotFound, Unknown
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.messages import user
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Answer, Question
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import recorded_setup
from storage.archive import export, restore
from storage.opening import open_store
from storage.store import Store
from tests.orchestrator.runtime.harness import Journal
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox

LOOKED_UP: list[str] = []


@tool
def look_up(place: str) -> str:
    """The river at a place."""
    LOOKED_UP.append(place)
    return {"Basel": "Rhine"}.get(place, "Elbe")


@planner("rivers")
async def rivers(run: Run, question: Question) -> Answer:
    """A tool feeds a generation (0, 1), beside them another generation (2) and a vote (3)."""
    river = run.tool("look_up", {"place": question.text})
    told = run.generate([user("Tell me of the ", river)])
    aside = run.generate("Say something else")
    vote = run.vote("Count its bridges", width=6, rule="fixed", max_tokens=40)
    return await run.concatenate([told, aside, vote])


def says(call: Call, rng: Random) -> str:
    prompt = call.prompt.messages()[-1]["content"]
    if prompt.startswith("Count"):
        return f"The answer is {rng.choice([7, 7, 7, 9])}."
    return f"{prompt}! ({call.sampling.temperature:g})"


@pytest.fixture
async def simulator() -> Simulator:
    return Simulator(says, cost=CostModel(latency=0.002, jitter=0.5))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


@pytest.fixture
def service(store: Store, simulator: Simulator) -> Service:
    LOOKED_UP.clear()
    return Service(store, simulator, toolbox=Toolbox([look_up]), planners={"rivers": rivers})


async def solved(service: Service) -> str:
    return (await service.solve(parse({"query": "Basel", "planner": "rivers"}))).trace_id


async def test_a_fork_runs_only_what_depends_on_the_change(service: Service, simulator: Simulator) -> None:
    trace = await solved(service)
    calls = simulator.counters().started
    fork = await service.fork(trace, at="0", change=Change(arguments={"place": "Dresden"}))
    assert fork.text.startswith("Tell me of the Elbe!")
    assert LOOKED_UP == ["Basel", "Dresden"]
    assert simulator.counters().started - calls == 1 == fork.usage.calls
    difference = await service.difference(trace, fork.trace_id)
    assert [node.path for node in difference.nodes] == ["0", "1", "4"]
    assert "Rhine" in difference.nodes[0].before if difference.nodes[0].before else False
    assert difference.answers[0] != difference.answers[1]


@pytest.mark.parametrize(
    ("at", "change", "expected"),
    [
        ("0", Change(value="Nile"), "Tell me of the Nile! (0.7)"),
        ("1", Change(temperature=0.2), "Tell me of the Rhine! (0.2)"),
        ("1", Change(prompt=(("system", "s"), ("user", "Sing"))), "Sing! (0.7)"),
        ("1", Change(value="Given"), "Given"),
    ],
)
async def test_a_fork_changes_what_it_says(service: Service, at: str, change: Change, expected: str) -> None:
    fork = await service.fork(await solved(service), at=at, change=change)
    assert fork.text.partition("\n\n")[0] == expected
    assert LOOKED_UP == ["Basel"]


async def test_a_fork_is_a_task_that_replays_and_can_be_forked(service: Service) -> None:
    trace = await solved(service)
    first = await service.fork(trace, at="0", change=Change(value="Nile"))
    second = await service.fork(first.trace_id, at="2", change=Change(value="aside"))
    assert second.text.startswith("Tell me of the Nile! (0.7)\n\naside\n\n")
    assert second.usage.calls == 0
    for solution in (first, second):
        replayed = await service.replay(solution.trace_id)
        assert replayed.result.answer is not None
        assert replayed.result.answer.text == solution.text
        assert replayed.result.spent.calls == solution.usage.calls
    task = await service.task(second.trace_id)
    assert (task.parent_id, task.fork_at) == (first.trace_id, "2")


async def test_a_fork_with_a_longer_vote_reuses_the_branches_it_has(service: Service) -> None:
    fork = await service.fork(await solved(service), at="3", change=Change(rule="fixed:9"))
    assert fork.usage.calls == 3
    assert fork.text.endswith("The answer is 7.")


async def test_a_fork_that_is_resumed_gives_no_result_twice(service: Service, simulator: Simulator) -> None:
    parent = await solved(service)
    fork = await service.fork(parent, at="3", change=Change(rule="fixed:9"))
    origin, events = [[e async for e in service.store.read(task)] for task in (parent, fork.trace_id)]
    for cut in range(1, len(events)):  # a process died there, and another goes on
        setup = recorded_setup(
            events[0].data, rivers, "", engine=simulator, toolbox=Toolbox([look_up]), call_seconds=9.0
        )
        journal = Journal(cut)
        record = Record(events[:cut])
        await setup.execute(setup.executor(journal, record=record, next_seq=cut, memo=Memo(origin)))
        whole = [*events[:cut], *journal.events]
        given = [event.data["reused"]["from"] for event in whole if event.data.get("reused")]
        assert len(given) == len(set(given)) == 9


async def test_a_fork_of_a_fork_keeps_what_was_changed_at_the_same_node(service: Service) -> None:
    trace = await solved(service)
    for first, second, told in (
        (Change(temperature=0.2), Change(prompt=(("user", "Sing"),)), "Sing! (0.2)"),
        (Change(temperature=0.2), Change(temperature=0.3), "Tell me of the Rhine! (0.3)"),
        (Change(temperature=0.2), Change(value="Given"), "Given"),
        (Change(value="Given"), Change(temperature=0.3), "Tell me of the Rhine! (0.3)"),
    ):
        fork = await service.fork(trace, at="1", change=first)
        again = await service.fork(fork.trace_id, at="1", change=second)
        assert again.text.partition("\n\n")[0] == told
        await service.replay(again.trace_id)


async def test_a_fork_that_stops_earlier_makes_no_call(service: Service, simulator: Simulator) -> None:
    trace = await solved(service)
    calls = simulator.counters().started
    fork = await service.fork(trace, at="3", change=Change(rule="beta:0.6"))
    assert simulator.counters().started - calls == fork.usage.calls == 0
    replayed = await service.replay(fork.trace_id)
    assert replayed.result.spent.calls == 0


async def test_another_seed_is_another_sample(service: Service, simulator: Simulator) -> None:
    trace = await solved(service)
    calls = simulator.counters().started
    fork = await service.fork(trace, at="1", change=Change(seed=5))
    assert simulator.counters().started - calls == 1 == fork.usage.calls
    again = await service.fork(fork.trace_id, at="2", change=Change(value="aside"))
    assert again.usage.calls == 0  # the new sample is kept
    with pytest.raises(Unknown, match="waits for 1"):
        await service.counterfactual(trace, at="1", change=Change(seed=5))


async def test_a_counterfactual_makes_no_call(service: Service, simulator: Simulator) -> None:
    trace = await solved(service)
    calls = simulator.counters().started
    stopped = await service.counterfactual(trace, at="3", change=Change(rule="fixed:2"))
    assert stopped.result.answer is not None
    assert stopped.tokens < stopped.recorded_tokens
    with pytest.raises(Unknown, match=r"3\.6, 3\.7"):
        await service.counterfactual(trace, at="3", change=Change(rule="fixed:8"))
    with pytest.raises(Unknown, match="waits for 1"):
        await service.counterfactual(trace, at="1", change=Change(temperature=0.0))
    assert simulator.counters().started == calls


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        ("9", Change(value="x"), "has no node '9'; it has 0, 1, 2, 3, 4, 3.0"),
        ("4", Change(value="x"), "node 4 is a merge node; only generate, tool and vote nodes can be changed"),
        (
            "3",
            Change(temperature=1.0),
            "node 3 is a vote node; a fork can change its rule, but was given temperature",
        ),
        ("1", Change(), "was given nothing"),
        ("1", Change(temperature=None), "was given nothing"),
        ("1", Change(value=3), "its value must be text"),
        ("3", Change(rule="sometimes"), "no rule is called 'sometimes'"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused(
    service: Service, at: str, change: Change, message: str
) -> None:
    trace = await solved(service)
    with pytest.raises(InvalidRequest, match=message.replace("(", r"\(")):
        await service.fork(trace, at=at, change=change)
    with pytest.raises(InvalidRequest):
        await service.counterfactual(trace, at=at, change=change)


@planner("reading")
async def reading(run: Run, question: Question) -> Answer:
    """Read a generation (0) while it is written, and ask about what was read; beside it another one (1)."""
    stream = run.stream("List two rivers")
    aside = run.generate("Say something else")
    told = [run.generate(f"Of {piece}") async for piece in stream]
    return await run.concatenate([*told, aside])


async def test_a_fork_reads_again_what_was_streamed(store: Store) -> None:
    engine = Simulator(lambda call, rng: "Elbe\nRhine" if "List" in str(call.prompt) else says(call, rng))
    service = Service(store, engine, planners={"reading": reading})
    first = await service.solve(parse({"query": "?", "planner": "reading"}))
    assert "Elbe" in first.text
    fork = await service.fork(first.trace_id, at="1", change=Change(value="aside"))
    assert fork.usage.calls == 0
    assert fork.text == first.text.replace("Say something else! (0.7)", "aside")
    again = await service.fork(fork.trace_id, at="0", change=Change(value="Elbe\nOder"))
    assert "Oder" in again.text
    for solution in (fork, again):
        await service.replay(solution.trace_id)
    parent, events = [[event async for event in store.read(run.trace_id)] for run in (first, fork)]
    for cut in range(1, len(events)):  # a process died there, and another goes on
        header = events[0].data
        setup = recorded_setup(header, reading, "", engine=engine, toolbox=Toolbox(), call_seconds=9.0)
        record = Record(events[:cut])
        result = await setup.execute(
            setup.executor(Journal(cut), record=record, next_seq=cut, memo=Memo(parent))
        )
        assert result.answer is not None
        assert result.answer.text == fork.text
    told = await service.counterfactual(first.trace_id, at="1", change=Change(value="aside"))
    assert told.result.answer is not None
    assert told.result.answer.text == fork.text


@planner("chain")
async def chain(run: Run, question: Question) -> Answer:
    """Two generations, the second about the first."""
    first = await run.generate("Who?")
    return Answer((await run.generate(f"Of {first.text}")).text)


@pytest.mark.parametrize("secret", [r"\S+@\S+", r"\d{2,}"])
async def test_a_redacted_run_sees_what_is_stored_and_replays(secret: str, tmp_path: Path) -> None:
    for url in ("memory", f"sqlite:///{tmp_path / 'redacted.db'}"):
        async with await open_store(url, redact=lambda text: re.sub(secret, "*", text)) as store:
            service = Service(
                store,
                Simulator(lambda call, rng: f"ann@example.org 4111 {says(call, rng)}"),
                planners={"chain": chain},
            )
            solution = await service.solve(parse({"query": "Ask bob@example.org, 4222", "planner": "chain"}))
            assert (await service.replay(solution.trace_id)).result.answer is not None
            events = [event async for event in store.read(solution.trace_id)]
            assert not re.search(secret, json.dumps([event.data.get("value") for event in events]))
            fork = await service.fork(solution.trace_id, at="1", change=Change(temperature=0.1))
            assert fork.usage.calls == 1


async def test_calls_of_a_fork_are_those_of_its_tenant() -> None:
    tenants: list[str] = []

    def told(call: Call, rng: Random) -> str:
        tenants.append(call.tenant)
        return "ok"

    async with await open_store("memory") as store, await open_store("memory") as other:
        service = Service(store, Simulator(told), planners={"chain": chain})
        first = await service.solve(parse({"query": "?", "planner": "chain", "tenant": "theirs"}))
        file = [line async for line in export(store, first.trace_id)]
        await restore(other, file, tenant="ours")
        there = Service(other, Simulator(told), planners={"chain": chain})
        fork = await there.fork(first.trace_id, at="1", change=Change(temperature=0.1))
        assert tenants == ["theirs", "theirs", "ours"]
        assert (await there.task(fork.trace_id)).tenant == "ours"
        await there.replay(fork.trace_id)


async def test_there_must_be_a_whole_run(service: Service) -> None:
    with pytest.raises(TaskNotFound):
        await service.fork("nothing", at="0", change=Change(value="x"))
    queued = await service.submit(parse({"query": "Basel", "planner": "rivers"}))
    with pytest.raises(Conflict, match="no complete run"):
        await service.replay(queued.id)
    with pytest.raises(InvalidRequest, match="no node '0'; it has none"):
        await service.fork(queued.id, at="0", change=Change(value="x"))
