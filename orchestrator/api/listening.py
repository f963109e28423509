"""Takes connections, never so many that the database and the engines could get no file descriptor.

asyncio's own way of accepting connections meets a lack of descriptors with more and more attempts (a hundred
times as many each second, with a line of the log for each). Here there is one attempt a second.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import resource
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog
from aiohttp import web

from orchestrator.api.connection import Connection
from orchestrator.api.limits import LIMITS, Limits
from orchestrator.api.quiet import quiet_logs
from orchestrator.api.sockets import internet_sockets, unix_socket
from orchestrator.structured import task_group

log = structlog.get_logger()

CLOSING_SECONDS = 2.0
"""How long requests may go on after the drain."""

MOST_CONNECTIONS = 8192
"""The most connections, where the limit of file descriptors allows twice as many."""

MOST_DESCRIPTORS = 65_536
"""How far the process raises its own limit of file descriptors, if it may."""

RETRY_SECONDS = 1.0
"""How long to wait for a file descriptor."""

SPARE_SECONDS = 5.0
"""A connection that has had no request for so long makes room for another, if there is none."""

LOOK_SECONDS = 0.1
"""How often to look for such a connection."""

AT_A_TIME = 128
"""Connections taken before those that are there have their turn."""


class Door:
    """Takes connections while there is room, and knows why not when there is none."""

    def __init__(self, most: int, limits: Limits) -> None:
        self.hosts: Collection[str] = ()
        """The names and addresses at which it listens."""
        self._most = most
        self._reserve = max(4, most // 8)
        self._limits = limits
        self._connections: set[Connection] = set()
        self._entering: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self._none_spare_at = -math.inf
        self._refusal = ""

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections) + len(self._entering)

    @property
    def trouble(self) -> str:
        """Why no further client can be served now, for people; empty if it can."""
        full = f"all {self._most} connections are in use" if self.open >= self._most else ""
        return self._refusal or full

    async def accept(self, listener: socket.socket, server: web.Server) -> None:
        """Take the connections of a socket, for ever."""
        loop = asyncio.get_running_loop()
        for taken in itertools.count(1):
            await self._room()
            try:
                connection, _ = await loop.sock_accept(listener)
            except ConnectionError:  # the client has already gone
                continue
            except OSError as error:
                self._refusal = f"no connection can be accepted: {error.strerror}"
                log.error(self._refusal, action="accept_failed", open=self.open)  # noqa: TRY400
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._refusal = ""
            entering = loop.create_task(self._enter(connection, server), name="connection")
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)
            if taken % AT_A_TIME == 0:
                await asyncio.sleep(0)

    async def _room(self) -> None:
        """Wait while even the connections that are only told to come back later are too many."""
        while self.open >= self._most + self._reserve and not self._spare():
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._left.wait()

    async def _enter(self, connection: socket.socket, server: web.Server) -> None:
        extra = len(self._connections) >= self._most and not self._spare()
        made = Connection(server, limits=self._limits, extra=extra, on_lost=self._leave)
        self._connections.add(made)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: made, connection)
        except OSError as error:
            log.info("a connection broke at once", error=str(error))
            self._leave(made)

    def _leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._left.set()

    def _spare(self) -> bool:
        """Close the connection that has had no request for longest, if that was long; else return False."""
        now = asyncio.get_running_loop().time()
        if now < self._none_spare_at + LOOK_SECONDS:
            return False
        longest = max(self._connections, key=lambda each: each.idle_seconds, default=None)
        if longest is None or longest.idle_seconds < SPARE_SECONDS:
            self._none_spare_at = now
            return False
        longest.force_close()
        return True


DOOR: web.AppKey[Door] = web.AppKey("door", Door)
"""Where an application that is being served keeps its door."""


def trouble(request: web.Request) -> str:
    """Why this process can serve no further client now, for people; empty if it can."""
    door = request.app.get(DOOR)
    return "" if door is None else door.trouble


def bound_hosts(request: web.Request) -> Collection[str]:
    """The names and addresses at which the application listens that a request has come to."""
    door = request.app.get(DOOR)
    return () if door is None else door.hosts


def connections(request: web.Request) -> int:
    """How many connections the server of a request has."""
    door = request.app.get(DOOR)
    return 0 if door is None else door.open


@asynccontextmanager
async def listening(
    application: web.Application,
    host: str,
    port: int,
    *,
    uds: Path | None = None,
    patience: float | None = None,
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL. Port 0 means any free port.

    ``uds`` is the path of a Unix socket to listen at instead, which only this user can use. ``patience`` is
    how many seconds a client may take to send a request, or leave unread what it is sent; by default, that
    and all other limits are those of the application.

    Raises:
        OSError: the address cannot be bound.
    """
    limits = application.get(LIMITS) or Limits()
    if patience is not None:
        limits = replace(limits, patience=patience)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=CLOSING_SECONDS)
    door = application[DOOR] = Door(min(MOST_CONNECTIONS, _descriptors() // 2), limits)
    await runner.setup()
    try:
        async with _sockets(host, port, uds) as listeners, task_group() as group:
            assert runner.server is not None
            if uds is None:
                door.hosts = {host, *(listener.getsockname()[0] for listener in listeners)}
            taking = [
                group.create_task(door.accept(listener, runner.server), name="accept")
                for listener in listeners
            ]
            with quiet_logs():
                yield f"unix:{uds}" if uds is not None else _url(host, listeners[0])
            for task in taking:
                task.cancel()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _sockets(host: str, port: int, uds: Path | None) -> AsyncIterator[list[socket.socket]]:
    async with internet_sockets(host, port) if uds is None else unix_socket(uds) as listeners:
        yield listeners


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _descriptors() -> int:
    """How many file descriptors this process may have; raises its own limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
