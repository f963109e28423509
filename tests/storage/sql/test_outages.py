"""PostgreSQL crashes, is cut off, and loses answers; the journal waits and loses nothing."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from benchmarks.postgres import Network, PostgresServer, Proxy
from storage.errors import StorageUnavailable
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql import database, postgres
from storage.tasks import NewTask, TaskStatus

pytestmark = pytest.mark.postgres


@pytest.fixture
def proxied(running_postgres: PostgresServer, new_database_url: str) -> tuple[Proxy, str]:
    name = new_database_url.split("?", maxsplit=1)[0].rpartition("/")[2]
    return Proxy(running_postgres.socket), name


def event(seq: int) -> Event:
    return Event(seq, EventType.NODE_SETTLED, str(seq), float(seq), {"text": f"text {seq} " * 50})


async def test_restart_of_the_server_loses_nothing(
    running_postgres: PostgresServer, new_database_url: str
) -> None:
    with capture_logs() as logged:
        async with await open_store(new_database_url) as store:
            claim = await store.start(NewTask(question="q", planner="vote"), "me", 60)
            writer = store.writer(claim.task.id, claim.fence)
            for seq in range(10):
                writer.append(event(seq))
            await writer.flush()
            await asyncio.to_thread(running_postgres.crash)
            for seq in range(10, 20):
                writer.append(event(seq))
            flushed = asyncio.create_task(writer.flush())
            read = asyncio.create_task(store.get(claim.task.id))
            await asyncio.sleep(0.5)
            assert not flushed.done()
            await asyncio.to_thread(running_postgres.start)
            await flushed
            assert (await read).status is TaskStatus.RUNNING
            await store.finish(claim, TaskStatus.SUCCEEDED)
            assert [stored async for stored in store.read(claim.task.id)] == [event(seq) for seq in range(20)]
    told = [entry["action"] for entry in logged]
    assert told[0] == "database_unavailable"
    assert told[-1] == "database_available"
    assert len(told) <= 4  # not one for each try of each transaction


@pytest.mark.parametrize("state", [Network.DOWN, Network.SILENT, Network.DEAF])
async def test_cut_loses_nothing_and_stores_nothing_twice(
    proxied: tuple[Proxy, str], state: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, name = proxied
    async with (
        proxy.listening(),
        await open_store(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}") as store,
    ):
        monkeypatch.setattr(postgres, "SILENCE_SECONDS", 1.0)
        claim = await store.start(NewTask(question="q", planner="vote"), "me", 60)
        writer = store.writer(claim.task.id, claim.fence)
        writer.append(event(0))
        await writer.flush()
        for round_ in range(1, 4):
            proxy.set(state)
            writer.append(event(round_))
            flushed = asyncio.create_task(writer.flush())
            await asyncio.sleep(0.3)
            assert not flushed.done()
            if state is Network.DEAF:  # by now the server has committed what we have not heard of
                proxy.set(Network.DOWN)
            proxy.set(Network.UP)
            await flushed
        proxy.set(state)
        finished = asyncio.create_task(store.finish(claim, TaskStatus.SUCCEEDED, solution="s"))
        submitted = asyncio.create_task(store.submit(NewTask(question="r", planner="vote")))
        await asyncio.sleep(0.3)
        proxy.set(Network.DOWN)
        proxy.set(Network.UP)
        await finished
        second = await submitted
        assert [stored async for stored in store.read(claim.task.id)] == [event(seq) for seq in range(4)]
        assert (await store.get(claim.task.id)).solution == "s"
        assert [task.id for task in await store.list()] == [second.id, claim.task.id]


async def test_outage_without_end_is_told(
    proxied: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RECONNECT_SECONDS", 0.5)
    proxy, name = proxied
    async with (
        proxy.listening(),
        await open_store(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}") as store,
    ):
        claim = await store.start(NewTask(question="q", planner="vote"), "me", 60)
        writer = store.writer(claim.task.id, claim.fence)
        proxy.set(Network.DOWN)
        writer.append(event(0))
        with pytest.raises(StorageUnavailable):
            await writer.flush()
        with pytest.raises(StorageUnavailable):
            writer.append(event(1))
        proxy.set(Network.UP)
        await store.get(claim.task.id)


async def test_server_gives_up_a_transaction_whose_process_has_stopped(new_database_url: str) -> None:
    """What it had locked is free again, so that another process can claim its task."""
    opened = await database.open_database(new_database_url)
    asked = "SHOW idle_in_transaction_session_timeout"
    told = await opened.read(lambda connection: connection.exec_driver_sql(asked).scalar_one())
    await opened.close()
    assert told == f"{postgres.SILENCE_SECONDS:.0f}s"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@127.0.0.1:1/none",
        "postgresql:///none?host=/nowhere",
        "postgres://nobody.invalid/none",
    ],
)
async def test_server_that_is_not_there_is_told_at_once(url: str) -> None:
    async with asyncio.timeout(50):
        with pytest.raises(StorageUnavailable):
            await open_store(url)
