"""Looks up the names of hosts in threads of their own, so that slow name servers hold up nothing else."""

from __future__ import annotations

import socket
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from workers.contained import Escaped, Overdue
from workers.tools.threads import in_thread


class Names(AbstractResolver):
    """Asks the system. What it says is not checked here but where it is connected to."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        try:
            found = await in_thread(look_up, f"webhook {host}")
        except (Overdue, Escaped, UnicodeError) as error:
            raise OSError(f"the name {host} cannot be looked up: {error}") from error
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, proto, _, address in found
        ]

    @override
    async def close(self) -> None:
        """Nothing to do."""
