"""The sockets at which a service listens: of the network, or a file that only its user can use."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.api.hosts import is_loopback, parse_address

BACKLOG = 4096
"""Connections that the kernel keeps until they are taken."""

Found = tuple[socket.AddressFamily, tuple[Any, ...]]
"""An address with its family, as sockets take it."""


async def addresses_of(host: str, port: int) -> Sequence[Found]:
    """The addresses of a host of this machine; an empty name is every address.

    Raises:
        socket.gaierror: there is no such host.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [(family, address) for family, _, _, _, address in dict.fromkeys(found)]


async def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens at a host. Raises socket.gaierror."""
    found = [parse_address(str(address[0])) for _, address in await addresses_of(host, 0)]
    return all(each is not None and is_loopback(each) for each in found)


@asynccontextmanager
async def internet_sockets(host: str, port: int) -> AsyncIterator[list[socket.socket]]:
    """Sockets that listen at all addresses of the host during the block. Raises OSError."""
    with ExitStack() as closing:
        listeners = []
        for family, address in await addresses_of(host, port):
            listener = closing.enter_context(socket.create_server(address, family=family, backlog=BACKLOG))
            listener.setblocking(False)
            listeners.append(listener)
        yield listeners


@asynccontextmanager
async def unix_socket(path: Path) -> AsyncIterator[list[socket.socket]]:
    """A Unix socket at that path during the block, with mode 0600.

    A socket that a process left there which is gone is replaced, and nothing else is.

    Raises:
        OSError: the path is taken, or cannot be bound.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        own = await asyncio.to_thread(_listen, listener, path)
        try:
            listener.setblocking(False)
            yield [listener]
        finally:
            await asyncio.to_thread(_remove, path, own)


def _listen(listener: socket.socket, path: Path) -> os.stat_result:
    """Listen at the path; returns what is there then."""
    _make_way(path)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise _named(error, path) from None
    path.chmod(0o600)  # nobody can connect before it listens
    listener.listen(BACKLOG)
    return path.lstat()


def _remove(path: Path, own: os.stat_result) -> None:
    """Remove the socket, unless somebody has put another one there."""
    with suppress(OSError):
        if os.path.samestat(own, path.lstat()):
            path.unlink()


def _make_way(path: Path) -> None:
    """Remove a socket at which nobody listens. Raises OSError if the path is taken."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "it exists, and is no socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise _named(error, path) from None
    raise OSError(errno.EADDRINUSE, "another process listens there", str(path))


def _named(error: OSError, path: Path) -> OSError:
    """The error with the path that it is about."""
    return OSError(error.errno or errno.EINVAL, error.strerror or str(error), str(path))
