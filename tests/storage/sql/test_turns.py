"""The rows in which turns are kept: few, harmless if somebody changes them, and never locked for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from storage.opening import open_store
from storage.queueing import NO_RULES, Rules
from storage.sql import admission
from storage.sql.claiming import claim_next
from storage.sql.postgres import PostgresDatabase
from storage.sql.store import SqlStore
from storage.sql.tables import shares
from storage.store import Store
from storage.tasks import NewTask

BOUNDED = Rules(most=100)


async def submitted(store: Store, tenant: str, number: int) -> None:
    for _ in range(number):
        await store.submit(NewTask(question="q", planner="vote", tenant=tenant))


async def begun(store: Store, number: int) -> str:
    claims = [await store.claim("me", 30) for _ in range(number)]
    return "".join(claim.task.tenant for claim in claims if claim is not None)


async def test_tenants_with_whom_a_line_is_even_are_forgotten(database_url: str) -> None:
    async with await open_store(database_url) as store:
        assert isinstance(store, SqlStore)
        for tenant in "abcdefgh":
            await submitted(store, tenant, 1)
        await begun(store, 8)
        await submitted(store, "z", 20)
        await begun(store, 20)
        kept = await store._database.read(lambda connection: connection.execute(select(shares)).all())
    assert [row.tenant for row in kept] == ["z"]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE lines SET reached = 'x', passed_over = x'00'",
        "UPDATE lines SET reached = 9e999",
        "UPDATE shares SET used = 'x'",
        "UPDATE shares SET used = 9e999",
        "UPDATE shares SET used = -5",
        "DELETE FROM lines",
        "DELETE FROM shares",
        "INSERT INTO lines VALUES ('third', 1.0, 0)",
    ],
)
async def test_turns_go_on_whatever_their_rows_hold(tmp_path: Path, harm: str) -> None:
    async with await open_store(f"sqlite:///{tmp_path / 'test.db'}") as store:
        assert isinstance(store, SqlStore)
        for tenant in "ab":
            await submitted(store, tenant, 12)
        await begun(store, 4)
        await store._database.write(lambda connection: connection.execute(text(harm)))
        counted = Counter(await begun(store, 20))
    assert counted == {"a": 10, "b": 10}


def claiming(connection: Connection) -> None:
    assert claim_next(connection, "stopped", 30, 5, None, NO_RULES).claim is not None


def submitting(connection: Connection) -> None:
    connection.execute(admission._LOCK)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("act", [claiming, submitting])
async def test_a_process_that_stops_in_a_transaction_holds_up_others_for_seconds(
    new_database_url: str, act: Callable[[Connection], None]
) -> None:
    """The server ends it long before it would end other transactions, which is after 30 s."""
    async with await open_store(new_database_url) as stopped, await open_store(new_database_url) as other:
        assert isinstance(stopped, SqlStore)
        assert isinstance(stopped._database, PostgresDatabase)
        await submitted(other, "a", 2)
        with suppress(DBAPIError):  # its connection is gone
            async with stopped._database._engine.connect() as connection:
                await connection.run_sync(act)
                async with asyncio.timeout(25):
                    assert await other.claim("other", 30) is not None
                    await other.submit(NewTask(question="q", planner="vote"), BOUNDED)
