"""Which database a URL names, and opening it."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageError
from storage.sql.failures import shown_text
from storage.sql.postgres import PostgresDatabase
from storage.sql.sqlite import SqliteDatabase
from storage.sql.transactions import Database


async def open_database(url: str | None, *, check: bool = False, patience: float = 0.0) -> Database:
    """Connect to ``url`` and bring its schema up to date. None: a file in the user's data directory.

    ``check`` looks for damage in a SQLite file for some seconds; ``patience`` is how many seconds a
    PostgreSQL server that is away is waited for.

    Raises:
        StorageError: the URL is not one of a supported database.
        StorageUnavailable: the database cannot be opened or reached.
        StorageDamaged: it is not what was written.
        SchemaMismatch: a newer version of the code has written it.
    """
    parsed = parse(url)
    if is_sqlite(parsed):
        return await SqliteDatabase.open(parsed, check=check)
    return await PostgresDatabase.open(parsed, patience=patience)


def parse(url: str | None) -> URL:
    """The URL of a supported database; None: of a file in the user's data directory.

    Raises:
        StorageError: it is not one.
    """
    if url is None:
        url = f"sqlite:///{Path(platformdirs.user_data_dir('anabranch'), 'anabranch.db')}"
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise StorageError(  # the cause would show a password
            f"{shown_text(url)!r} is not a database URL; it should look like sqlite:///path or "
            "postgresql://user@host/name"
        ) from None
    if backend not in ("sqlite", "postgresql", "postgres"):
        raise StorageError(f"databases of kind {backend!r} are not supported; use sqlite or postgresql")
    return parsed


def is_sqlite(url: URL) -> bool:
    """Whether it is a SQLite file and not a PostgreSQL server."""
    return url.get_backend_name() == "sqlite"
