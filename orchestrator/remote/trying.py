"""Trying again: how long to wait before the next attempt, and when to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from orchestrator.errors import AnabranchError

SHORTEST, LONGEST = 0.1, 8.0
"""Seconds before the second attempt, at most, and before any later one where nobody asks for more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client waits, in seconds.

    ``connect`` for a connection, ``answer`` for the whole answer to a request, ``work`` for one that takes
    computing, such as a replay, and ``silence`` for the next piece of a stream, in which a service is never
    silent for more than 15 s. A service that was there may be ``away`` for so long, or have no room, before
    that is an error; one that never answered, ``absent``.
    """

    connect: float = 10.0
    answer: float = 30.0
    work: float = 150.0
    silence: float = 45.0
    away: float = 120.0
    absent: float = 5.0


class Attempts:
    """The attempts at one thing: they may go on for ``seconds()`` without any progress."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._failed = 0

    def progress(self) -> None:
        """Something came of an attempt: the next ones have all the time again."""
        self._since, self._failed = None, 0

    def alive(self) -> None:
        """The service is there, though not for this: there is all the time again, but no hurry."""
        self._since = None

    async def wait(self, error: AnabranchError) -> None:
        """Wait before the next attempt: longer each time, and at least as long as the service asks.

        The wait is drawn at random, so that clients which were cut off together do not all come back at once.

        Raises:
            AnabranchError: ``error`` itself, if there is no time for another attempt.
        """
        now = monotonic()
        if self._since is None:
            self._since = now
        pause = min(LONGEST, SHORTEST * 2**self._failed) * random.uniform(0.5, 1.0)
        if error.retry_after is not None:
            pause = max(pause, error.retry_after * random.uniform(1.0, 1.1))
        if now + pause > self._since + self._seconds():
            raise error
        self._failed += 1
        await asyncio.sleep(pause)
