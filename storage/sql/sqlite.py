"""SQLite: one thread and connection that writes to a file, a few that read beside it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from typing_extensions import override

from storage.errors import (
    DatabaseMissing,
    NotStorable,
    NotWritable,
    StorageClosed,
    StorageDamaged,
    StorageError,
    StorageUnavailable,
)
from storage.private import make_directory, make_file
from storage.sql.copying import companions, connected, problems, rescue, rescued_of
from storage.sql.failures import of_sqlite, recovery
from storage.sql.migrations import migrate
from storage.sql.transactions import Body, Database, T
from storage.sql.watching import LOOK_SECONDS, FileChanged, WatchedFile

_log = structlog.get_logger(__name__)

BUSY_SECONDS = 30.0
"""How long a transaction waits for another process's."""

CHECK_SECONDS = 5.0
"""How long a file may be searched for damage while it is opened."""

_lenient = partial(str, encoding="utf-8", errors="surrogateescape")


class SqliteDatabase(Database):
    """A SQLite file in WAL mode.

    What is committed survives the process however it ends. With ``?synchronous=full`` in the URL it survives
    a power cut too, at the cost of a disk sync per transaction, several milliseconds on many disks; without
    it, a power cut may lose the last transactions, but leaves the file intact.

    If the file is deleted, moved, replaced or cut, what the open connection holds is saved beside its path,
    and nothing more is written.
    """

    READERS = 2

    def __init__(self, path: Path, url: URL, synchronous: str) -> None:
        self._path = path
        self._file = WatchedFile(path)
        self._failure: str | None = None
        self._closed = False
        self._free: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._writer = _engine(url, begin="BEGIN IMMEDIATE", size=1, synchronous=synchronous)
        self._reader = _engine(url, begin="BEGIN", size=self.READERS)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="anabranch-sqlite-write")
        self._read_threads = ThreadPoolExecutor(self.READERS, thread_name_prefix="anabranch-sqlite-read")

    @classmethod
    async def open(cls, url: URL, *, check: bool) -> SqliteDatabase:
        """Open the file, or create it with its directory; with ``check``, look for damage first."""
        path = await asyncio.to_thread(file_of, url)
        synchronous = url.query.get("synchronous", "normal")
        if synchronous not in ("normal", "full"):
            raise StorageError(f"synchronous={synchronous} in a SQLite URL should be normal or full")
        plain = url.difference_update_query(["synchronous"])
        database = cls(path, URL.create("sqlite", database=str(path), query=plain.query), str(synchronous))
        try:
            await database._in_thread(database._write_thread, lambda: database._prepare(check))
        except BaseException:
            await database.close()
            raise
        database._watch = asyncio.create_task(database._look_again(), name="database file")
        return database

    def _prepare(self, check: bool) -> None:
        try:
            make_directory(self._path.parent)
        except OSError as error:
            raise NotWritable(f"the directory of {self._path} cannot be created: {error}") from error
        if not self._path.exists() and (rescued := rescued_of(self._path)):
            raise DatabaseMissing(
                f"there is no file {self._path}, but {', '.join(map(str, rescued))}, saved when it was lost: "
                f"put the right one at {self._path}, or move it elsewhere to begin with an empty database"
            )
        if not self._path.exists():
            # Only a new file: opening and closing one that is in use would end this process's locks on it.
            with suppress(OSError):  # why it cannot be made is better said by SQLite
                make_file(self._path.resolve())
        elif check:
            self._check()
        _migrate(self._writer.url)
        # From now on the files are open, and no other process that ends removes the log as their last user.
        for each in (self._writer, self._reader):
            with each.begin() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").close()
        self._file.remember()
        self._measure()
        for each in (self._writer, self._reader):
            event.listen(each, "do_connect", self._refuse_another_file)

    def _check(self) -> None:
        began = time.monotonic()
        try:
            connection = connected(self._path)
            try:
                found = problems(connection, CHECK_SECONDS)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise of_sqlite(error, self._path, None) from error
        if found:
            raise StorageDamaged(
                f"{self._path} is damaged ({'; '.join(found)}): {recovery(self._path)}; "
                "`anabranch serve --skip-check` starts all the same"
            )
        seconds = round(time.monotonic() - began, 3)
        if found is None:
            _log.warning(
                "the database is too large to be checked at the start; anabranch check does it",
                action="database_check_skipped",
                seconds=seconds,
            )
        else:
            _log.info("the database is sound", action="database_checked", seconds=seconds)

    @override
    async def write(self, body: Body[T]) -> T:
        self._refuse()
        return await self._in_thread(self._write_thread, lambda: self._write(body))

    def _write(self, body: Body[T]) -> T:
        self._refuse()
        try:
            with self._writer.begin() as connection:
                done = body(connection)
                self._file.verify()
                return done
        except (DBAPIError, sqlite3.Error, StorageUnavailable):
            self._look()
            raise

    @override
    async def read(self, body: Body[T]) -> T:
        try:
            return await self._in_thread(self._read_threads, lambda: _transaction(self._reader, body))
        except (StorageUnavailable, StorageDamaged):
            await self._in_thread(self._write_thread, self._look)
            self._refuse()
            raise

    @override
    async def probe(self) -> None:
        """Writes the first page as it is."""

        def body(connection: Connection) -> None:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            connection.exec_driver_sql(f"PRAGMA user_version = {int(version)}")

        await self.write(body)

    @override
    def failed(self) -> str | None:
        return self._failure

    @override
    def free_bytes(self) -> int | None:
        """As of about a second ago, since asking for it can block."""
        return self._free

    def _measure(self) -> None:
        try:
            self._free = shutil.disk_usage(self._path.parent).free
        except OSError:
            self._free = None

    async def _in_thread(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise StorageClosed("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(threads, self._translated, work)

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except IntegrityError:
            raise
        except (DBAPIError, sqlite3.Error) as error:
            orig = error.orig if isinstance(error, DBAPIError) else error
            assert isinstance(orig, sqlite3.Error)
            self._measure()
            raise of_sqlite(orig, self._path, self._free) from error
        except (OverflowError, UnicodeEncodeError) as error:  # sqlite3 does not wrap them
            raise NotStorable(f"the database cannot take a value: {error}") from error

    def _refuse(self) -> None:
        if self._failure is not None:
            raise StorageUnavailable(self._failure)

    def _refuse_another_file(self, *_: object) -> None:
        """A new connection would create what is gone, or read what has taken its place."""
        self._refuse()
        self._file.verify()

    async def _look_again(self) -> None:
        while self._failure is None:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(StorageUnavailable):
                try:
                    await self._in_thread(self._write_thread, self._look)
                except StorageUnavailable:
                    raise
                except Exception:
                    _log.exception("the database file cannot be watched", action="database_unwatched")

    def _look(self) -> None:
        """Give the file up if it is no longer the one that was opened; runs in the thread that writes."""
        self._refuse()
        self._measure()
        try:
            self._file.verify()
        except FileChanged as error:
            self._give_up(error)
            self._refuse()

    def _give_up(self, error: FileChanged) -> None:
        why = str(error)
        self._failure = f"{why}; nothing more is written, and what it held is being saved"
        try:
            connection = self._writer.raw_connection()
            try:
                file = connection.driver_connection
                assert isinstance(file, sqlite3.Connection)
                saved = rescue(file, self._path, make_empty)
            finally:
                connection.close()
        except Exception as failure:
            self._failure = f"{why}; nothing more is written. What it held could not be saved: {failure}"
            _log.exception("the database file is gone", action="database_not_rescued", reason=why)
            return
        log, index = companions(self._path)
        if saved.pages is not None:
            held = f"the rows that could still be read (its damaged pages are in {saved.pages})"
        else:
            held = "what was left after the cut" if error.cut else "all that was stored"
        self._failure = (
            f"{why}; nothing more is written. {saved.path} has {held}. Stop whatever uses the database; put "
            f"{saved.path.name} at {self._path} and remove {log.name} and {index.name}; then start again"
        )
        _log.error(
            "the database file is gone, and what it held is saved",
            action="database_rescued",
            reason=why,
            saved=str(saved.path),
            complete=saved.pages is None and not error.cut,
        )

    @override
    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        self._closed = True
        for engine, threads in ((self._reader, self._read_threads), (self._writer, self._write_thread)):
            await asyncio.to_thread(threads.shutdown)  # a connection that is in use would stay open
            await asyncio.to_thread(engine.dispose)


def file_of(url: URL) -> Path:
    """The file that a SQLite URL names."""
    if not url.database or url.database == ":memory:":
        raise StorageError("a SQLite URL must name a file (sqlite:///path); the URL 'memory' keeps nothing")
    return Path(url.database).expanduser().absolute()


def _migrate(url: URL) -> None:
    # Rebuilding a table drops it, which would delete what points to it if foreign keys were on.
    engine = _engine(url, begin="BEGIN IMMEDIATE", size=1, foreign_keys=False)
    try:
        with engine.begin() as connection:
            migrate(connection)
    finally:
        engine.dispose()


def make_empty(path: Path) -> None:
    """Make an empty database of the current schema, in a file that may be there if it is empty."""
    with suppress(FileExistsError):
        make_file(path)
    _migrate(URL.create("sqlite", database=str(path)))


def _transaction(engine: Engine, body: Body[T]) -> T:
    with engine.begin() as connection:
        return body(connection)


def _engine(
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
        connection.text_factory = _lenient  # a text that is not UTF-8 must not spoil the rows around it
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
