"""Keeps what strangers can cause from filling the log: each complaint of the libraries once a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from typing_extensions import override

SECONDS = 1.0
LIBRARIES = ("asyncio", "aiohttp.server")
MOST_REMEMBERED = 1_000


class OnceASecond(logging.Filter):
    """Lets one record a second pass for each place in the code that writes them, and counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int, str], float] = {}
        self._held = 0

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], web.RequestPayloadError):
            return False  # a body that its client has spoilt, of which the client was told
        place = record.pathname, record.lineno, str(record.msg).partition("\n")[0]
        now = time.monotonic()
        if now < self._passed.get(place, 0.0) + SECONDS:
            self._held += 1
            return False
        if len(self._passed) >= MOST_REMEMBERED:
            self._passed.clear()
        self._passed[place] = now
        if self._held:
            record.msg = f"{record.msg} ({self._held} more lines were left out)"
            self._held = 0
        return True


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Filter what asyncio and the HTTP server log while the block runs."""
    once = OnceASecond()
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addFilter(once)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(once)
