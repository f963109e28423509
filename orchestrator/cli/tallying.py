"""How far a batch is: lines done and failed, tokens, and how long the rest will take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from orchestrator.batches.results import Result
from orchestrator.cli.saying import clear, tell
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.ticking import TOLD_SECONDS
from orchestrator.structured import task_group

REFRESH_SECONDS = 0.25


@dataclass(slots=True)
class Tally:
    """What has become of the lines so far. ``before`` counts those that an earlier command has answered."""

    total: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    before: int = 0
    tokens: int = 0
    ran: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def take(self, result: Result, *, ran: bool) -> None:
        """Count a line."""
        self.done += 1
        self.failed += result.error is not None
        self.before += not ran and result.error is None
        self.ran += ran
        if ran and result.tokens is not None:
            self.tokens += result.tokens.prompt + result.tokens.completion

    def left(self) -> float | None:
        """In how many seconds the batch will have ended, if it goes on like this; None if nobody knows."""
        return None if not self.ran else (self.clock() - self.began) / self.ran * (self.total - self.done)

    def told(self) -> str:
        """How far it is, in one line."""
        parts = [f"{self.done:,} of {self.total:,} lines"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.before:
            parts.append(f"{self.before:,} answered before")
        parts.append(f"{self.tokens:,} tokens")
        left = self.left()
        if left is not None and self.done < self.total:
            parts.append(f"about {_duration(left)} left")
        return ", ".join(parts)


@asynccontextmanager
async def shown(tally: Tally, *, quiet: bool) -> AsyncIterator[None]:
    """Show how far a batch is while the block runs: a bar on a terminal, otherwise a line now and then."""
    console = Terminal(stderr=True)
    async with task_group() as group:
        telling = _bar(tally, console) if console.is_terminal else _lines(tally)
        task = None if quiet else group.create_task(telling, name="progress")
        if task is None:
            telling.close()
        try:
            yield
        finally:
            if task is not None:
                task.cancel()


async def _bar(tally: Tally, console: Terminal) -> None:
    clear()
    columns = (SpinnerColumn(), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        bar = progress.add_task(tally.told(), total=tally.total)
        try:
            while True:
                progress.update(bar, completed=tally.done, description=tally.told(), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)
        finally:
            progress.update(bar, completed=tally.done, description=tally.told(), refresh=True)


async def _lines(tally: Tally) -> None:
    while True:
        await asyncio.sleep(TOLD_SECONDS)
        tell(tally.told())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
