"""PostgreSQL crashes, is cut off, and loses answers; the journal waits and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path

import pytest

from storage import database
from storage.errors import StorageUnavailable
from storage.events import Event, EventType
from storage.store import Store
from storage.tasks import NewTask, TaskStatus
from tests.storage.conftest import PostgresServer

pytestmark = pytest.mark.postgres


class Network(Enum):
    """What the proxy does."""

    UP = "passes everything"
    DOWN = "refuses connections, and resets those that there were"
    SILENT = "takes everything and passes nothing, on the connections that there are"
    DEAF = "passes everything up to a COMMIT, but not the answer to that"


class Proxy:
    """A TCP port in front of the server's socket."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._state = Network.UP
        self._deaf = False
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._reset()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    def set(self, state: Network) -> None:
        self._state = state
        self._deaf = False
        if state is Network.DOWN:
            self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is Network.DOWN:
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, up_writer}
        for source, sink, answers in ((reader, up_writer, False), (up_reader, writer, True)):
            pipe = asyncio.create_task(self._pipe(source, sink, answers=answers))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        silenced = False
        with suppress(OSError):
            while data := await source.read(65536):
                # What was silent once stays so: its state is lost, as in a router that was restarted.
                silenced = silenced or self._state is Network.SILENT
                self._deaf = self._deaf or (self._state is Network.DEAF and b"COMMIT" in data)
                if not silenced and not (answers and self._deaf):
                    sink.write(data)
                    await sink.drain()
        sink.close()


@pytest.fixture
def proxied(running_postgres: PostgresServer, new_database_url: str) -> tuple[Proxy, str]:
    name = new_database_url.split("?", maxsplit=1)[0].rpartition("/")[2]
    return Proxy(running_postgres.socket), name


def event(seq: int) -> Event:
    return Event(seq, EventType.NODE_SETTLED, str(seq), float(seq), {"text": f"text {seq} " * 50})


async def test_restart_of_the_server_loses_nothing(
    running_postgres: PostgresServer, new_database_url: str
) -> None:
    async with await Store.open(new_database_url) as store:
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


@pytest.mark.parametrize("state", [Network.DOWN, Network.SILENT, Network.DEAF])
async def test_cut_loses_nothing_and_stores_nothing_twice(
    proxied: tuple[Proxy, str], state: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SILENCE_SECONDS", 1.0)
    proxy, name = proxied
    async with (
        proxy.listening(),
        await Store.open(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}") as store,
    ):
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
    monkeypatch.setattr(database, "RECONNECT_SECONDS", 0.5)
    proxy, name = proxied
    async with (
        proxy.listening(),
        await Store.open(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}") as store,
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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@127.0.0.1:1/none",
        "postgresql:///none?host=/nowhere",
        "postgres://nobody.invalid/none",
    ],
)
async def test_server_that_is_not_there_is_told_at_once(url: str) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(StorageUnavailable):
            await Store.open(url)
