"""A database as something that runs transactions, whichever server or file is behind it.

A transaction is a synchronous function of an open connection, so that every statement is written once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection

from storage.errors import StorageError
from storage.sql.changing import Look
from storage.store import CANCEL_POLL_SECONDS

SHARE = 0.05
"""The share of time that looking for what has changed may take, if there is much to look at."""

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 2.0
"""Between two looks for what has changed: right after a change, and after a long time without one."""

T = TypeVar("T")
Body = Callable[[Connection], T]


class Database(ABC):
    """Runs transactions. Safe for concurrent use from one event loop."""

    @abstractmethod
    async def write(self, body: Body[T]) -> T:
        """Run ``body`` in a transaction and commit it.

        If a connection can break, ``body`` may run again after a commit whose outcome is unknown, so running
        it twice must have the same effect as once.

        Raises:
            StorageUnavailable: the database cannot be reached or written to.
            StorageDamaged: what it needs of the database cannot be read.
            NotStorable: the database cannot keep a value, such as a text with a NUL on PostgreSQL.
            sqlalchemy.exc.IntegrityError: a constraint forbids it.
        """

    @abstractmethod
    async def read(self, body: Body[T]) -> T:
        """Run ``body`` in a transaction that writes nothing. Raises like :meth:`write`."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""

    async def probe(self) -> None:
        """See :meth:`storage.store.Store.probe`."""
        await self.write(lambda connection: None)

    def failed(self) -> str | None:
        """Why nothing more is written until the database is opened again; None if all is well."""
        return None

    def free_bytes(self) -> int | None:
        """See :meth:`storage.store.Store.free_bytes`."""
        return None

    async def news(self) -> None:
        """Wait until somebody may have asked to cancel a task; that may be sooner, and not much later."""
        await asyncio.sleep(CANCEL_POLL_SECONDS)

    async def changes(self) -> AsyncIterator[Collection[str] | None]:
        """See :meth:`storage.store.Store.changes`. Looks, and less often while nothing happens."""
        look, pause, took = Look(), FIRST_LOOK_SECONDS, 0.0
        while True:
            began = monotonic()
            with suppress(StorageError):
                found = look.changed(await self.read(look.standing))
                pause = min(2 * pause, LONGEST_LOOK_SECONDS) if found == frozenset() else FIRST_LOOK_SECONDS
                took = monotonic() - began
                if found != frozenset():
                    yield found
            await asyncio.sleep(max(pause, took / SHARE))
