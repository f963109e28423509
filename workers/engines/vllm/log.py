"""The log of a server: its last lines, and the errors that say why it failed."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Iterable

from workers.redaction import redacted

LOG_LINES = 400  # that are kept
LAST_LINES = 20  # that an error shows
LINE_CHARACTERS = 2_000  # of a line that are kept
_CAUSE = re.compile(r"^(?!.* WARNING ).*\w(Error|Exception): \S")  # warnings say what might happen some day
_OURS = re.compile(r'"GET /(metrics|health) HTTP/')  # our frequent requests would push the rest out


class ServerLog:
    """The last lines that a server wrote."""

    def __init__(self, key: str = "") -> None:
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self.key = key
        """Left out of the log: vLLM writes its options there."""

    @property
    def latest(self) -> str:
        """The last line; empty if there is none."""
        return self._lines[-1] if self._lines else ""

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()

    def extend(self, lines: Iterable[str]) -> None:
        """Keep further lines, except those that say nothing."""
        short = (line[:LINE_CHARACTERS] for line in lines)
        self._lines.extend(
            redacted(line.rstrip(), self.key) for line in short if line.strip() and not _OURS.search(line)
        )

    def last_lines(self) -> str:
        """The end of the log, after the first errors in it: vLLM names the cause there."""
        lines = list(self._lines)
        errors = [line for line in lines[:-LAST_LINES] if _CAUSE.search(line)]
        return "\n".join([*dict.fromkeys(errors[:3]), *lines[-LAST_LINES:]])

    async def read(self, output: int) -> None:
        """Keep the last lines that come out of a pipe, until all its writers have closed it."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb")
        )
        rest = ""
        try:
            while data := await reader.read(65_536):
                # A progress bar rewrites its line with carriage returns; each state counts as a line.
                *lines, rest = (rest + data.decode(errors="replace")).replace("\r", "\n").split("\n")
                self.extend(lines)
                rest = rest[:LINE_CHARACTERS]
        finally:
            transport.close()
