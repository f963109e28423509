"""Traces and replays over HTTP: large ones, deep ones, and those that would hold up everybody else."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import Any

import aiohttp
import pytest

from orchestrator.api import traces
from orchestrator.api.traces import trace_json
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.tasks.hindsight import asking
from orchestrator.tasks.hindsight.aside import Aside
from storage.trace import Trace
from tests.orchestrator.api.conftest import Api
from tests.storage.journals import TASK, arrivals, chain, nested

PATH = f"/v1/tasks/{TASK.id}"


async def test_a_trace_is_the_tree_of_its_nodes(api: Api) -> None:
    await api.service.store.restore(TASK, arrivals(6))
    told = (await api.get(f"{PATH}/trace")).body
    assert [node["path"] for node in told["nodes"]] == ["0", "1", "2", "3", "4", "5"]
    assert told["nodes"][5] == {
        "path": "5",
        "kind": "note",
        "label": "",
        "state": "succeeded",
        "inputs": [],
        "after": ["0", "1", "2"],
        "seen": ["2"],
        "added_at": 11.0,
        "started_at": 11.0,
        "settled_at": 12.0,
        "settled_seq": 12,
        "request": None,
        "value": 2,
        "error": None,
        "usage": {},
        "timing": {},
        "worker": None,
        "reused": None,
        "ahead": None,
        "children": [],
    }
    assert set(told) == {
        *("task", "header", "started_at", "finished_at", "resumed_at", "limit", "outcome", "answer", "error"),
        *("decisions", "nodes", "usage", "critical_path"),
    }
    path = told["critical_path"]
    assert path["length"] > 0
    assert path["tokens"] == {"paths": path["tokens"]["paths"], "length": 0, "work": 0, "ratio": 1}


def test_scopes_nested_thousands_deep_are_written() -> None:
    text = "".join(trace_json(Trace.of(TASK, nested(5000))))
    assert text.count('"children":[') == text.count("]}") == 5000


@pytest.mark.parametrize("value", ["half a pair \ud800", float("nan"), {"\x1b": "\x9b"}])
def test_whatever_a_row_holds_is_written_as_json(value: Any) -> None:
    events = chain(1)
    events[2].data["value"]["extra"] = value
    try:
        "".join(trace_json(Trace.of(TASK, events))).encode()
        [node] = json.loads("".join(trace_json(Trace.of(TASK, events))))["nodes"]
        assert node["value"]["extra"] in (value, "nan", "half a pair \ufffd")
    finally:
        del events[2].data["value"]["extra"]


async def test_a_journal_that_is_too_large_is_refused_before_it_is_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LARGEST", 100_000)
    events = chain(2)
    huge = {**events[2].data, "value": {"text": "x" * 200_000, "finish_reason": "stop"}}
    events[2] = type(events[2])(2, events[2].type, "0", 2.0, huge)
    await api.service.store.restore(TASK, events)

    def unread(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(api.service.store, "read", unread)
    for method, path in (("GET", f"{PATH}/trace"), ("POST", f"{PATH}/replay")):
        reply = await api.call(method, path)
        assert (reply.status, reply.error) == (422, "trace_too_large")
        assert f"`anabranch export {TASK.id}`" in reply.message


async def test_a_trace_that_is_too_large_as_json_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that all nodes share is stored once, and written for each of them."""
    monkeypatch.setattr(traces, "LARGEST", 50_000)
    await api.service.store.restore(TASK, chain(500))
    reply = await api.get(f"{PATH}/trace")
    assert (reply.status, reply.error) == (422, "trace_too_large")


async def test_others_are_served_while_a_large_trace_is_read(api: Api) -> None:
    """Without a thread they would wait for whole seconds. The bound has room for a machine that is busy."""
    await api.service.store.restore(TASK, chain(10_000))
    waited: list[float] = []
    reading = asyncio.create_task(_size(api, f"{PATH}/trace"))
    began = perf_counter()
    while not reading.done():
        asked = perf_counter()
        assert (await api.get("/healthz")).status == 200
        waited.append(perf_counter() - asked)
        await asyncio.sleep(0.01)
    assert await reading > 3_000_000
    assert sorted(waited)[len(waited) * 9 // 10] < (perf_counter() - began) / 4


async def _size(api: Api, path: str) -> int:
    size = 0
    async with api.session.get(path) as response:
        assert response.status == 200
        async for piece in response.content.iter_chunked(1 << 16):
            size += len(piece)
    return size


@planner("direct")
async def endless(run: Run, question: Question) -> Answer:
    """Never wait for anything."""
    while True:
        pass


@planner("direct")
async def stubborn(run: Run, question: Question) -> Answer:
    """Never wait for anything, whatever is raised."""
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


@planner("direct")
async def ends_the_process(run: Run, question: Question) -> Answer:
    """Try to end the process."""
    raise SystemExit(3)


@pytest.mark.parametrize("hostile", [endless, stubborn])
async def test_a_replay_of_endless_code_ends(api: Api, hostile: Planner) -> None:
    task = (await api.submit(wait=60)).body
    assert task["status"] == "succeeded"
    api.service.add_planner(hostile)
    api.service._hindsight._aside = Aside(stuck_seconds=0.3)
    replaying = asyncio.create_task(api.call("POST", f"/v1/tasks/{task['id']}/replay"))
    while not replaying.done():
        assert (await api.get("/healthz")).status == 200
        await asyncio.sleep(0.05)
    reply = await replaying
    assert (reply.status, reply.error) == (500, "planner_stuck")
    assert "direct" in reply.message


async def test_a_replay_cannot_end_the_process(api: Api) -> None:
    task = (await api.submit(wait=60)).body
    api.service.add_planner(ends_the_process)
    reply = await api.call("POST", f"/v1/tasks/{task['id']}/replay")
    assert reply.error in ("planner_error", "divergence")
    assert (await api.get("/healthz")).status == 200


async def test_a_client_that_leaves_does_not_keep_a_replay(api: Api) -> None:
    task = (await api.submit(wait=60)).body
    with pytest.raises(asyncio.TimeoutError):
        await api.call("POST", f"/v1/tasks/{task['id']}/replay", timeout=aiohttp.ClientTimeout(total=0.0001))
    assert (await api.call("POST", f"/v1/tasks/{task['id']}/replay")).status == 200
