"""PostgreSQL: transactions on the event loop through asyncpg, tried again while the server is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import URL, Connection, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from typing_extensions import override

from storage.errors import StorageClosed, StorageError, StorageUnavailable
from storage.sql.changing import Look
from storage.sql.failures import of_postgres, shown
from storage.sql.listening import POLL_SECONDS, Listener
from storage.sql.migrations import migrate
from storage.sql.transactions import Body, Database, T

_log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 60.0
"""How long a transaction is retried while the server cannot be reached."""

CONNECT_SECONDS = 10.0
"""How long a server may take to accept a connection."""

SILENCE_SECONDS = 30.0
"""How long a silent connection is waited for: a broken network does not always say so."""

TOLD_SECONDS = 10.0
"""How often it is logged that a process waits for its server."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_USED = "text_uses_hash_fkey"
"""What fails where a text is pruned in the moment in which it is used again: trying again helps."""

_MIGRATION_LOCK = 0x616E6162  # any number that all our processes agree on


class PostgresDatabase(Database):
    """A PostgreSQL server. While it cannot be reached, transactions wait and are retried."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._lost_at: float | None = None
        self._closed = False
        try:
            self._engine = self._new_engine()
            self._listener = Listener(self._new_engine(poolclass=NullPool))
        except ModuleNotFoundError as error:
            raise StorageError(
                "PostgreSQL needs the package asyncpg: pip install 'anabranch[postgres]'"
            ) from error

    def _new_engine(self, **given: Any) -> AsyncEngine:
        # A host that vanishes within a transaction must not keep its tasks locked.
        settings = {"idle_in_transaction_session_timeout": f"{SILENCE_SECONDS * 1000:.0f}"}
        return create_async_engine(
            self._url.set(drivername="postgresql+asyncpg"),
            connect_args={"timeout": CONNECT_SECONDS, "server_settings": settings},
            **given,
        )

    @classmethod
    async def open(cls, url: URL, *, patience: float) -> PostgresDatabase:
        """Connect once, to check that it works; a server that is away is waited for, ``patience`` seconds."""
        database = await asyncio.to_thread(cls, url)  # imports the driver
        try:
            await database._prepare(patience)
        except BaseException:
            await database.close()
            raise
        return database

    async def _prepare(self, patience: float) -> None:
        def prepare(connection: Connection) -> None:
            connection.execute(func.pg_advisory_xact_lock(_MIGRATION_LOCK).select())
            migrate(connection)

        began = time.monotonic()
        tell_at = began
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._once(prepare, seconds=None)  # rebuilding a large table takes time
            except StorageUnavailable as error:
                now = time.monotonic()
                if not error.retryable or now + pause > began + patience:
                    raise
                if now >= tell_at:
                    tell_at = now + TOLD_SECONDS
                    _log.warning(
                        "waiting for the database",
                        action="database_awaited",
                        error=str(error),
                        seconds=round(now - began, 1),
                        at_most=patience,
                    )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @override
    async def write(self, body: Body[T]) -> T:
        deadline = time.monotonic() + RECONNECT_SECONDS
        pause = _FIRST_PAUSE
        while True:
            try:
                done = await self._once(body, seconds=SILENCE_SECONDS)
            except StorageUnavailable as error:
                self._lost(error)
                if not error.retryable or time.monotonic() + pause > deadline:
                    raise
            except IntegrityError as error:
                if _USED not in str(error.orig) or pause == _LONGEST_PAUSE:
                    raise
            else:
                self._found()
                return done
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @override
    async def read(self, body: Body[T]) -> T:
        return await self.write(body)

    @override
    async def probe(self) -> None:
        """Gives out a transaction's number, which a server that cannot write refuses."""
        await self._once(
            lambda connection: connection.execute(select(func.txid_current())).scalar_one(),
            seconds=CONNECT_SECONDS,
        )

    @override
    async def news(self) -> None:
        await self._listener.wait()

    @override
    async def changes(self) -> AsyncIterator[Collection[str] | None]:
        self._listener.start()
        look = Look()  # behind a pooler such as PgBouncer, no notification comes
        with self._listener.changes.watched() as watch:
            yield None
            while True:
                found: Collection[str] | None = await watch.next(POLL_SECONDS)
                if found == ():
                    with suppress(StorageError):
                        found = look.changed(await self.read(look.standing))
                if found is None or found:
                    yield found

    def _lost(self, error: StorageUnavailable) -> None:
        """Log an outage once, however many transactions meet it."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            _log.warning("database unavailable", action="database_unavailable", error=str(error))

    def _found(self) -> None:
        if self._lost_at is not None:
            seconds = round(time.monotonic() - self._lost_at, 3)
            self._lost_at = None
            _log.warning("database available again", action="database_available", seconds=seconds)

    async def _once(self, body: Body[T], *, seconds: float | None) -> T:
        if self._closed:
            raise StorageClosed("the store is closed")
        try:
            # A connection whose statement is cancelled by the timeout is closed, not reused.
            async with asyncio.timeout(seconds), self._engine.begin() as connection:
                return await connection.run_sync(body)
        except TypeError as error:
            if "unexpected keyword argument" not in str(error):
                raise
            raise StorageError(
                f"{shown(self._url)}: the driver does not know a parameter of the URL ({error}); "
                "encryption is asked for with ssl=require"
            ) from error
        except Exception as error:
            failure = of_postgres(error, self._url)
            if failure is None or failure is error:
                raise
            raise failure from error

    @override
    async def close(self) -> None:
        self._closed = True
        await self._listener.close()
        await self._engine.dispose()
