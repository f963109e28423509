"""The schema's history: up and down with data, and what happens when code and database disagree."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from storage.errors import SchemaMismatch, StorageError, StorageUnavailable
from storage.events import Event, EventType
from storage.opening import back_up, open_store
from storage.sql.database import open_database
from storage.sql.migrations import HEAD, migrate, revision
from storage.sql.tables import metadata
from storage.tasks import NewTask, Priority, TaskStatus

SCRIPTS = str(Path(__file__).parents[3] / "storage" / "sql" / "migrations")


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path, database_kind: str) -> str:
    """A database that has no tables."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("new_database_url")
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_migrated_schema_is_the_schema_of_the_tables(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.read(differences) == []
    await database.close()


def test_head_is_the_newest_revision() -> None:
    assert ScriptDirectory(SCRIPTS).get_heads() == [HEAD]


async def test_reopening_changes_nothing(empty_database_url: str) -> None:
    async with await open_store(empty_database_url) as store:
        task = await store.submit(NewTask(question="q", planner="vote"))
    async with await open_store(empty_database_url) as store:
        assert await store.get(task.id) == task


async def test_many_processes_may_open_a_new_database_at_once(empty_database_url: str) -> None:
    stores = await asyncio.gather(*(open_store(empty_database_url) for _ in range(16)))
    tasks = [await store.submit(NewTask(question=i, planner="vote")) for i, store in enumerate(stores)]
    assert {task.id for task in await stores[0].list()} == {task.id for task in tasks}
    for store in stores:
        await store.close()


async def test_newer_database_is_refused_with_what_to_do(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)
    await database.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    await database.close()
    with pytest.raises(SchemaMismatch, match=r"9999.*upgrade anabranch"):
        await open_store(empty_database_url)


@pytest.mark.parametrize(
    "scripts", [[script.revision for script in ScriptDirectory(SCRIPTS).walk_revisions()]]
)
async def test_data_survives_the_way_down_and_up(scripts: list[str], empty_database_url: str) -> None:
    """Down to the first revision, which is the oldest that has data, and up to the newest."""
    async with await open_store(empty_database_url) as store:
        claim = await store.start(NewTask(question="q", planner="vote"), "me", 30)
        writer = store.writer(claim.task.id, claim.fence)
        written = [Event(i, EventType.DECISION, "", 1.0, {"text": f"{i} " * 200}) for i in range(5)]
        for event in written:
            writer.append(event)
        await store.finish(claim, TaskStatus.SUCCEEDED)
        before = await store.get(claim.task.id)
    database = await open_database(empty_database_url)
    for target in [*scripts, HEAD]:
        await database.write(lambda connection, target=target: migrate(connection, target))  # type: ignore[misc]
    await database.close()
    async with await open_store(empty_database_url) as store:
        assert await store.get(before.id) == before
        assert [event async for event in store.read(before.id)] == written


async def test_everything_can_be_taken_down(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)
    await database.write(lambda connection: migrate(connection, "base"))
    names = await database.read(lambda connection: inspect(connection).get_table_names())
    assert names == ["alembic_version"]
    await database.write(migrate)
    assert await database.read(revision) == HEAD
    await database.close()


async def test_first_schema_of_a_released_version_is_read(tmp_path: Path) -> None:
    """A file that revision 0001 wrote, kept as SQL; every later version must read it."""
    path = tmp_path / "old.db"
    script = (Path(__file__).parent / "data" / "0001.sql").read_text()
    old = sqlite3.connect(path)
    old.executescript(script)
    old.close()
    async with await open_store(f"sqlite:///{path}") as store:
        [task] = await store.list()
        assert (task.status, task.solution) == (TaskStatus.SUCCEEDED, {"answer": "72"})
        events = [event async for event in store.read(task.id)]
        assert [event.type for event in events] == [
            "run_started",
            "node_added",
            "node_settled",
            "run_finished",
        ]
        assert events[1].data["request"]["prompt"] == [
            ["system", "Think. " * 40],
            ["user", "How many clips?"],
        ]


async def test_first_schema_of_a_released_version_can_be_salvaged(tmp_path: Path) -> None:
    """Before it is brought up to date: a damaged file may not be."""
    path, saved = tmp_path / "old.db", tmp_path / "saved.db"
    script = (Path(__file__).parent / "data" / "0001.sql").read_text()
    old = sqlite3.connect(path)
    old.executescript(script)
    old.close()
    await back_up(f"sqlite:///{path}", saved, salvage=True)
    async with await open_store(f"sqlite:///{saved}") as store:
        [task] = await store.list()
        assert len([event async for event in store.read(task.id)]) == 4


async def test_tasks_from_before_lists_were_filtered_are_found(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.executescript((Path(__file__).parent / "data" / "0001.sql").read_text())
    old.execute('UPDATE tasks SET solution = \'{"answer": "72", "entropy": 0.5}\'')
    columns = [row[1] for row in old.execute("PRAGMA table_info(tasks)") if row[1] not in ("key", "id")]
    for damaged, column in (("damaged-0", "question"), ("damaged-1", "solution")):
        values = ", ".join("'{'" if each == column else each for each in columns)
        names = ", ".join(columns)
        old.execute(f"INSERT INTO tasks (id, {names}) SELECT '{damaged}', {values} FROM tasks LIMIT 1")
    old.commit()
    old.close()
    salvaged = tmp_path / "salvaged.db"
    await back_up(f"sqlite:///{path}", salvaged, overwrite=False, salvage=True)
    for each in (path, salvaged):
        async with await open_store(f"sqlite:///{each}") as store:
            assert len(await store.list()) == 3
    async with await open_store(f"sqlite:///{path}") as store:
        assert len(await store.list(text="HOW MANY CLIPS", entropy_from=0.5)) == 1
        assert {task.id for task in await store.list(entropy_from=0.5)} == {"1m80ydyww0r90w8j", "damaged-0"}


async def test_tasks_that_waited_or_ran_under_the_first_schema_go_on(empty_database_url: str) -> None:
    """What had begun comes first, the others in the order of their submission, and none is left behind."""
    database = await open_database(empty_database_url)
    await database.write(lambda connection: migrate(connection, "0001"))
    rows = [
        {"id": "waits", "status": "queued", "at": 1.0, "begun": None, "owner": None, "fence": 0},
        {"id": "came-later", "status": "queued", "at": 2.0, "begun": None, "owner": None, "fence": 0},
        {"id": "handed-back", "status": "queued", "at": 3.0, "begun": 4.0, "owner": None, "fence": 1},
        {"id": "lapsed", "status": "running", "at": 5.0, "begun": 6.0, "owner": "dead", "fence": 1},
    ]
    old = text(
        "INSERT INTO tasks (id, tenant, status, question, planner, options, seed, created_at, started_at, "
        "cancel_requested, attempts, lease_owner, lease_fence, lease_expires_at) VALUES (:id, 'a', :status, "
        "'1', 'vote', '{}', 0, :at, :begun, false, :fence, :owner, :fence, :lapses)"
    )
    await database.write(
        lambda connection: connection.execute(
            old, [{**row, "lapses": 7.0 if row["owner"] else None} for row in rows]
        )
    )
    await database.close()
    async with await open_store(empty_database_url) as store:
        assert {(task.priority, task.deadline) for task in await store.list()} == {("interactive", None)}
        assert sum((await store.waiting())[Priority.INTERACTIVE].values()) == 2
        claims = [await store.claim("me", 30) for _ in range(5)]
    assert [claim and claim.task.id for claim in claims] == [
        "handed-back",
        "lapsed",
        "waits",
        "came-later",
        None,
    ]


@pytest.mark.parametrize("url", ["mysql://host/name", "not a url", "sqlite://", "sqlite:///:memory:"])
async def test_url_of_no_supported_database_is_told(url: str) -> None:
    with pytest.raises(StorageError, match=r"sqlite"):
        await open_store(url)


@pytest.mark.parametrize(("query", "level"), [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)])
async def test_durability_of_a_file_is_in_its_url(tmp_path: Path, query: str, level: int) -> None:
    database = await open_database(f"sqlite:///{tmp_path / 'test.db'}{query}")
    found = await database.write(
        lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    )
    assert found == level
    await database.close()
    with pytest.raises(StorageError, match="normal or full"):
        await open_database(f"sqlite:///{tmp_path / 'test.db'}?synchronous=perhaps")


async def test_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StorageUnavailable, match="file"):
        await open_store(f"sqlite:///{tmp_path / 'file' / 'test.db'}")
    (tmp_path / "other.db").write_text("not a database at all, but long enough to look at" * 50)
    with pytest.raises(StorageError, match="not a database"):
        await open_store(f"sqlite:///{tmp_path / 'other.db'}")
