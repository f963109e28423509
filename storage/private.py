"""Makes files and directories that only their user can read, whatever the umask allows.

They are private from the moment they exist: changing their mode afterwards would leave a gap. What is there
already keeps its mode. SQLite gives the files that it puts beside a database the mode of the database.
"""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700


def opener(path: str, flags: int) -> int:
    """For ``open(…, opener=opener)``."""
    return os.open(path, flags, FILE_MODE)


def make_file(path: Path) -> None:
    """Make a new, empty file.

    Raises:
        FileExistsError: there is something.
        OSError: it cannot be made.
    """
    open(path, "xb", opener=opener).close()


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, where they do not exist yet.

    Raises:
        OSError: that cannot be done, or there is something else.
    """
    for each in (*reversed(path.parents), path):
        each.mkdir(DIRECTORY_MODE, exist_ok=True)
