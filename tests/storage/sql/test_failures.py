"""What goes wrong with a database has a code of its own, says what to do, and shows no password."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from benchmarks.postgres import Network, PostgresServer, Proxy
from storage.errors import (
    DatabaseMissing,
    NotWritable,
    StorageAuth,
    StorageDamaged,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql import postgres, sqlite
from storage.sql.store import SqlStore
from storage.store import Store
from storage.tasks import NewTask, TaskStatus

NEW = NewTask(question={"query": "q"}, planner="vote")
LARGE = NewTask(question={"query": "x" * 100_000}, planner="vote")


# SQLite


async def test_directory_and_garbage_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="it is a directory"):
        await open_store(f"sqlite:///{tmp_path}")
    garbage(tmp_path / "garbage.db")
    for check in (True, False):
        with pytest.raises(StorageDamaged, match=r"garbage.db: file is not a database.*backup"):
            await open_store(f"sqlite:///{tmp_path / 'garbage.db'}", check=check)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_may_not_be_written_is_named(tmp_path: Path, what: str) -> None:
    """In a process of a user who is not root, whom no permission stops."""
    directory = Path(f"/tmp/anabranch-{uuid.uuid4().hex}")
    directory.mkdir(mode=0o755)
    try:
        path = directory / "test.db"
        if what == "file":
            asyncio.run(opened(path))
            directory.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", OPEN_AS_NOBODY, str(tmp_path / "other.db"), str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        assert done.stdout.startswith(f"storage_not_writable {path}"), done
        assert "must be allowed to" in done.stdout
    finally:
        shutil.rmtree(directory)


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONDONTWRITEBYTECODE": "1"}
OPEN_AS_NOBODY = """
import asyncio, os, sys
from storage.errors import StorageError
from storage.opening import open_store

async def main():
    async with await open_store(f"sqlite:///{sys.argv[1]}"):  # imports what only root may read
        pass
    os.seteuid(65534)
    try:
        async with await open_store(f"sqlite:///{sys.argv[2]}"):
            print("opened")
    except StorageError as error:
        print(error.code, error)

asyncio.run(main())
"""


async def opened(path: Path) -> None:
    async with await open_store(f"sqlite:///{path}"):
        pass


async def limited(store: Store, pages: int) -> None:
    """Let the file grow by so many pages at most, as if its disk were full."""
    assert isinstance(store, SqlStore)

    def body(connection: Connection) -> None:
        now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {now + pages}")

    await store._database.write(body)


async def test_full_disk_is_named_and_all_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path / 'test.db'}") as store:
        claim = await store.start(NEW, "me", 60)
        running = store.writer(claim.task.id, claim.fence)
        running.append(Event(0, EventType.RUN_STARTED, "", 1.0, {}))
        await running.flush()
        await limited(store, 2)
        with pytest.raises(StorageFull, match=r"full.*until there is room"):
            await store.submit(LARGE)
        running.append(Event(1, EventType.DECISION, "", 1.0, {"big": "y" * 100_000}))
        with pytest.raises(StorageFull):
            await running.flush()
        assert await store.get(claim.task.id) == claim.task
        await limited(store, 10_000)
        task = await store.submit(LARGE)
        again = store.writer(claim.task.id, claim.fence, next_seq=await store.last_seq(claim.task.id) + 1)
        again.append(Event(1, EventType.DECISION, "", 1.0, {}))
        await store.finish(claim, TaskStatus.SUCCEEDED)
        assert await store.last_seq(claim.task.id) == 1
        assert {each.id for each in await store.list()} == {claim.task.id, task.id}
        assert store.failed() is None
        assert StorageFull.retryable


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


async def test_real_full_disk(small_disk: Path) -> None:
    async with await open_store(f"sqlite:///{small_disk / 'test.db'}") as store:
        accepted = [await store.submit(NEW)]
        assert (store.free_bytes() or 0) > 500_000
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="space"):
            ballast_into(ballast)
        for new in (LARGE, NEW):  # there may be room left in the log
            with suppress(StorageFull):
                while True:
                    accepted.append(await store.submit(new))
        with pytest.raises(StorageFull):
            await store.submit(NEW)
        remove(ballast)
        await store.probe()
        accepted.append(await store.submit(LARGE))
        async with asyncio.timeout(30):
            while (store.free_bytes() or 0) < 100_000:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert {task.id for task in await store.list(limit=10_000)} == {task.id for task in accepted}


def ballast_into(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def remove(path: Path) -> None:
    path.unlink()


async def test_disk_that_is_mounted_anew_is_noticed(small_disk: Path) -> None:
    async with await open_store(f"sqlite:///{small_disk / 'test.db'}") as store:
        task = await store.submit(NEW)
        umount = await asyncio.create_subprocess_exec("umount", "-l", str(small_disk))
        await umount.wait()
        with pytest.raises(StorageUnavailable, match="deleted or moved"):
            await store.submit(NEW)
        saved = list_of(small_disk)
        assert len(saved) == 1
    async with await open_store(f"sqlite:///{saved[0]}") as store:
        assert await store.list() == (task,)
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "none", str(small_disk))
    await mount.wait()


def list_of(directory: Path) -> list[Path]:
    return list(directory.glob("*.rescued-*"))


async def test_file_that_becomes_read_only_is_named_and_all_goes_on_afterwards(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path / 'test.db'}") as store:
        task = await store.submit(NEW)
        assert isinstance(store, SqlStore)
        assert isinstance(store._database, sqlite.SqliteDatabase)
        set_read_only(store._database, True)
        for refused in (store.probe(), store.submit(NEW), store.claim("me", 30)):
            with pytest.raises(NotWritable, match="must be allowed to write"):
                await refused
        assert await store.list() == (task,)
        set_read_only(store._database, False)
        await store.probe()
        assert await store.claim("me", 30) is not None


def set_read_only(database: sqlite.SqliteDatabase, value: bool) -> None:
    connection = database._writer.raw_connection()
    connection.cursor().execute(f"PRAGMA query_only = {int(value)}")
    connection.close()


async def test_probe_writes_and_changes_nothing(database_url: str) -> None:
    async with await open_store(database_url) as store:
        task = await store.submit(NEW)
        for _ in range(3):
            await store.probe()
        assert await store.list() == (task,)
        assert (store.free_bytes() is None) == database_url.startswith("postgresql")


async def test_check_is_quick_and_gives_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with await open_store(url) as store:
        for _ in range(300):
            await store.submit(NEW)
    with capture_logs() as logged:
        async with await open_store(url, check=True):
            pass
    assert [entry["action"] for entry in logged] == ["database_checked"]
    monkeypatch.setattr(sqlite, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr("storage.sql.copying.STEPS", 100)
    with capture_logs() as logged:
        async with await open_store(url, check=True) as store:
            await store.submit(NEW)
    assert [entry["action"] for entry in logged] == ["database_check_skipped"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host:port/name",
        "postgresql//me:secret@host/name",
        "oracle://me:secret@host/name",
        "postgresql://me:secret@127.0.0.1:1/name?password=secret",
        "postgresql://me:secret@127.0.0.1:1/name?sslmode=require&password=secret",
        "postgresql+nonsense://me:secret@:::/name",
    ],
)
async def test_password_is_never_shown(url: str) -> None:
    with pytest.raises(StorageError) as raised:
        await open_store(url)
    error: BaseException | None = raised.value
    while error is not None:
        assert "secret" not in repr(error)
        error = error.__cause__


# PostgreSQL


@pytest.fixture
async def role(running_postgres: PostgresServer, postgres_server: str) -> AsyncIterator[str]:
    """A role that needs the password ``right``."""
    asyncpg = pytest.importorskip("asyncpg")
    name = f"role_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    file = Path(await connection.fetchval("SHOW hba_file"))
    before = text_of(file)
    change(file, f"local all {name} scram-sha-256\nhost all {name} all scram-sha-256\n{before}")
    await connection.execute("SELECT pg_reload_conf()")
    while not await connection.fetchval(  # noqa: ASYNC110
        "SELECT count(*) FROM pg_hba_file_rules WHERE user_name = ARRAY[$1]", name
    ):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    try:
        yield name
    finally:
        change(file, before)
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f"DROP OWNED BY {name}")
        await connection.execute(f"DROP ROLE {name}")
        await connection.close()


def text_of(path: Path) -> str:
    return path.read_text()


def change(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.postgres
async def test_wrong_password_is_told_at_once(new_database_url: str, role: str) -> None:
    url = new_database_url.replace("postgres:@", f"{role}:wrong-secret@")
    for patience in (0.0, 60.0):
        began = time.monotonic()
        with pytest.raises(StorageAuth, match="password authentication failed") as raised:
            await open_store(url, patience=patience)
        assert time.monotonic() - began < 20
        assert "wrong-secret" not in str(raised.value)
        assert (raised.value.code, raised.value.retryable) == ("storage_auth", False)


@pytest.mark.postgres
async def test_role_without_rights_is_told(new_database_url: str, role: str) -> None:
    with pytest.raises(StorageAuth, match="permission denied"):
        await open_store(new_database_url.replace("postgres:@", f"{role}:right@"))


@pytest.mark.postgres
async def test_password_that_changes_later_is_not_tried_for_a_minute(
    new_database_url: str, role: str, postgres_server: str
) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    admin = await asyncpg.connect(new_database_url)
    await admin.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    async with await open_store(new_database_url.replace("postgres:@", f"{role}:right@")) as store:
        await store.submit(NEW)
        await admin.execute(f"ALTER ROLE {role} PASSWORD 'other'")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
        async with asyncio.timeout(20):
            with pytest.raises(StorageAuth):
                await store.submit(NEW)
            with pytest.raises(StorageAuth):
                await store.probe()
        await admin.execute(f"ALTER ROLE {role} PASSWORD 'right'")
        await store.submit(NEW)
        await store.probe()
    await admin.execute(f"DROP OWNED BY {role} CASCADE")
    await admin.close()


@pytest.mark.postgres
async def test_missing_database_and_role_are_told(postgres_server: str) -> None:
    missing = postgres_server.replace("/postgres?", "/nowhere?")
    with pytest.raises(DatabaseMissing, match=r'"nowhere" does not exist.*CREATE DATABASE'):
        await open_store(missing, patience=60.0)
    with pytest.raises(StorageAuth, match='role "nobody" does not exist'):
        await open_store(postgres_server.replace("postgres:@", "nobody:@"), patience=60.0)


@pytest.mark.postgres
async def test_server_that_is_starting_is_waited_for(
    running_postgres: PostgresServer, new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TOLD_SECONDS", 0.5)
    name = new_database_url.split("?", maxsplit=1)[0].rpartition("/")[2]
    proxy = Proxy(running_postgres.socket)
    async with proxy.listening():
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
        proxy.set(Network.DOWN)
        with pytest.raises(StorageUnavailable):
            await open_store(url)
        with pytest.raises(StorageUnavailable):
            await open_store(url, patience=0.3)
        with capture_logs() as logged:
            opening = asyncio.create_task(open_store(url, patience=60))
            await asyncio.sleep(1.5)
            assert not opening.done()
            proxy.set(Network.UP)
            async with await opening as store:
                await store.submit(NEW)
        told = [entry for entry in logged if entry.get("action") == "database_awaited"]
        assert 2 <= len(told) <= 5  # far fewer than there were attempts
        assert told[0]["log_level"] == "warning"


@asynccontextmanager
async def read_only(url: str) -> AsyncIterator[None]:
    asyncpg = pytest.importorskip("asyncpg")
    admin = await asyncpg.connect(url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    yield
    await admin.execute("SET default_transaction_read_only = off")
    await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await admin.close()


@pytest.mark.postgres
async def test_server_that_is_read_only_for_a_while_is_waited_for(new_database_url: str) -> None:
    async with await open_store(new_database_url) as store:
        await store.submit(NEW)
        async with read_only(new_database_url):
            submitting = asyncio.create_task(store.submit(NEW))
            await asyncio.sleep(0.5)
            assert not submitting.done()
        await submitting
        assert len(await store.list()) == 2
