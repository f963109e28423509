"""What the call says whose text is the answer of a run, token by token, for whoever shows it at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """All that a call has said so far, and what it thought where the engine keeps that apart."""

    path: str
    text: str
    thought: str = ""


class Speech:
    """The answer of a run as it is said. It is stored nowhere, and is put together only for who listens.

    A listener gets the whole text each time that there is more, and at first what was said before; one that
    is slow gets the latest.
    """

    def __init__(self) -> None:
        self._latest: Callable[[], Said] | None = None
        self._waiting = 0
        self._woken = asyncio.Event()

    def say(self, path: str, text: Callable[[], str], thought: Callable[[], str]) -> None:
        """Tell that the call at ``path`` has said more; ``text`` and ``thought`` give all of it."""
        self._latest = lambda: Said(path, text(), thought())
        if self._waiting:
            woken, self._woken = self._woken, asyncio.Event()
            woken.set()

    async def listen(self) -> AsyncGenerator[Said, None]:
        """What is said, until the listener leaves."""
        told: Callable[[], Said] | None = None
        while True:
            if (latest := self._latest) is not None and latest is not told:
                told = latest
                yield latest()
                continue
            self._waiting += 1
            try:
                await self._woken.wait()
            finally:
                self._waiting -= 1
