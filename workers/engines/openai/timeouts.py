"""How long each phase of a call may take, and waits that keep to it."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass, fields

from workers.errors import EngineInterrupted, EngineTimeout, EngineUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each phase of a call may take, in seconds.

    ``first_token`` runs from sending the call, so it covers the server's queue and the prefill.
    ``between_tokens`` runs from one event of the stream to the next; comments and parts of an event do not
    count as progress. Time in which a slow reader does not ask for more counts only towards ``total``.
    """

    connect: float = 5.0
    first_token: float = 300.0
    between_tokens: float = 60.0
    total: float = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not (0 < seconds < math.inf):
                raise ValueError(f"the timeout {field.name} is {seconds}: give a finite number above 0")


class Patience:
    """How long to wait in the phase that a call is in."""

    def __init__(self, name: str, timeouts: Timeouts) -> None:
        self._clock = asyncio.get_running_loop().time
        self._name = name
        self._timeouts = timeouts
        self._phase, self._seconds = "first token", timeouts.first_token
        now = self._clock()
        self._until = now + timeouts.first_token
        self._end = now + timeouts.total
        self._wait: asyncio.Timeout | None = None
        self._abandoned = False

    def wait(self) -> asyncio.Timeout:
        """A context in which to wait for as long as the phase allows. It raises TimeoutError."""
        self._wait = asyncio.timeout_at(min(self._until, self._end))
        return self._wait

    def progress(self) -> None:
        """An event came, or the reader came back for more: the time between tokens begins."""
        self._phase, self._seconds = "between tokens", self._timeouts.between_tokens
        self._until = self._clock() + self._seconds

    def abandon(self) -> None:
        """End the current wait, and all later ones, because the engine is closed."""
        self._abandoned = True
        self._end = 0.0
        if self._wait is not None:
            with suppress(RuntimeError):  # that wait is over
                self._wait.reschedule(0.0)

    def expired(self) -> EngineTimeout | EngineUnavailable | EngineInterrupted:
        """The error that says why a wait ended."""
        if self._abandoned:
            kind = EngineUnavailable if self._phase == "first token" else EngineInterrupted
            return kind(f"{self._name} was closed")
        if self._end < self._until:
            self._phase, self._seconds = "total", self._timeouts.total
        return EngineTimeout(f"{self._name} took more than {self._seconds:g} s ({self._phase})")
