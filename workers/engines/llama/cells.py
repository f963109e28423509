"""Memory for the saved states of a server's slots."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


class Cells:
    """Places for saved slot states: on Linux, memory that goes away with the processes that use it."""

    def __init__(self, count: int) -> None:
        self._closed = False
        self._files: list[int] = []
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if sys.platform == "linux":
            self._files = [os.memfd_create(f"anabranch-prefix-{number}") for number in range(count)]
            self._free = [str(file) for file in self._files]
            self.directory = "/proc/self/fd/"
        else:
            self._scratch = tempfile.TemporaryDirectory(prefix="anabranch-prefix-")
            self._free = [str(number) for number in range(count)]
            self.directory = self._scratch.name + os.sep

    @property
    def inherited(self) -> Sequence[int]:
        """File descriptors that must be passed to the server's process."""
        return self._files

    def take(self) -> str | None:
        """The name of a free cell, if there is one."""
        return self._free.pop() if self._free else None

    def free(self, name: str) -> None:
        """Discard the contents of a cell and free it."""
        if self._closed:  # the number may belong to another file by now
            return
        if self._scratch is None:
            os.ftruncate(int(name), 0)
        else:
            Path(self.directory, name).unlink(missing_ok=True)
        self._free.append(name)

    def close(self) -> None:
        """Release all cells."""
        self._closed = True
        for file in self._files:
            os.close(file)
        self._files = []
        if self._scratch is not None:
            self._scratch.cleanup()
