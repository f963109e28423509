"""Keys, accounts and reservations on a database."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Collection, Mapping, Sequence

import structlog
from sqlalchemy import select, true
from typing_extensions import override

from storage.access import AccessStore, Reservation
from storage.accounts import Account, Amount, Limits, Rate, Shortage
from storage.keys import Key, Secret
from storage.sql import accounts, keys, tables
from storage.sql.transactions import Database

log = structlog.get_logger()

NOTING_SECONDS = 1.0
"""How long it is waited until the use of a key is noted; it goes on without that."""


class SqlAccess(AccessStore):
    """Keys, accounts and reservations in SQLite or PostgreSQL.

    ``clock`` gives nanoseconds since the epoch for limits; None: the clock that all processes share.
    """

    def __init__(self, database: Database, *, clock: accounts.Clock | None = None) -> None:
        self._database = database
        self._clock = clock
        self._noting: dict[str, asyncio.Task[None]] = {}

    @override
    async def add_key(self, key: Key) -> None:
        await self._database.write(lambda connection: keys.add(connection, key))

    @override
    async def find_key(self, hashed: str) -> Key | None:
        found = await self._database.read(lambda connection: keys.found(connection, keys.with_hash(hashed)))
        if not found:
            return None
        [key] = found
        if key.unused(hashed, time.time()):
            await self._note_use(key.id)
        return key

    async def _note_use(self, key_id: str) -> None:
        """Note that a key is used; nobody is kept out, or waits long, because nothing can be written now."""
        if key_id in self._noting:
            return
        noting = self._noting[key_id] = asyncio.get_running_loop().create_task(
            self._database.write(lambda connection: keys.note_use(connection, key_id)),
            name="use of a key",
            context=contextvars.Context(),
        )
        noting.add_done_callback(lambda done: self._noted(key_id, done))
        await asyncio.wait([noting], timeout=NOTING_SECONDS)

    def _noted(self, key_id: str, done: asyncio.Task[None]) -> None:
        del self._noting[key_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.warning("the use of a key cannot be noted", caller=key_id, error=str(error))

    @override
    async def key(self, key_id: str) -> Key | None:
        found = await self._database.read(
            lambda connection: keys.found(connection, tables.keys.c.id == key_id)
        )
        return next(iter(found), None)

    @override
    async def keys(self, *, tenant: str | None = None) -> Sequence[Key]:
        where = true() if tenant is None else tables.keys.c.tenant == tenant
        return await self._database.read(lambda connection: keys.found(connection, where))

    @override
    async def any_key(self) -> bool:
        return await self._database.read(
            lambda connection: connection.execute(select(tables.keys.c.id).limit(1)).first() is not None
        )

    @override
    async def rotate_key(self, key_id: str, secret: Secret, *, grace: float) -> Key | None:
        return await self._database.write(lambda connection: keys.rotate(connection, key_id, secret, grace))

    @override
    async def revoke_key(self, key_id: str) -> Key | None:
        return await self._database.write(lambda connection: keys.revoke(connection, key_id))

    @override
    async def set_limits(self, name: str, limits: Limits) -> None:
        await self._database.write(
            lambda connection: accounts.set_limits(connection, name, limits, self._clock)
        )

    @override
    async def accounts(self, names: Collection[str]) -> Mapping[str, Account]:
        return await self._database.read(lambda connection: accounts.stored(connection, names))

    @override
    async def tenant_accounts(self) -> Sequence[Account]:
        return await self._database.read(accounts.of_tenants)

    @override
    async def draw(self, requests: Sequence[tuple[str, ...]]) -> Sequence[Rate | Shortage | None]:
        return await self._database.write(lambda connection: accounts.draw(connection, requests, self._clock))

    @override
    async def reserve(
        self, wanted: Reservation, lease_seconds: float, *, again: bool = False
    ) -> Shortage | None:
        return await self._database.write(
            lambda connection: accounts.reserve(connection, wanted, lease_seconds, self._clock, again=again)
        )

    @override
    async def reserved(self, task_id: str) -> Reservation | None:
        return await self._database.read(lambda connection: accounts.reserved(connection, task_id))

    @override
    async def forget(self, task_id: str) -> None:
        await self._database.write(lambda connection: accounts.forget(connection, task_id))

    @override
    async def is_submitted(self, tenant: str, idempotency_key: str) -> bool:
        return await self._database.read(
            lambda connection: accounts.is_submitted(connection, tenant, idempotency_key)
        )

    @override
    async def settle(self, task_id: str, spent: Amount, *, first: bool = False) -> bool:
        return await self._database.write(
            lambda connection: accounts.settle(connection, task_id, spent, self._clock, first=first)
        )

    @override
    async def lapsed(self, *, limit: int = 100) -> Sequence[Reservation]:
        return await self._database.write(lambda connection: accounts.lapsed(connection, limit, self._clock))
