"""A SQLite file is taken away from a running process: it is noticed, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from storage.errors import DatabaseMissing, StorageUnavailable
from storage.opening import open_store
from storage.sql.sqlite import SqliteDatabase
from storage.sql.store import SqlStore
from storage.store import Store
from storage.tasks import NewTask, TaskStatus
from tests.storage.test_processes import line, process, tell

NEW = NewTask(question={"query": "q"}, planner="vote")


def unlink(path: Path) -> None:
    path.unlink()


def unlink_all(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def unlink_directory(path: Path) -> None:
    path.parent.rename(gone := path.parent.with_name("gone"))  # its files are still written
    shutil.rmtree(gone)


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE strangers (x)")
        file.commit()
    other.rename(path)


def unlink_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def truncate(path: Path) -> None:
    os.truncate(path, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory / "test.db"


def rescued(path: Path) -> list[Path]:
    return sorted(path.parent.glob("test.db.rescued-*"))


def content(path: Path) -> bytes:
    return path.read_bytes()


def size_of(path: Path) -> int:
    return path.stat().st_size


def ids(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {found for (found,) in file.execute("SELECT id FROM tasks")}


@pytest.mark.parametrize(
    "act", [unlink, unlink_all, unlink_directory, move, move_directory, replace, unlink_log, truncate]
)
async def test_file_that_is_taken_away_is_noticed_and_saved(path: Path, act: Callable[[Path], None]) -> None:
    async with process("submit_for_ever", f"sqlite:///{path}", "one") as running:
        accepted = [await told(running, "accepted") for _ in range(80)]
        act(path)
        replaced = content(path) if act is replace else b""
        while (said := await line(running)).startswith("accepted"):
            accepted.append(said.split()[1])
        assert said.startswith(f"refused {path}"), said
        tell(running)
        said = await told(running, "failed")
        saved, *pages = rescued(path)
        assert len(pages) == (act is truncate)
        assert said.startswith(str(path)), said
        assert str(saved) in said
        assert "remove test.db-wal and test.db-shm" in said
    assert set(accepted) == ids(saved)
    if act in (unlink, unlink_all, move):
        with pytest.raises(DatabaseMissing, match="saved when it was lost"):  # not an empty one in its place
            await open_store(f"sqlite:///{path}")
    async with await open_store(f"sqlite:///{saved}") as store:  # it is a database to go on with
        assert (await store.claim("me", 30)) is not None
    if act is replace:
        assert content(path) == replaced


async def told(running: Process, what: str) -> str:
    said = await line(running)
    assert said.startswith(f"{what} "), said
    return said.removeprefix(f"{what} ")


async def test_idle_processes_notice_too_and_each_saves_what_it_has(path: Path) -> None:
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(process("be_idle", f"sqlite:///{path}", name)) for name in "ab"
        ]
        accepted = {await told(each, "accepted") for each in running}
        unlink_all(path)
        async with asyncio.timeout(30):
            said = [await told(each, "failed") for each in running]
        saved = rescued(path)
        assert len(saved) == 2
        assert all(ids(each) == accepted for each in saved)
        assert sorted(str(each) in "".join(said) for each in saved) == [True, True]


async def test_refusal_names_the_file_and_the_store_says_that_it_has_failed(path: Path) -> None:
    async with await open_store(f"sqlite:///{path}") as store:
        task = await store.submit(NEW)
        assert store.failed() is None
        with capture_logs() as logged:
            unlink(path)
            with pytest.raises(StorageUnavailable, match=f"{path} was deleted or moved"):
                await store.submit(NEW)
            for refused in (store.probe, lambda: store.request_cancel(task.id)):
                with pytest.raises(StorageUnavailable, match="rescued"):
                    await refused()
            assert await store.get(task.id) == task  # what is open can still be read
        assert f"{path} was deleted or moved" in (store.failed() or "")
        actions = [entry for entry in logged if entry.get("action") == "database_rescued"]
        assert len(actions) == 1
        assert (actions[0]["log_level"], actions[0]["complete"]) == ("error", True)
        assert [actions[0]["saved"]] == [str(each) for each in rescued(path)]
    assert not list(path.parent.glob("test.db"))


async def test_transaction_in_the_middle_is_refused_as_a_whole(path: Path) -> None:
    async with await open_store(f"sqlite:///{path}") as store:
        assert isinstance(store, SqlStore)
        task = await store.submit(NEW)

        def body(connection: object) -> None:
            connection.exec_driver_sql("UPDATE tasks SET planner = 'other'")  # type: ignore[attr-defined]
            unlink(path)

        with pytest.raises(StorageUnavailable, match="deleted"):
            await store._database.write(body)
        (saved,) = rescued(path)
    with closing(sqlite3.connect(saved)) as file:
        assert file.execute("SELECT id, planner FROM tasks").fetchall() == [(task.id, "vote")]


async def test_file_that_is_cut_in_the_middle_is_noticed(path: Path) -> None:
    async with await open_store(f"sqlite:///{path}") as store:
        await fill(store, 60)
        checkpoint(path)
        await store.submit(NEW)
        size = size_of(path)
        os.truncate(path, size // 2)
        with pytest.raises(StorageUnavailable, match=f"cut to {size // 2} bytes"):
            await store.submit(NEW)
        assert "the rows that could still be read" in (store.failed() or "")
        assert rescued(path)


async def test_file_that_is_pruned_is_not_taken_for_cut(path: Path) -> None:
    async with await open_store(f"sqlite:///{path}") as store:
        await fill(store, 60)
        checkpoint(path)
        size = size_of(path)
        await store.submit(NEW)
        async with await open_store(f"sqlite:///{path}") as other:
            await other.prune(keep=0)
        checkpoint(path)
        assert size_of(path) < size // 2
        await store.submit(NEW)
        await asyncio.sleep(1.2)
        assert store.failed() is None
        assert len(await store.list()) == 2


async def test_copy_that_cannot_be_written_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.sql.sqlite.rescue", full)
    async with await open_store(f"sqlite:///{path}") as store:
        assert isinstance(store, SqlStore)
        assert isinstance(store._database, SqliteDatabase)
        with capture_logs() as logged:
            unlink(path)
            with pytest.raises(StorageUnavailable, match="No space left"):
                await store.submit(NEW)
        assert [entry["action"] for entry in logged].count("database_not_rescued") == 1


async def fill(store: Store, tasks: int) -> None:
    for _ in range(tasks):
        claim = await store.start(NewTask(question={"query": "x" * 20_000}, planner="vote"), "me", 30)
        await store.finish(claim, TaskStatus.SUCCEEDED)


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as file:
        assert file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
