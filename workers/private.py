"""Makes the files and directories of caches so that only their user can read them, whatever the umask is.

They are private from the moment they exist. What is there already keeps its mode.
"""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700


def opener(path: str, flags: int) -> int:
    """For ``open(…, opener=opener)``."""
    return os.open(path, flags, FILE_MODE)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, where they do not exist yet.

    Raises:
        OSError: that cannot be done, or there is something else.
    """
    for each in (*reversed(path.parents), path):
        each.mkdir(DIRECTORY_MODE, exist_ok=True)
