"""Clients that follow tasks by server-sent events over bare sockets: most read, some never do."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

TINY_BUFFER = 4096
"""What the kernel keeps for a client that does not read, so that the service meets it soon."""

RESUMES = 5
"""How often a client that was cut off comes back."""

_ID = re.compile(rb"id: (\d+)\r?$")


@dataclass
class Followed:
    """What one listener has seen of a task."""

    task_id: str
    reads: bool
    last: int = -1
    connections: int = 0
    ended: bool = False
    open: bool = False
    error: str = ""
    gaps: list[int] = field(default_factory=list)


class Listeners:
    """All listeners of one service."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = urlsplit(url)
        self._headers = headers
        self._silent: list[asyncio.Transport] = []
        self.all: list[Followed] = []

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return sum(each.open for each in self.all)

    async def follow(self, task_id: str, *, reads: bool) -> Followed:
        """Follow a task to its end, and come back if the stream breaks off; or never read what is sent."""
        seen = Followed(task_id, reads)
        self.all.append(seen)
        while True:
            gone = await self._connect(seen)
            if not reads:
                return seen
            await gone
            if seen.ended or seen.error or seen.connections > RESUMES:
                break
        if not seen.ended and not seen.error:
            seen.error = f"cut off {seen.connections} times"
        return seen

    def close(self) -> None:
        """Close the connections of those who do not read."""
        for transport in self._silent:
            transport.abort()

    async def _connect(self, seen: Followed) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        seen.connections += 1
        with_socket = socket.socket()
        with_socket.setblocking(False)
        if not seen.reads:
            with_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY_BUFFER)
        gone: asyncio.Future[None] = loop.create_future()
        try:
            await loop.sock_connect(with_socket, (self._url.hostname, self._url.port))
        except OSError as error:
            with_socket.close()
            seen.error = f"no connection: {error}"
            gone.set_result(None)
            return gone
        protocol = _Stream(seen, gone, self._request(seen))
        transport, _ = await loop.create_connection(lambda: protocol, sock=with_socket)
        if not seen.reads:
            self._silent.append(transport)
        return gone

    def _request(self, seen: Followed) -> bytes:
        headers = {"Host": self._url.netloc, "Connection": "close", **self._headers}
        if seen.last >= 0:
            headers["Last-Event-ID"] = str(seen.last)
        lines = [f"GET /v1/tasks/{seen.task_id}/events HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Stream(asyncio.Protocol):
    """One connection. What frames a chunk looks like no line of an event, so it needs no decoding."""

    def __init__(self, seen: Followed, gone: asyncio.Future[None], request: bytes) -> None:
        self._seen = seen
        self._gone = gone
        self._request = request
        self._rest = b""
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the events."""
        self._transport = cast(asyncio.Transport, transport)
        self._seen.open = True
        if not self._seen.reads:
            self._transport.pause_reading()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take note of each line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._begun:
                self._begun = True
                if b" 200 " not in line:
                    self._seen.error = line.decode(errors="replace").strip()
                    self._transport.abort()
            elif line.startswith(b"id: ") and (found := _ID.match(line)):
                number = int(found[1])
                if number != self._seen.last + 1:
                    self._seen.gaps.append(number)
                self._seen.last = number
            elif line.startswith(b"event: task_ended"):
                self._seen.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream has ended, or broken off."""
        self._seen.open = False
        if not self._gone.done():
            self._gone.set_result(None)
