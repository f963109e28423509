"""What is stored may be odd or damaged; that is told for the task alone, and is never a bad request."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator.api import looking
from storage.events import Event, EventType
from storage.tasks import NewTask, TaskStatus
from tests.orchestrator.api.conftest import Api, Frame, Open

HALF = "\ud83d"
DEEP: Any = 1
for _ in range(400):
    DEEP = [DEEP]


async def ended(api: Api, text: str, *, saw: Any = None, solution: Any = None) -> str:
    """The id of a task that has failed with that text in its question, events and error."""
    store = api.service.store
    new = NewTask(question={"query": text, "context": "", "choices": []}, planner="direct")
    claim = await store.start(new, "somebody", 60.0)
    writer = store.writer(claim.task.id, claim.fence)
    writer.append(Event(0, EventType.RUN_STARTED, "", 1.0, {"planner": "direct", "question": text}))
    writer.append(Event(1, EventType.DECISION, "", 1.0, {"by": text, "saw": saw}))
    writer.append(Event(2, EventType.RUN_FINISHED, "", 1.0, {"outcome": "failed", "answer": None}))
    await store.finish(
        claim,
        TaskStatus.FAILED,
        outcome="failed",
        solution=solution,
        error={"code": "internal", "message": text},
    )
    return claim.task.id


async def frames_of(api: Api, task: str) -> list[Frame]:
    return [frame async for frame in api.frames(f"/v1/tasks/{task}/events")]


async def test_half_a_surrogate_pair_is_replaced_in_every_body(open_api: Open) -> None:
    async with open_api(work=False) as api:
        task = await ended(api, f"a{HALF}b", saw={f"c{HALF}": HALF})
        one = await api.get(f"/v1/tasks/{task}")
        assert one.status == 200
        assert one.body["question"]["query"] == one.body["error"]["message"] == "a\ufffdb"
        assert (await api.get("/v1/tasks")).body["tasks"] == [one.body]
        frames = await frames_of(api, task)
        assert [frame.event for frame in frames] == ["run_started", "decision", "run_finished", "task_ended"]
        assert frames[1].data["data"] == {"by": "a\ufffdb", "saw": {"c\ufffd": "\ufffd"}}
        assert frames[-1].data == one.body
        trace = await api.get(f"/v1/tasks/{task}/trace")
        assert trace.status == 200
        assert "a\ufffdb" in str(trace.body)
        replay = await api.call("POST", f"/v1/tasks/{task}/replay")
        assert (replay.status, replay.error) == (500, "journal_damaged")  # it says nothing of a sampling


async def test_what_is_nested_deeply_is_sent_as_it_is(open_api: Open) -> None:
    async with open_api(work=False) as api:
        frames = await frames_of(api, await ended(api, "x", saw={"deep": DEEP}))
    assert frames[1].data["data"]["saw"] == {"deep": DEEP}


async def test_a_damaged_task_spoils_no_list_and_no_other_task(open_api: Open) -> None:
    async with open_api(work=False) as api:
        good = await ended(api, "good")
        bad = await ended(api, "bad", solution={"not": "a solution"})
        reply = await api.get(f"/v1/tasks/{bad}")
        assert (reply.status, reply.error) == (500, "journal_damaged")
        assert bad in reply.message
        assert not reply.body["error"]["retryable"]
        listed = {task["id"]: task for task in (await api.get("/v1/tasks")).body["tasks"]}
        assert listed[good] == (await api.get(f"/v1/tasks/{good}")).body
        assert listed[bad]["error"]["code"] == "journal_damaged"
        frames = await frames_of(api, bad)
        assert [frame.event for frame in frames][-2:] == ["run_finished", "error"]
        assert frames[-1].data["error"]["code"] == "journal_damaged"
        trace = await api.get(f"/v1/tasks/{bad}/trace")
        assert (trace.status, trace.error) == (500, "journal_damaged")


async def test_a_damaged_event_is_told_and_the_stream_ends(open_api: Open, tmp_path: Path) -> None:
    async with open_api(work=False) as api:
        task = await ended(api, "x")
        await asyncio.to_thread(
            _change, tmp_path, "UPDATE events SET at = 'yesterday' WHERE seq = 1 AND type = 'decision'"
        )
        frames = await frames_of(api, task)
    assert [frame.event for frame in frames] == ["error"] or frames[-1].event == "error"
    assert frames[-1].data["error"]["code"] == "journal_damaged"


async def test_a_list_of_long_tasks_goes_on_in_its_next_page(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "PAGE_CHARACTERS", 3_000)
    async with open_api(work=False) as api:
        ids = [await ended(api, "x" * 1_000) for _ in range(5)]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await api.get(f"/v1/tasks?limit=200{cursor and f'&cursor={cursor}'}")).body
            assert len(page["tasks"]) < 5
            found += [task["id"] for task in page["tasks"]]
            cursor = page["next"]
    assert found == ids[::-1]


def _change(directory: Path, statement: str) -> None:
    with sqlite3.connect(directory / "api.db") as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("message", "hides"),
    [
        ("postgresql://anna:hunter2@db/x: refused", "hunter2"),
        ("http://hunter2@host/v1: refused", "hunter2"),
        ("401: header Authorization: Bearer hunter2 is wrong", "hunter2"),
        ("no such key: sk-hunter2-hunter2", "hunter2"),
    ],
)
async def test_messages_keep_secrets(open_api: Open, message: str, hides: str) -> None:
    async with open_api(work=False) as api:
        task = await ended(api, message)
        shown = (await api.get(f"/v1/tasks/{task}")).body["error"]["message"]
    assert hides not in shown
    assert "***" in shown
