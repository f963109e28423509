"""Searches a whole database for damage to its pages and to what its tables point to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

MOST = 100
"""How many problems of one kind are listed."""


def problems(connection: Connection) -> Sequence[str]:
    """See :meth:`storage.store.Store.check`. A PostgreSQL server watches over its pages and keys itself."""
    if connection.dialect.name != "sqlite":
        return ()
    found = []
    try:
        for (text,) in connection.exec_driver_sql(f"PRAGMA integrity_check({MOST})"):
            found += [line for line in str(text).splitlines() if line != "ok"]
        for table, row, parent, _ in islice(connection.exec_driver_sql("PRAGMA foreign_key_check"), MOST):
            found.append(
                f"{table}: row {row or '(without a number)'} points to a row of {parent} that is gone"
            )
        nameless = connection.exec_driver_sql("SELECT key FROM tasks WHERE typeof(id) <> 'text'")
        found += [
            f"tasks: row {key} has no readable id, so no list has it" for (key,) in islice(nameless, MOST)
        ]
    except DatabaseError as error:  # nothing behind this can be read
        found.append(str(error.orig))
    return found
