"""A small TCP proxy between a client and a service, that cuts connections, or lets nothing more through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Forwards bytes to ``target``; if ``silent``, none come back. ``heard`` is what clients have sent."""

    target: int
    port: int = 0
    connections: int = 0
    silent: bool = False
    heard: bytearray = field(default_factory=bytearray)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections, in the middle of whatever is on them."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back, heard=True))
                group.create_task(self._pass(there, writer, heard=False))
        finally:
            self._open -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, heard: bool) -> None:
        swallowing = False  # a connection that has lost something is of no use any more
        with suppress(ConnectionError):
            while piece := await reader.read(2**16):
                if heard:
                    self.heard += piece
                swallowing = swallowing or (self.silent and not heard)
                if not swallowing:
                    writer.write(piece)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy_to(target: int, port: int = 0) -> AsyncIterator[Proxy]:
    """A proxy to a port of this machine; at any free port, or at this one."""
    proxy = Proxy(target)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await proxy.serve(reader, writer)
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
