"""Rows that somebody has changed: they are named and set aside, and harm nobody else."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from storage.archive import export
from storage.errors import JournalDamaged, StorageError
from storage.events import Event, EventType
from storage.listing import Place
from storage.opening import open_store
from storage.sql import claiming
from storage.sql.rows import TASK_COLUMNS
from storage.sql.store import SqlStore
from storage.sql.tables import tasks
from storage.store import Store
from storage.tasks import NewTask, TaskStatus

NEW = NewTask(question={"query": "q"}, planner="vote")
Change = Callable[[str], None]


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """Changes the SQLite file behind the store's back, and around its constraints."""

    def act(statement: str) -> None:
        with closing(sqlite3.connect(tmp_path / "test.db", timeout=30)) as file:
            for pragma in ("ignore_check_constraints", "writable_schema"):
                file.execute(f"PRAGMA {pragma} = ON")
            file.execute("UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL,', ',') WHERE type = 'table'")
            file.commit()
        with closing(sqlite3.connect(tmp_path / "test.db", timeout=30)) as file:
            file.execute("PRAGMA ignore_check_constraints = ON")
            assert file.execute(statement).rowcount == 1, statement
            file.commit()

    return act


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, which takes longer to make than to copy."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"

    async def make() -> None:
        async with await open_store(f"sqlite:///{path}"):
            pass

    asyncio.run(make())
    return path


@pytest.fixture
def url(empty: Path, tmp_path: Path) -> str:
    shutil.copy(empty, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


ODD = [
    ("question", "'{'", "is not JSON"),
    ("question", "'NaN'", "NaN"),
    ("question", "'[1e999]'", "1e999"),
    ("question", "NULL", "is missing"),
    ("question", "x'00ff'", "is a blob"),
    ("question", "CAST(x'22ff22' AS TEXT)", "is not UTF-8"),
    ("question", "'" + "[" * 100_000 + "'", "nested too deeply"),
    ("options", "'[]'", "is not a JSON object"),
    ("options", "x'7b7d'", "is a blob"),
    ("options", "''", "is not JSON"),
    ("tenant", "NULL", "is missing"),
    ("planner", "x'ff'", "is a blob"),
    ("seed", "'many'", "is a text"),
    ("seed", "1.5", "is a fraction"),
    ("seed", "NULL", "is missing"),
    ("idempotency_key", "x'ff'", "is a blob"),
    ("parent_id", "CAST(x'ff' AS TEXT)", "is not UTF-8"),
    ("fork_at", "x'00'", "is a blob"),
    ("created_at", "NULL", "is missing"),
    ("created_at", "'yesterday'", "is a text"),
    ("created_at", "9e999", "is inf"),
    ("started_at", "'then'", "is a text"),
    ("outcome", "x'00'", "is a blob"),
    ("solution", "'{\"a\": Infinity}'", "Infinity"),
    ("cancel_requested", "'x'", "is a text"),
    ("cancel_requested", "7", "neither true nor false"),
    ("cancel_requested", "NULL", "is missing"),
    ("attempts", "'x'", "is a text"),
    ("attempts", "-1", "out of range"),
    ("lease_fence", "9223372036854775807", "out of range"),
    ("lease_fence", "x'00'", "is a blob"),
    ("priority", "'urgent'", "not one of"),
    ("priority", "x'ff'", "is a blob"),
    ("deadline", "'noon'", "is a text"),
    ("deadline", "9e999", "is inf"),
    ("submitted_by", "x'00'", "is a blob"),
    ("trace_parent", "x'00'", "is a blob"),
]


@pytest.mark.parametrize(("column", "value", "told"), ODD)
async def test_task_that_cannot_be_read_is_set_aside_and_the_next_one_runs(
    url: str, change: Change, column: str, value: str, told: str
) -> None:
    async with await open_store(url) as store:
        odd = await store.submit(NEW)
        good = await store.submit(replace(NEW, idempotency_key="good"))
        change(f"UPDATE tasks SET {column} = {value} WHERE id = '{odd.id}'")
        listed = {task.id: task for task in await store.list()}
        assert listed.keys() == {odd.id, good.id}
        assert listed[good.id] == good
        found = listed[odd.id]
        assert found == await store.get(odd.id)
        assert found.error is not None
        assert found.error["code"] == "journal_damaged"
        assert found.error["message"] == found.damage
        assert re.search(f"task {odd.id} cannot be read: {column} .*{re.escape(told)}", found.damage or "")
        with capture_logs() as logged:
            claim = await store.claim("me", 30)
            assert await store.claim("me", 30) is None  # a row without a time may come last
        assert claim is not None
        assert claim.task.id == good.id
        assert [entry["error"] for entry in logged if entry.get("action") == "task_set_aside"] == [
            found.damage
        ]
        aside = await store.get(odd.id)
        assert aside.status is TaskStatus.DEAD
        assert aside.finished_at is not None
        assert aside.damage == found.damage
        assert [task.id for task in await store.list(status=TaskStatus.DEAD)] == [odd.id]
        await everything_else_works(store, good.id)
        with pytest.raises(JournalDamaged, match=column):
            [line async for line in export(store, odd.id)]
        with pytest.raises(JournalDamaged, match=column):
            await store.claim_task(odd.id, "me", 30)
        assert (await store.request_cancel(odd.id)).id == odd.id
        assert await store.size(odd.id) > 0
        assert (await store.prune(keep=0)).tasks == 2
        assert await store.list() == ()


async def everything_else_works(store: Store, task_id: str) -> None:
    """What other tasks need, with a damaged row beside them."""
    assert (await store.submit(replace(NEW, idempotency_key="good"))).id == task_id
    claim = await store.heartbeat(await reclaimed(store, task_id))
    assert (await store.release(claim)).status is TaskStatus.QUEUED
    claim = await store.claim_task(task_id, "me", 30)
    writer = store.writer(task_id, claim.fence)
    writer.append(Event(0, EventType.RUN_STARTED, "", 1.0, {}))
    await store.finish(claim, TaskStatus.SUCCEEDED)
    assert await store.size(task_id) > 0
    assert (await store.prune(keep=5)).tasks == 0


async def reclaimed(store: Store, task_id: str) -> Any:
    task = await store.get(task_id)
    assert task.lease_owner is not None
    assert isinstance(store, SqlStore)
    await store._database.write(
        lambda connection: connection.execute(
            tasks.update().where(tasks.c.id == task_id).values(lease_expires_at=0.0)
        )
    )
    return await store.claim_task(task_id, "me", 30)


def test_every_column_has_its_damage() -> None:
    assert set(TASK_COLUMNS) == {column.name for column in tasks.c} - {"key", "searched", "entropy"}
    untested = {"id", "status", "error", "lease_owner", "lease_expires_at", "finished_at"}  # see below
    assert {column for column, _, _ in ODD} == set(TASK_COLUMNS) - untested


@pytest.mark.parametrize("value", ["'odd'", "x'00'", "NULL", "'QUEUED'"])
async def test_task_with_an_odd_status_is_shown_and_never_run(url: str, change: Change, value: str) -> None:
    async with await open_store(url) as store:
        odd, good = await store.submit(NEW), await store.submit(NEW)
        change(f"UPDATE tasks SET status = {value} WHERE id = '{odd.id}'")
        assert [task.id for task in await store.list()] == [good.id, odd.id]
        found = await store.get(odd.id)
        assert "status is" in (found.damage or "")
        for act in (store.requeue, store.claim_task):
            with pytest.raises(JournalDamaged, match="status"):
                await (act(odd.id) if act == store.requeue else store.claim_task(odd.id, "me", 30))
        claim = await store.claim("me", 30)
        assert claim is not None
        assert claim.task.id == good.id
        assert await store.claim("me", 30) is None
        await store.prune(keep=0)


@pytest.mark.parametrize("value", ["NULL", "x'ff'", "CAST(x'ff' AS TEXT)"])
async def test_row_without_an_id_is_in_no_list_and_in_nobodys_way(
    url: str, change: Change, value: str
) -> None:
    async with await open_store(url) as store:
        made = [await store.submit(NEW) for _ in range(4)]
        for odd in (made[0], made[2]):
            change(f"UPDATE tasks SET id = {value} || rowid WHERE id = '{odd.id}'")
        assert [task.id for task in await store.list(limit=2)] == [made[3].id, made[1].id]
        assert [task.id for task in await store.list(limit=1)] == [made[3].id]
        assert await store.list(before=Place.of(made[1])) == ()
        claims = [await store.claim("me", 30) for _ in range(3)]
        assert [claim and claim.task.id for claim in claims] == [made[1].id, made[3].id, None]
        assert (await store.prune(keep=0)).tasks == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lease_expires_at", "'soon'"),
        ("lease_expires_at", "x'00'"),
        ("lease_expires_at", "9e999"),
        ("lease_owner", "x'00', lease_expires_at = 1.0"),
        ("finished_at", "'x', lease_expires_at = 1.0"),
        ("error", "'[]', lease_expires_at = 1.0"),
    ],
)
async def test_what_is_overwritten_when_a_task_is_set_aside_is_mended(
    url: str, change: Change, column: str, value: str
) -> None:
    """And a lease that is no time does not last for ever."""
    async with await open_store(url) as store:
        held = await store.start(NEW, "owner", 30)
        change(f"UPDATE tasks SET {column} = {value} WHERE id = '{held.task.id}'")
        assert f"{column} is" in ((await store.list())[0].damage or "")
        assert await store.claim("me", 30) is None
        aside = await store.get(held.task.id)
        assert (aside.status, aside.damage) == (TaskStatus.DEAD, None)
        assert aside.error is not None
        assert aside.error["code"] == "journal_damaged"
        assert f"{column} is" in aside.error["message"]
        assert (await store.requeue(held.task.id)).status is TaskStatus.QUEUED
        assert await store.claim("me", 30) is not None


async def test_many_damaged_tasks_do_not_hold_up_the_queue(url: str, change: Change) -> None:
    async with await open_store(url) as store:
        number = 2 * claiming.GIVEN_UP + 10
        await asyncio.gather(*(store.submit(NEW) for _ in range(number)))
        assert isinstance(store, SqlStore)
        await store._database.write(
            lambda connection: connection.execute(tasks.update().values(question="{"))
        )
        good = await store.submit(NEW)
        claim = await store.claim("me", 30)
        assert claim is not None
        assert claim.task.id == good.id
        assert len(await store.list(status=TaskStatus.DEAD, limit=1000)) == number


async def test_owner_of_a_task_that_is_damaged_meanwhile_goes_on(url: str, change: Change) -> None:
    async with await open_store(url) as store:
        claim = await store.start(NEW, "me", 30)
        change(f"UPDATE tasks SET question = '{{', attempts = 'x' WHERE id = '{claim.task.id}'")
        claim = await store.heartbeat(claim)
        assert "question is not JSON" in (claim.task.damage or "")
        with pytest.raises(JournalDamaged, match="attempts"):
            await store.release(claim)
        writer = store.writer(claim.task.id, claim.fence)
        writer.append(Event(0, EventType.RUN_STARTED, "", 1.0, {}))
        await store.finish(claim, TaskStatus.SUCCEEDED, solution={"a": 1})
        assert (await store.get(claim.task.id)).status is TaskStatus.SUCCEEDED


async def test_key_of_a_damaged_task_fails_alone(url: str, change: Change) -> None:
    async with await open_store(url) as store:
        odd = await store.submit(replace(NEW, idempotency_key="odd"))
        change(f"UPDATE tasks SET options = 'x' WHERE id = '{odd.id}'")
        first, second, third = await asyncio.gather(
            store.submit(NEW),
            store.submit(replace(NEW, idempotency_key="odd")),
            store.submit(replace(NEW, idempotency_key="even")),
            return_exceptions=True,
        )
        assert not isinstance(first, BaseException)
        assert not isinstance(third, BaseException)
        assert isinstance(second, JournalDamaged)
        assert odd.id in str(second)


EVENT_ODD = [
    ("data", "'{'", "data "),
    ("data", "'{\"a\": NaN}'", "NaN"),
    ("data", "'[]'", "is not a JSON object"),
    ("data", "x'7b7d'", "data is a blob"),
    ("data", "NULL", "data is missing"),
    ("data", "CAST(x'7bff7d' AS TEXT)", "data is not UTF-8"),
    ("data", """'{"a":{"$text":"aaaaaaaaaaaaaaaaaaaaaaaa"}}'""", "text that is gone"),
    ("type", "'miracle'", "miracle"),
    ("type", "NULL", "type"),
    ("path", "x'00'", "path is a blob"),
    ("path", "NULL", "path is missing"),
    ("at", "NULL", "at is missing"),
    ("at", "'noon'", "at is a text"),
    ("at", "9e999", "at is inf"),
]


@pytest.mark.parametrize(("column", "value", "told"), EVENT_ODD)
async def test_event_that_cannot_be_read_is_named(
    url: str, change: Change, column: str, value: str, told: str
) -> None:
    async with await open_store(url) as store:
        odd, good = [await with_events(store) for _ in range(2)]
        change(f"UPDATE events SET {column} = {value} WHERE seq = 1 AND task_key = 1")
        with pytest.raises(JournalDamaged, match=f"task {odd}: event 1 .*{re.escape(told)}"):
            [event async for event in store.read(odd)]
        assert len([event async for event in store.read(good)]) == 3
        read = store.journals([good, odd])
        assert len((await anext(read))[1]) == 3
        with pytest.raises(JournalDamaged, match=f"task {odd}: event 1 "):
            await anext(read)
        assert await store.last_seq(odd) == 2


@pytest.mark.parametrize("value", ["x'00'", "NULL", "CAST(x'ff' AS TEXT)"])
async def test_text_that_cannot_be_read_is_missed_by_its_events(url: str, change: Change, value: str) -> None:
    async with await open_store(url) as store:
        odd = await with_events(store)
        change(f"UPDATE texts SET text = {value}")
        with pytest.raises(JournalDamaged, match=r"event 0 .*a text that is gone"):
            [event async for event in store.read(odd)]


@pytest.mark.parametrize("value", ["'two'", "x'00'", "2.5"])
async def test_number_of_an_event_that_is_none(url: str, change: Change, value: str) -> None:
    async with await open_store(url) as store:
        odd = await with_events(store)
        change(f"UPDATE events SET seq = {value} WHERE seq = 2")
        with pytest.raises(JournalDamaged, match=f"{odd}: event .*seq is"):
            [event async for event in store.read(odd)]
        with pytest.raises(JournalDamaged, match=f"{odd}: .*seq is"):
            await store.last_seq(odd)
        await with_events(store)


async def with_events(store: Store) -> str:
    claim = await store.start(NEW, "me", 30)
    writer = store.writer(claim.task.id, claim.fence)
    for seq in range(3):
        data = {"n": seq, **({"long": "x" * 100} if seq == 0 else {})}
        writer.append(Event(seq, EventType.DECISION, "", 1.0, data))
    await store.finish(claim, TaskStatus.SUCCEEDED)
    return claim.task.id


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("question", "'{'"),
        ("question", "'NaN'"),
        ("options", "'[]'"),
        ("created_at", "'NaN'"),
        ("attempts", "2147483647, lease_fence = 2147483647"),
        ("lease_fence", "2147483647"),
    ],
)
async def test_postgres_takes_some_of_that_too(new_database_url: str, column: str, value: str) -> None:
    async with await open_store(new_database_url) as store:
        assert isinstance(store, SqlStore)
        odd, good = await store.submit(NEW), await store.submit(NEW)
        await store._database.write(
            lambda connection: connection.exec_driver_sql(
                f"UPDATE tasks SET {column} = {value} WHERE id = '{odd.id}'"
            )
        )
        assert {task.id for task in await store.list()} == {odd.id, good.id}
        claim = await store.claim("me", 30)
        assert claim is not None
        assert claim.task.id == good.id
        assert await store.claim("me", 30) is None
        aside = await store.get(odd.id)
        assert aside.status is TaskStatus.DEAD
        assert column in (aside.damage or "")
        await store.prune(keep=0)


@pytest.mark.postgres
@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'"])
async def test_lease_on_postgres_that_is_no_time(new_database_url: str, value: str) -> None:
    async with await open_store(new_database_url) as store:
        assert isinstance(store, SqlStore)
        held = await store.start(NEW, "owner", 30)
        await store._database.write(
            lambda connection: connection.exec_driver_sql(f"UPDATE tasks SET lease_expires_at = {value}")
        )
        assert await store.claim("me", 30) is None
        assert (await store.get(held.task.id)).status is TaskStatus.DEAD
        with pytest.raises(StorageError):
            await store.heartbeat(held)
