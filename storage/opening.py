"""Which store a URL names. A store is imported when it is opened, so the one in memory needs no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from storage.codec import Redact
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


def _opener(url: str | None, check: bool, patience: float) -> Callable[[Redact | None], Awaitable[Store]]:
    """What opens the store at ``url``; importing it would block an event loop for too long."""
    if url == "memory":
        from storage.memory import MemoryStore

        return MemoryStore.connect
    from storage.sql.store import SqlStore

    return partial(SqlStore.connect, url, check=check, patience=patience)
