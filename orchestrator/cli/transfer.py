"""A download as people follow it: how much has arrived, how fast, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.cli.view import spell
from workers.models.files import Progress

STEADY_SECONDS = 1.0
"""How long a download must have gone on before its rate says something."""


class Transfer:
    """The progress of a download; what an earlier one had fetched counts for nothing in its rate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, Progress] | None = None
        self._latest: Progress | None = None

    def take(self, progress: Progress) -> None:
        """Take note of how much has arrived; from another source, the rate is measured anew."""
        last = self._latest
        if last is None or last.source != progress.source or progress.done < last.done:
            self._first = self._clock(), progress
        self._latest = progress

    def told(self) -> str:
        """The progress in words: ``245 of 490 MB, 4.1 MB/s, about 60 s left``."""
        if self._first is None or self._latest is None:
            return ""
        begun, first = self._first
        now, total = self._latest.done, self._latest.total
        parts = [f"{now / 1e6:,.0f} of {total / 1e6:,.0f} MB"]
        seconds, arrived = self._clock() - begun, now - first.done
        if seconds >= STEADY_SECONDS and arrived > 0 and now < total:
            rate = arrived / seconds
            parts += [f"{rate / 1e6:.1f} MB/s", f"about {spell((total - now) / rate)} left"]
        return ", ".join(parts)
