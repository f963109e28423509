"""A database as something that runs transactions, whichever server or file is behind it.

A transaction is a synchronous function of an open connection, so that every statement is written once. On
SQLite it runs in a thread of its own (one hop per transaction, not per statement); on PostgreSQL it runs on
the event loop through SQLAlchemy's bridge to asyncpg.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import structlog
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override

from storage.errors import NotStorable, StorageError, StorageUnavailable
from storage.sql.migrations import migrate

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Body = Callable[[Connection], T]

BUSY_SECONDS = 30.0
"""How long a SQLite transaction waits for another process's."""

RECONNECT_SECONDS = 60.0
"""How long a PostgreSQL transaction is retried while the server cannot be reached."""

CONNECT_SECONDS = 10.0
"""How long a PostgreSQL server may take to accept a connection."""

SILENCE_SECONDS = 30.0
"""How long a silent PostgreSQL connection is waited for: a broken network does not always say so."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_MIGRATION_LOCK = 0x616E6162  # any number that all our processes agree on


class Database(ABC):
    """Runs transactions. Safe for concurrent use from one event loop."""

    @abstractmethod
    async def write(self, body: Body[T]) -> T:
        """Run ``body`` in a transaction and commit it.

        If a connection can break, ``body`` may run again after a commit whose outcome is unknown, so running
        it twice must have the same effect as once.

        Raises:
            StorageUnavailable: the database cannot be reached or written to.
            NotStorable: it cannot keep a value, such as a text with a NUL on PostgreSQL.
            sqlalchemy.exc.IntegrityError: a constraint forbids it.
        """

    @abstractmethod
    async def read(self, body: Body[T]) -> T:
        """Run ``body`` in a transaction that writes nothing. Raises like :meth:`write`."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""


async def open_database(url: str | None) -> Database:
    """Connect to ``url`` and bring its schema up to date. None: a file in the user's data directory.

    Raises:
        StorageError: the URL is not one of a supported database.
        StorageUnavailable: the database cannot be opened or reached.
        SchemaMismatch: a newer version of the code has written it.
    """
    if url is None:
        url = f"sqlite:///{Path(platformdirs.user_data_dir('anabranch'), 'anabranch.db')}"
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise StorageError(
            f"{url!r} is not a database URL; it should look like sqlite:///path or postgresql://user@host/name"
        ) from error
    if backend == "sqlite":
        return await SqliteDatabase.open(parsed)
    if backend in ("postgresql", "postgres"):
        return await PostgresDatabase.open(parsed)
    raise StorageError(f"databases of kind {backend!r} are not supported; use sqlite or postgresql")


class SqliteDatabase(Database):
    """A SQLite file in WAL mode: one thread and connection that writes, a few that read beside it.

    What is committed survives the process however it ends. With ``?synchronous=full`` in the URL it survives
    a power cut too, at the cost of a disk sync per transaction, several milliseconds on many disks; without
    it, a power cut may lose the last transactions, but leaves the file intact.
    """

    READERS = 2

    def __init__(self, url: URL, synchronous: str) -> None:
        self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE", size=1, synchronous=synchronous)
        self._reader = _sqlite_engine(url, begin="BEGIN", size=self.READERS)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="anabranch-sqlite-write")
        self._read_threads = ThreadPoolExecutor(self.READERS, thread_name_prefix="anabranch-sqlite-read")

    @classmethod
    async def open(cls, url: URL) -> SqliteDatabase:
        """Open the file, or create it with its directory."""
        if not url.database or url.database == ":memory:":
            raise StorageError(
                "a SQLite URL must name a file (sqlite:///path); the URL 'memory' keeps nothing"
            )
        path = await asyncio.to_thread(lambda name: Path(name).expanduser().absolute(), url.database)
        synchronous = url.query.get("synchronous", "normal")
        if synchronous not in ("normal", "full"):
            raise StorageError(f"synchronous={synchronous} in a SQLite URL should be normal or full")
        plain = url.difference_update_query(["synchronous"])
        database = cls(URL.create("sqlite", database=str(path), query=plain.query), synchronous)
        try:
            await database._in_thread(database._write_thread, lambda: database._prepare(path))
        except BaseException:
            await database.close()
            raise
        return database

    def _prepare(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"the directory of {path} cannot be created: {error}") from error
        # Rebuilding a table drops it, which would delete what points to it if foreign keys were on.
        engine = _sqlite_engine(self._writer.url, begin="BEGIN IMMEDIATE", size=1, foreign_keys=False)
        try:
            with engine.begin() as connection:
                migrate(connection)
        finally:
            engine.dispose()

    @override
    async def write(self, body: Body[T]) -> T:
        return await self._in_thread(self._write_thread, lambda: _transaction(self._writer, body))

    @override
    async def read(self, body: Body[T]) -> T:
        return await self._in_thread(self._read_threads, lambda: _transaction(self._reader, body))

    async def _in_thread(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except DBAPIError as error:
            raise _translated(error, str(self._writer.url.database)) from error
        except (OverflowError, UnicodeEncodeError) as error:  # sqlite3 does not wrap them
            raise NotStorable(f"the database cannot take a value: {error}") from error

    @override
    async def close(self) -> None:
        for engine, threads in ((self._reader, self._read_threads), (self._writer, self._write_thread)):
            await asyncio.to_thread(threads.shutdown)  # a connection that is in use would stay open
            await asyncio.to_thread(engine.dispose)


def _transaction(engine: Engine, body: Body[T]) -> T:
    with engine.begin() as connection:
        return body(connection)


def _sqlite_engine(
    url: URL, *, begin: str, size: int, synchronous: str = "full", foreign_keys: bool = True
) -> Engine:
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # takes effect when the file is created
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        ):
            _patiently(connection, f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _patiently(connection: Any, statement: str) -> None:
    """Retry a statement that SQLite refuses without waiting while other processes create the same file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement).close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


class PostgresDatabase(Database):
    """A PostgreSQL server. While it cannot be reached, transactions wait and are retried."""

    def __init__(self, url: URL) -> None:
        self._lost_at: float | None = None
        try:
            self._engine: AsyncEngine = create_async_engine(
                url.set(drivername="postgresql+asyncpg"),
                connect_args={
                    "timeout": CONNECT_SECONDS,
                    # A host that vanishes within a transaction must not keep its tasks locked.
                    "server_settings": {
                        "idle_in_transaction_session_timeout": f"{SILENCE_SECONDS * 1000:.0f}"
                    },
                },
            )
        except ModuleNotFoundError as error:
            raise StorageUnavailable(
                "PostgreSQL needs the package asyncpg: pip install 'anabranch[postgres]'"
            ) from error

    @classmethod
    async def open(cls, url: URL) -> PostgresDatabase:
        """Connect once, to check that it works."""
        database = await asyncio.to_thread(cls, url)  # imports the driver

        def prepare(connection: Connection) -> None:
            connection.execute(func.pg_advisory_xact_lock(_MIGRATION_LOCK).select())
            migrate(connection)

        try:
            await database._once(prepare, seconds=None)  # rebuilding a large table takes time
        except BaseException:
            await database.close()
            raise
        return database

    @override
    async def write(self, body: Body[T]) -> T:
        deadline = time.monotonic() + RECONNECT_SECONDS
        pause = _FIRST_PAUSE
        while True:
            try:
                done = await self._once(body, seconds=SILENCE_SECONDS)
            except StorageUnavailable as error:
                self._lost(error)
                if time.monotonic() + pause > deadline:
                    raise
            else:
                self._found()
                return done
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @override
    async def read(self, body: Body[T]) -> T:
        return await self.write(body)

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
        try:
            # A connection whose statement is cancelled by the timeout is closed, not reused.
            async with asyncio.timeout(seconds), self._engine.begin() as connection:
                return await connection.run_sync(body)
        except DBAPIError as error:
            raise _translated(error, self._engine.url.render_as_string()) from error
        except OSError as error:  # a timeout too; asyncpg wraps nothing that happens before it is connected
            what = str(error) or "no answer"
            raise StorageUnavailable(f"{self._engine.url.render_as_string()}: {what}") from error

    @override
    async def close(self) -> None:
        await self._engine.dispose()


_PASSING_SQLSTATES = (
    "08",  # connection exceptions
    "40",  # deadlock, serialization failure
    "53",  # out of connections, memory or disk
    "57P",  # the server shuts down or starts up
)
_DATA_SQLSTATES = "22"  # data exceptions: a text with a NUL, a number out of range


def _translated(error: DBAPIError, where: str) -> SQLAlchemyError | StorageError:
    """What the caller should see: constraint violations as they are, the rest by what can be done."""
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    passing = error.connection_invalidated or sqlstate.startswith(_PASSING_SQLSTATES)
    if passing or type(error).__name__ in ("OperationalError", "InterfaceError"):
        return StorageUnavailable(f"{where}: {error.orig}")
    if type(error).__name__ == "IntegrityError":
        return error
    if type(error).__name__ == "DataError" or sqlstate.startswith(_DATA_SQLSTATES):
        return NotStorable(f"the database cannot take a value: {error.orig}")
    return StorageError(f"{where}: {error.orig}")
