"""What the drivers report, as errors that say what happened and what to do; never with a password."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.errors import (
    DatabaseMissing,
    NotStorable,
    NotWritable,
    StorageAuth,
    StorageDamaged,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

_SECRETS = ("password", "passfile", "sslpassword")
_NOTHING_LEFT = 64 * 1024
"""Free bytes below which a failed write is put down to the full disk."""

_PASSING = (
    "08",  # connection exceptions
    "25006",  # the server is a standby now; its successor takes over
    "40",  # deadlock, serialization failure
    "53",  # out of connections, memory or disk
    "57P",  # the server shuts down or starts up
)
_DATA = "22"  # data exceptions: a text with a NUL, a number out of range


def shown(url: URL) -> str:
    """The URL without its secrets."""
    secret = {name: "***" for name in url.query if name in _SECRETS}
    return url.update_query_dict(secret).render_as_string()


def dump_command(url: URL, to: Path) -> str:
    """How PostgreSQL's own program writes a backup to ``to``; without the password."""
    known = {name: value for name, value in url.query.items() if name in ("host", "port")}
    plain = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, query=known
    ).render_as_string()
    return shlex.join(["pg_dump", "--format=custom", f"--file={to}", plain])


def shown_text(url: str) -> str:
    """What can be shown of a text that should be a URL, and may have a password in it."""
    plain, at, rest = url.rpartition("@")
    rest = rest.split("?", 1)[0]
    return f"{plain.split(':', 1)[0]}:…@{rest}" if at else rest


def recovery(path: Path) -> str:
    """What to do about a damaged SQLite file."""
    return (
        f"stop what uses it; `anabranch check --database sqlite:///{path}` lists what is damaged; put a "
        f"backup in its place, or save what can be read by `anabranch backup {path}.salvaged --salvage "
        f"--database sqlite:///{path}`"
    )


def of_sqlite(error: sqlite3.Error, path: Path, free: int | None) -> StorageError:
    """An error of SQLite on the file ``path``, on whose disk ``free`` bytes are left."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    out_of_room = code == sqlite3.SQLITE_IOERR and free is not None and free < _NOTHING_LEFT
    if code == sqlite3.SQLITE_FULL or out_of_room:
        return StorageFull(f"{path}: {error}; nothing more can be stored until there is room on its disk")
    if code == sqlite3.SQLITE_NOTADB:
        return StorageDamaged(
            f"{path}: {error}; name another file, or put a backup in its place if it was a database"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return StorageDamaged(f"{path} is damaged ({error}): {recovery(path)}")
    if code == sqlite3.SQLITE_CANTOPEN:
        return NotWritable(f"{path} cannot be opened: {_obstacle(path)}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return NotWritable(
            f"{path}: {error}; this process must be allowed to write to the file and to its directory"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageUnavailable(f"{path}: {error}; another process has kept it locked for too long")
    if isinstance(error, sqlite3.DataError):
        return NotStorable(f"the database cannot take a value: {error}")
    if isinstance(error, sqlite3.OperationalError | sqlite3.InterfaceError):
        return StorageUnavailable(f"{path}: {error}")
    return StorageError(f"{path}: {error}")


def _obstacle(path: Path) -> str:
    if path.is_dir():
        return "it is a directory; a SQLite URL names a file, as sqlite:///directory/file.db"
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    return f"this process must be allowed to read and write {path} and the directory {path.parent}"


def of_postgres(error: Exception, url: URL) -> Exception | None:
    """An error met on a PostgreSQL server; None if it has nothing to do with the database.

    Constraint violations stay as they are.
    """
    where = shown(url)
    orig = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = str(getattr(orig, "sqlstate", None) or "")
    if isinstance(error, IntegrityError):
        return error
    if isinstance(error, UnicodeDecodeError):  # a server whose encoding is SQL_ASCII keeps any bytes
        return StorageDamaged(f"{where}: a text is not UTF-8: {error}; the database needs ENCODING 'UTF8'")
    if isinstance(error, OSError):  # a timeout too
        return StorageUnavailable(f"{where}: {str(error) or 'no answer'}")
    if sqlstate.startswith(("28", "42501")):
        hint = "check the role, its password and what it may do"
        return StorageAuth(f"{where}: {orig}; {hint}; trying again will not help")
    if sqlstate == "3D000":
        return DatabaseMissing(f'{where}: {orig}; create it: CREATE DATABASE "{url.database}"')
    if sqlstate.startswith("53100"):
        return StorageFull(f"{where}: {orig}; the server's disk is full")
    if sqlstate.startswith("XX00") and sqlstate != "XX000":
        return StorageDamaged(f"{where}: the server found damaged data: {orig}; restore a backup")
    if sqlstate.startswith(_PASSING):
        return StorageUnavailable(f"{where}: {orig}")
    if sqlstate.startswith(_DATA):
        return NotStorable(f"the database cannot take a value: {orig}")
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError"):
            return StorageUnavailable(f"{where}: {orig}")
        if type(error).__name__ == "DataError":
            return NotStorable(f"the database cannot take a value: {orig}")
    if isinstance(error, DBAPIError) or sqlstate:
        return StorageError(f"{where}: {orig}")
    return None
