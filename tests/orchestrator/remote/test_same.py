"""A service elsewhere gives what one of this process gives: each method, on the same tasks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anabranch import AsyncClient, Client, Event, Progress, Solution
from orchestrator.tasks.solution import Timings
from storage.tasks import Task
from storage.trace import Trace
from tests.orchestrator.api.conftest import Api, Open
from workers.engines.simulator.engine import Simulator

CLIPS: Mapping[str, str | Mapping[str, float]] = {
    "clips": {"It is \\boxed{72}": 3, "It is \\boxed{96}": 1},
    "": "ok",
}
ASKED: Mapping[str, Any] = {"planner": "vote", "options": {"n": 8, "rule": "fixed"}, "seed": 1}


def methods(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods() -> None:
    waiting, awaiting = methods(Client), methods(AsyncClient)
    assert set(waiting) == {*awaiting, "asolve"}
    for name, signature in awaiting.items():
        assert list(signature.parameters.values()) == list(waiting[name].parameters.values()), name


Question = Callable[[AsyncClient, str, str], Awaitable[Any]]
"""Asks a client about two tasks, a fork after its parent."""


async def _listed(client: AsyncClient, one: str, other: str) -> list[Task]:
    return [shown(task) async for task in client.tasks(planner="vote", limit=3)]


async def _followed(client: AsyncClient, one: str, other: str) -> list[Any]:
    return [item async for item in client.follow(one, after=3) if not isinstance(item, Progress)]


async def _exported(client: AsyncClient, one: str, other: str) -> bytes:
    file = Path(f"{one}-{id(client)}.jsonl")
    await client.export(one, file)
    return await asyncio.to_thread(file.read_bytes)


async def _trace(client: AsyncClient, one: str, other: str) -> Trace:
    found = await client.trace(other)
    return replace(found, task=shown(found.task))


async def _replayed(client: AsyncClient, one: str, other: str) -> Any:
    return replace(await client.replay(one), seconds=0.0)


async def _counterfactual(client: AsyncClient, one: str, other: str) -> Any:
    found = await client.counterfactual(one, at="0", change={"rule": "beta:0.6"})
    return replace(found, events=tuple(replace(event, at=0.0) for event in found.events))


async def _task(client: AsyncClient, one: str, other: str) -> Task:
    return shown(await client.task(other))


async def _cancelled(client: AsyncClient, one: str, other: str) -> Task:
    return shown(await client.cancel(one))  # it has ended, and stays as it is


SAME: Mapping[str, Question] = {
    "task": _task,
    "tasks": _listed,
    "result": lambda client, one, other: client.result(one),
    "follow": _followed,
    "trace": _trace,
    "replay": _replayed,
    "counterfactual": _counterfactual,
    "difference": lambda client, one, other: client.difference(one, other),
    "export": _exported,
    "cancel": _cancelled,
}
"""What changes nothing, and so can be asked here and there."""

MADE_ELSEWHERE = {"solve", "stream", "submit", "fork", "delete", "import_", "requeue", "close", "estimate"}
"""What other tests are about."""


def shown(task: Task) -> Task:
    """What a service shows of a task."""
    return replace(task, idempotency_key=None, attempts=0, lease_fence=0, submitted_by=None, options={})


def alike(solution: Solution) -> Solution:
    """A solution without what differs between two runs of the same question."""
    return solution.model_copy(update={"trace_id": "", "timings": Timings(queued=0, run=0)})


def test_every_method_is_tried() -> None:
    assert SAME.keys() | MADE_ELSEWHERE == methods(AsyncClient).keys()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'api.db'}"


async def test_what_is_asked_about_a_task_is_answered_alike(open_api: Open, database: str) -> None:
    async with (
        open_api(Simulator(CLIPS)) as api,
        AsyncClient(url=url_of(api)) as there,
        AsyncClient(engine=Simulator(CLIPS), database=database) as here,
    ):
        first = await there.solve("How many clips?", **ASKED)
        fork = await there.fork(first.trace_id, at="0.1", change={"value": "It is \\boxed{5}"})
        assert "5" in {cluster.claim for cluster in fork.clusters}
        for name, question in SAME.items():
            pair = (first.trace_id, fork.trace_id)
            said, expected = await question(there, *pair), await question(here, *pair)
            assert said == expected, name
            assert said, name


async def test_the_same_question_gets_the_same_answer(open_api: Open) -> None:
    async with (
        open_api(Simulator(CLIPS)) as api,
        AsyncClient(url=url_of(api)) as there,
        AsyncClient(engine=Simulator(CLIPS), database="memory") as here,
    ):
        pair = (there, here)
        solved = [await client.solve("How many clips?", **ASKED) for client in pair]
        assert alike(solved[0]) == alike(solved[1])
        streams = [[item async for item in client.stream("How many clips?", **ASKED)] for client in pair]
        events = [sorted((i.type, i.path) for i in items if isinstance(i, Event)) for items in streams]
        assert events[0] == events[1] != []
        assert _last(streams[0]) == _last(streams[1])
        ids = [await client.submit("How many clips?", **ASKED) for client in pair]
        waited = [alike(await client.result(each)) for client, each in zip(pair, ids, strict=True)]
        assert waited == [_last(streams[0])] * 2


def _last(items: list[Any]) -> Solution:
    assert isinstance(items[-1], Solution)
    return alike(items[-1])


async def test_a_trace_goes_from_one_to_the_other(open_api: Open, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    async with (
        open_api(Simulator(CLIPS)) as api,
        AsyncClient(url=url_of(api)) as there,
        AsyncClient(engine=Simulator(CLIPS), database="memory") as here,
    ):
        solved = await here.solve("How many clips?", **ASKED)
        await here.export(solved.trace_id, file)
        imported = await there.import_(file, tenant="acme")
        assert (imported.id, imported.tenant) == (solved.trace_id, "acme")
        assert await there.result(solved.trace_id) == solved
        await there.delete(solved.trace_id)
        assert [task async for task in there.tasks()] == []


async def test_a_list_goes_on_over_its_pages(open_api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.remote.service.PAGE", 3)
    async with open_api(work=False) as api, AsyncClient(url=url_of(api)) as there:
        ids = [await there.submit(f"question {number}", planner="direct") for number in range(8)]
        assert [task.id async for task in there.tasks()] == ids[::-1]
        assert [task.id async for task in there.tasks(limit=5)] == ids[:2:-1]
        assert [task.id async for task in there.tasks(text="QUESTION 4")] == [ids[4]]
        client = await asyncio.to_thread(Client, url=url_of(api))
        assert len(await asyncio.to_thread(list, client.tasks(limit=7))) == 7
        await asyncio.to_thread(client.close)


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.port}"
