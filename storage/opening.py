"""Which store a URL names. A store is imported when it is opened, so the one in memory needs no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from glob import escape
from pathlib import Path

from storage.codec import Redact
from storage.errors import DatabaseMissing, StorageError
from storage.store import Store


async def open_store(
    url: str | None = None, *, redact: Redact | None = None, check: bool = False, patience: float = 0.0
) -> Store:
    """Open the database at ``url``; create it or bring its schema up to date if needed.

    ``url`` is ``sqlite:///path``, ``postgresql://user@host/name``, or ``memory``; None is a SQLite
    file in the user's data directory. ``redact`` is applied to every string of questions, options,
    solutions and events before it is stored, and must not change what it has already been applied to.
    Planners see the results of engines and tools as they are stored, so that a replay sees the same.
    ``check`` looks for damage in a SQLite file first, for some seconds at most. ``patience`` is how many
    seconds a PostgreSQL server that does not answer yet is waited for.

    Raises:
        StorageError: ``url`` is not one of these.
        StorageUnavailable: the database cannot be opened or reached; the subclass says why.
        StorageDamaged: it is not what was written.
        SchemaMismatch: a newer version of the code has written the database.
    """
    return await (await asyncio.to_thread(_opener, url, check, patience))(redact)


async def check_exists(url: str | None) -> None:
    """Refuse a URL that names a SQLite file which is not there, and which opening it would create.

    Raises:
        StorageError: ``url`` is not one of a database.
        DatabaseMissing: there is no such file.
    """
    if url != "memory":
        await asyncio.to_thread(_existing_file, url)


async def back_up(url: str | None, to: Path, *, overwrite: bool = False, salvage: bool = False) -> int:
    """Copy the SQLite file that ``url`` names to ``to``, as it is at one moment while it is in use.

    ``to`` is there only once the copy is complete and sound. Returns its bytes. With ``salvage``, the copy
    is a new database with the rows that can be read of a damaged one.

    Raises:
        StorageError: ``url`` names no file, ``to`` is there already, or it cannot be written.
        DatabaseMissing: there is no such file.
        StorageDamaged: it is damaged, so ``to`` was not written.
    """
    if url == "memory":
        raise StorageError("a store in memory has no file; it is gone when its process ends")

    def act() -> int:
        from storage.sql.copying import back_up
        from storage.sql.sqlite import make_empty

        file = _existing_file(url)
        if file is None:
            from storage.sql.database import parse
            from storage.sql.failures import dump_command

            raise StorageError(
                f"PostgreSQL has its own backups: {dump_command(parse(url), to)} (it asks for the "
                "password, or takes it from PGPASSWORD or ~/.pgpass)"
            )
        return back_up(file, to, overwrite=overwrite, make_empty=make_empty if salvage else None)

    return await asyncio.to_thread(act)


def files_of(url: str | None) -> list[Path]:
    """The files of the SQLite database that ``url`` names, and what was saved of it; some may not exist.

    Raises:
        StorageError: ``url`` is not one of a database.
    """
    if url == "memory":
        return []
    from storage.sql.copying import companions, journal_of
    from storage.sql.database import is_sqlite, parse
    from storage.sql.sqlite import file_of

    parsed = parse(url)
    if not is_sqlite(parsed):
        return []
    file = file_of(parsed).resolve()  # SQLite puts the others beside the file that a link leads to
    saved = file.parent.glob(f"{escape(file.name)}.rescued-*")
    return [file, *companions(file), journal_of(file), *sorted(saved)]


def _existing_file(url: str | None) -> Path | None:
    from storage.sql.database import is_sqlite, parse
    from storage.sql.sqlite import file_of

    parsed = parse(url)
    if not is_sqlite(parsed):
        return None
    file = file_of(parsed)
    if not file.is_file():
        raise DatabaseMissing(f"there is no file {file}")
    return file


def _opener(url: str | None, check: bool, patience: float) -> Callable[[Redact | None], Awaitable[Store]]:
    """What opens the store at ``url``; importing it would block an event loop for too long."""
    if url == "memory":
        from storage.memory import MemoryStore

        return MemoryStore.connect
    from storage.sql.store import SqlStore

    return partial(SqlStore.connect, url, check=check, patience=patience)
