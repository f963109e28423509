"""Notices that a SQLite file was deleted, moved, replaced or cut while it is open.

SQLite itself would go on writing to a file that no longer has a name, and all of it would be gone at the end.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from storage.errors import StorageUnavailable
from storage.sql.copying import companions, connected, problems

LOOK_SECONDS = 1.0
"""How often an idle file is looked at. Each transaction looks before its commit."""

CUT_SECONDS = 1.0
"""How long a file that has become shorter is searched for missing pages."""

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class FileChanged(StorageUnavailable):
    """The open file is no longer the one that its path names, or was ``cut``."""

    def __init__(self, message: str, *, cut: bool = False) -> None:
        super().__init__(message)
        self.cut = cut


class WatchedFile:
    """The file and its two companions, as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Path, tuple[int, int]] = {}
        self._size = 0

    def remember(self) -> None:
        """The files are those that are open now."""
        for path in (self._path, *companions(self._path)):
            try:
                found = os.stat(path)
            except FileNotFoundError:  # there is no log where the file system cannot share memory
                continue
            self._known[path] = found.st_dev, found.st_ino
        self._size = os.stat(self._path).st_size

    def verify(self) -> None:
        """Take some microseconds to see whether these are still the files.

        Raises:
            FileChanged: says what happened to which.
        """
        size = self._size
        for path, known in self._known.items():
            try:
                found = os.stat(path)
            except OSError as error:
                if error.errno in _GONE:
                    raise FileChanged(f"{path} was deleted or moved while it was in use") from error
                continue  # it cannot be told
            if (found.st_dev, found.st_ino) != known:
                raise FileChanged(f"{path} was replaced by another file while it was in use")
            if path == self._path:
                size = found.st_size
        if size < self._size and (not size or self._has_lost_pages()):
            raise FileChanged(f"{self._path} was cut to {size} bytes while it was in use", cut=True)
        self._size = size

    def _has_lost_pages(self) -> bool:
        """Whether a file that is shorter was cut; it may have been pruned instead."""
        try:
            with closing(connected(self._path)) as connection:
                return bool(problems(connection, CUT_SECONDS))
        except sqlite3.DatabaseError as error:
            return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_CORRUPT,
                sqlite3.SQLITE_NOTADB,
            )
