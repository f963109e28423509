"""Copies of a SQLite file that is in use: backups, and what is saved of a file that was lost."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from itertools import count
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Table

from storage.errors import StorageDamaged, StorageError
from storage.private import make_directory, make_file
from storage.sql.batch_tables import metadata
from storage.sql.failures import of_sqlite, recovery

PAGES = 10_000
"""Pages that are copied without looking for Ctrl-C."""

STEPS = 10_000
"""Steps of SQLite between two looks at the clock."""

RESCUE_SECONDS = 10.0
"""How long a copy of a lost file is searched for missing pages."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """What was saved, as a database; if pages were lost, it has only some rows, and ``pages`` the rest."""

    path: Path
    pages: Path | None = None


def connected(path: Path) -> sqlite3.Connection:
    """A new connection to a file that is there."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=30, isolation_level=None)


def companions(path: Path) -> tuple[Path, Path]:
    """The write-ahead log of a SQLite file, and the index of the log."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def journal_of(path: Path) -> Path:
    """The rollback journal of a SQLite file, which is there while the file is made."""
    return path.with_name(f"{path.name}-journal")


def rescued_of(path: Path) -> list[Path]:
    """What was saved of a file when it was lost, and has not been put in its place since."""
    found = path.parent.glob(f"{escape(path.name)}.rescued-*")
    return sorted(each for each in found if not each.name.endswith((".damaged", "-wal", "-shm")))


def problems(connection: sqlite3.Connection, seconds: float | None = None) -> tuple[str, ...] | None:
    """What ``PRAGMA quick_check`` finds, the first few; None if it had to stop after ``seconds``."""
    deadline = None if seconds is None else time.monotonic() + seconds
    if deadline is not None:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        found = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
            return (str(error),)
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return tuple(line for (text,) in found for line in str(text).splitlines() if line != "ok")


def back_up(
    path: Path, to: Path, *, overwrite: bool, make_empty: Callable[[Path], None] | None = None
) -> int:
    """Copy a file that may be in use to ``to``, which is there only once it is complete; returns its bytes.

    With ``make_empty``, which makes an empty database, only the rows that can be read are copied, into one.

    Raises:
        StorageError: there is something at ``to``, or it cannot be written.
        StorageDamaged: the copy would be damaged.
    """
    if (to.exists() and not to.is_file()) or to.resolve() in {
        each.resolve() for each in (path, *companions(path))
    }:
        raise StorageError(f"{to} is not a file that a backup can replace; name another one")
    if to.exists() and not overwrite:
        raise StorageError(f"there is already a file {to}; name another one, or overwrite it by --force")
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        with _new_file(partial):
            found = _snapshot(path, partial) if make_empty is None else _salvage(path, partial, make_empty)
            if found:
                raise StorageDamaged(f"{path} is damaged ({'; '.join(found)}): {recovery(path)}")
            os.replace(partial, to)
    except sqlite3.Error as error:
        raise of_sqlite(error, path, None) from error
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error}") from error
    return to.stat().st_size


def _snapshot(path: Path, to: Path) -> tuple[str, ...] | None:
    """One state of a file, however long the copy takes and whatever is written meanwhile."""
    with closing(connected(path)) as source:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").close()
        return copy(source, to)


def _salvage(path: Path, to: Path, make_empty: Callable[[Path], None]) -> tuple[str, ...] | None:
    """Copy the rows that can be read into a new database; returns its :func:`problems`."""
    make_empty(to)
    with closing(connected(path)) as source:
        _copy_rows(source, to)
    with closing(connected(to)) as copied:
        return problems(copied)


def rescue(connection: sqlite3.Connection, path: Path, make_empty: Callable[[Path], None]) -> Rescued:
    """Save what a connection still holds of a file that is gone, beside its path.

    If pages are lost, the rows that can be read go into a new database that ``make_empty`` makes.

    Raises:
        OSError, sqlite3.Error: it cannot be read or written.
    """
    name = f"{path.name}.rescued-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    directory = path.parent
    try:
        make_directory(directory)
        saved = _free_name(directory, name)
    except OSError:
        saved = _free_name(Path(tempfile.gettempdir()), name)
    if not copy(connection, saved, seconds=RESCUE_SECONDS):
        return Rescued(saved)
    pages = saved.rename(saved.with_name(f"{saved.name}.damaged"))
    make_empty(saved)
    _copy_rows(connection, saved)
    return Rescued(saved, pages)


def _copy_rows(source: sqlite3.Connection, to: Path) -> None:
    source.text_factory = _text_or_bytes
    with closing(connected(to)) as target:
        target.execute("BEGIN")
        for table in metadata.sorted_tables:
            keys = [column.name for column in table.primary_key]
            names = _known_columns(source, table)
            for order in ("ASC", "DESC"):  # from both ends, up to where pages are missing
                columns = ", ".join(names)
                places = ", ".join("?" for _ in names)
                ordered = ", ".join(f"{key} {order}" for key in keys)
                try:
                    rows = source.execute(f"SELECT {columns} FROM {table.name} ORDER BY {ordered}")  # noqa: S608
                    target.executemany(
                        f"INSERT OR IGNORE INTO {table.name} ({columns}) VALUES ({places})",  # noqa: S608
                        rows,
                    )
                    break
                except sqlite3.DatabaseError:
                    continue
        target.execute("COMMIT")


def _known_columns(source: sqlite3.Connection, table: Table) -> list[str]:
    """The columns of a table that its source has as well: an older version may have written it."""
    try:
        there = {row[1] for row in source.execute(f"PRAGMA table_info({table.name})")}
    except sqlite3.DatabaseError:
        there = set()
    return [column.name for column in table.columns if not there or column.name in there]


def _text_or_bytes(found: bytes) -> str | bytes:
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found


def copy(source: sqlite3.Connection, to: Path, *, seconds: float | None = None) -> tuple[str, ...] | None:
    """Copy all pages into the empty file ``to``, down to the disk; returns the copy's :func:`problems`."""
    with closing(connected(to)) as target:
        source.backup(target, pages=PAGES, progress=lambda *_: None)
        found = problems(target, seconds)
    with open(to, "rb") as written:
        os.fsync(written.fileno())
    return found


@contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """A file of that name that is gone after the block, with what SQLite puts beside it."""
    make_file(path)
    try:
        yield
    finally:
        for each in (path, *companions(path), journal_of(path)):
            with suppress(FileNotFoundError):
                each.unlink()


def _free_name(directory: Path, name: str) -> Path:
    """A new, empty file; two processes never get the same one."""
    for number in count(1):
        path = directory / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            make_file(path)
            return path
    raise AssertionError("counting ends")
