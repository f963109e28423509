"""What is told of a start and of a run where no terminal shows it: a plain line now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from orchestrator.cli.saying import tell
from orchestrator.cli.transfer import Transfer
from orchestrator.cli.view import RunView
from orchestrator.structured import task_group
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress as Download

TOLD_SECONDS = 5.0
"""How often a run that goes on is reported."""

ANNOUNCED_SECONDS = 10.0
"""How often a slow start is reported."""


class Announcer:
    """Reports the start of the engine."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._next = 0
        self._told: dict[str, float] = {}
        self._clock = clock
        self._transfer = Transfer(clock)
        self._transferred_at: float | None = None

    def __call__(self, progress: Download | Starting) -> None:
        """Report the progress of a model's download or a server's start.

        A download is reported for each tenth of it, and as often as a slow start.
        """
        if isinstance(progress, Starting):
            self._starting(progress)
            return
        self._transfer.take(progress)
        tenth, now = 10 * progress.done // progress.total, self._clock()
        is_due = self._transferred_at is not None and now >= self._transferred_at + ANNOUNCED_SECONDS
        if tenth >= self._next or is_due:
            self._next, self._transferred_at = tenth + 1, now
            tell(f"fetching the model from {progress.source}: {self._transfer.told()}")

    def _starting(self, progress: Starting) -> None:
        told = self._told.get(progress.server)
        if (
            told is None or not told <= progress.seconds < told + ANNOUNCED_SECONDS
        ):  # it began, or began again
            self._told[progress.server] = progress.seconds
            line = f"starting {progress.server}: {progress.seconds:.0f} s  {progress.line}"
            tell(line.rstrip())


class Ticker:
    """Reports how far a run is, in the words of the live view's first line."""

    def __init__(self, *, clock: Callable[[], float] = time.time, every: float = TOLD_SECONDS) -> None:
        self.view = RunView()
        self.preparing = Announcer()
        self._clock = clock
        self._every = every

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Report while the block runs."""

        async def report() -> None:
            while True:
                await asyncio.sleep(self._every)
                if self.view.started_at is not None:
                    tell(self.view.headline(self._clock()))

        async with task_group() as group:
            reporting = group.create_task(report(), name="progress")
            try:
                yield
            finally:
                reporting.cancel()
