"""A trace as a file: there and back again, and what is wrong with a file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from storage import archive
from storage.errors import ArchiveError, IllegalTransition, JournalConflict, TaskExists
from storage.events import Event, EventType
from storage.opening import open_store
from storage.store import Store
from storage.tasks import NewTask, Priority, Task, TaskStatus

NEW = NewTask(
    question={"text": "日本"},
    planner="vote",
    options={"width": 8},
    seed=3,
    tenant="acme",
    idempotency_key="k",
)


async def ended(store: Store, *, events: int = 3) -> str:
    claim = await store.start(NEW, "me", 30)
    writer = store.writer(claim.task.id, claim.fence)
    for seq in range(events):
        data = {
            "by": "rule",
            "text": "long text \0" * 40,
            "prompt": f"{seq} " * 200,
            "$text": 1.5,
            "none": None,
        }
        writer.append(Event(seq, EventType.DECISION, "3.1", 1767225600.1 + seq / 7, data))
    await store.finish(claim, TaskStatus.FAILED, outcome="failed", error={"code": "x", "message": "y"})
    return claim.task.id


async def lines_of(store: Store, task_id: str) -> list[str]:
    return [line async for line in archive.export(store, task_id)]


async def test_file_read_and_written_again_is_the_same(store: Store) -> None:
    async with await open_store("memory") as source:
        task_id = await ended(source, events=1200)
        original, written = await source.get(task_id), await lines_of(source, task_id)
    assert len(written) == 1202
    assert await archive.restore(store, written) == original
    assert await lines_of(store, task_id) == written
    async with await open_store("memory") as back:
        await archive.restore(back, await lines_of(store, task_id))
        assert await lines_of(back, task_id) == written


async def test_each_store_writes_what_another_reads(store: Store) -> None:
    task_id = await ended(store)
    written = await lines_of(store, task_id)
    async with await open_store("memory") as other:
        assert await archive.restore(other, written) == await store.get(task_id)
        assert await lines_of(other, task_id) == written


async def test_a_file_says_how_a_task_waited_only_if_that_was_unusual(store: Store) -> None:
    """So files from before tasks waited in lines are read, and written again as they were."""
    usual = await lines_of(store, await ended(store))
    assert not {"priority", "deadline"} & json.loads(usual[0])["task"].keys()
    new = replace(NEW, idempotency_key=None, priority=Priority.BATCH, deadline=4e9)
    claim = await store.start(new, "me", 30)
    await store.finish(claim, TaskStatus.FAILED, outcome="failed")
    written = await lines_of(store, claim.task.id)
    async with await open_store("memory") as other:
        restored = await archive.restore(other, written)
        assert (restored.priority, restored.deadline) == (Priority.BATCH, 4e9)
        assert await lines_of(other, claim.task.id) == written


async def test_task_is_restored_once_but_for_any_tenant(store: Store) -> None:
    task_id = await ended(store)
    written = await lines_of(store, task_id)
    with pytest.raises(TaskExists, match=task_id):
        await archive.restore(store, written)
    other_id = [written[0].replace(task_id, "0000000000000000"), *written[1:]]
    with pytest.raises(TaskExists, match="'k'"):
        await archive.restore(store, other_id)
    task = await archive.restore(store, other_id, tenant="another")
    assert (task.id, task.tenant) == ("0000000000000000", "another")


async def test_task_that_has_not_ended_is_not_exported(store: Store) -> None:
    task = await store.submit(NEW)
    with pytest.raises(IllegalTransition, match="queued"):
        await lines_of(store, task.id)
    with pytest.raises(IllegalTransition, match="queued"):
        await store.restore(replace(task, id="1"), [])


async def test_journal_that_contradicts_itself_is_not_restored(store: Store) -> None:
    task_id = await ended(store)
    task = replace(await store.get(task_id), id="0000000000000000", idempotency_key=None)
    twice = [Event(seq, EventType.NODE_ADDED, "0", 1.0) for seq in range(2)]
    with pytest.raises(JournalConflict):
        await store.restore(task, twice)
    assert [found.id for found in await store.list()] == [task_id]


GOOD = [
    json.dumps(
        {
            "format": "anabranch-trace",
            "version": 1,
            "task": {
                "id": "0000000000000000",
                "tenant": "default",
                "status": "succeeded",
                "question": "q",
                "planner": "vote",
                "options": {},
                "seed": 0,
                "idempotency_key": None,
                "parent_id": None,
                "fork_at": None,
                "created_at": 1.0,
                "started_at": 2.0,
                "finished_at": 3.0,
                "outcome": "answered",
                "solution": None,
                "error": None,
                "cancel_requested": False,
                "attempts": 1,
                "lease_fence": 1,
            },
        }
    ),
    '{"seq": 0, "type": "decision", "path": "", "at": 2.5, "data": {"by": "rule"}}',
    '{"events": 1}',
]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty"),
        (["{"], "line 1 is not JSON"),
        (["[]"], "line 1 is not a JSON object"),
        (["{}"], "line 1 is not a header"),
        ([GOOD[0].replace('"version": 1', '"version": 2'), *GOOD[1:]], "version 2"),
        ([GOOD[0].replace('"seed"', '"seeds"'), *GOOD[1:]], "seed, seeds"),
        ([GOOD[0].replace("succeeded", "great"), *GOOD[1:]], "line 1.*great"),
        ([GOOD[0].replace("succeeded", "running"), *GOOD[1:]], "line 1.*running"),
        ([GOOD[0].replace('"created_at": 1.0', '"created_at": "noon"'), *GOOD[1:]], "line 1: created_at: "),
        ([GOOD[0].replace('"created_at": 1.0', '"created_at": NaN'), *GOOD[1:]], "line 1 is not JSON: NaN"),
        ([GOOD[0].replace('"tenant": "default"', '"tenant": null'), *GOOD[1:]], "line 1: tenant: "),
        ([GOOD[0].replace('"finished_at": 3.0', '"finished_at": null'), *GOOD[1:]], "line 1: finished_at: "),
        ([GOOD[0].replace('"lease_fence": 1', '"lease_fence": 0'), *GOOD[1:]], "line 1: attempts: "),
        ([GOOD[0].replace('"fork_at": null', '"fork_at": "0"'), *GOOD[1:]], "line 1: fork_at: "),
        (
            [GOOD[0].replace('"question": "q"', '"question": "no"'), *GOOD[1:]],
            "line 1: nobody wants this one",
        ),
        ([GOOD[0], GOOD[1].replace("2.5", "1e999"), GOOD[2]], "line 2 is not JSON: 1e999"),
        ([GOOD[0], GOOD[1].replace('"by"', '"who"'), GOOD[2]], "line 2: .* is damaged: by: "),
        (GOOD[:2], "ends after 1 events"),
        ([GOOD[0], GOOD[2]], "line 2.*had 1 events, but 0 are left"),
        ([GOOD[0], GOOD[1].replace('"seq": 0', '"seq": 1'), GOOD[2]], "line 2: event 1 comes where 0 should"),
        ([GOOD[0], GOOD[1].replace("decision", "miracle"), GOOD[2]], "line 2.*miracle"),
        ([GOOD[0], GOOD[1].replace("2.5", '"noon"'), GOOD[2]], "line 2 is not an event"),
        ([*GOOD, GOOD[1]], "line 4: there is something after"),
    ],
)
async def test_what_is_wrong_with_a_file_is_told_with_its_line(lines: list[str], message: str) -> None:
    def check(task: Task) -> None:
        if task.question == "no":
            raise ValueError("nobody wants this one")

    async with await open_store("memory") as store:
        with pytest.raises(ArchiveError, match=message):
            await archive.restore(store, lines, check=check)
        assert await store.list() == ()


async def test_the_good_file_is_good(store: Store) -> None:
    assert (await archive.restore(store, GOOD)).outcome == "answered"
