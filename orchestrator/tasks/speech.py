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
    """The answer of a run as it is said. It is stored nowhere, and costs nothing while nobody listens.

    A listener gets the whole text each time that there is more; one that is slow gets the latest.
    """

    def __init__(self) -> None:
        self._listeners = 0
        self._latest: Said | None = None
        self._woken = asyncio.Event()

    def say(self, path: str, text: Callable[[], str], thought: Callable[[], str]) -> None:
        """Tell the listeners what the call at ``path`` has said by now."""
        if self._listeners:
            self._latest = Said(path, text(), thought())
            woken, self._woken = self._woken, asyncio.Event()
            woken.set()

    async def listen(self) -> AsyncGenerator[Said, None]:
        """What is said from now on, until the listener leaves."""
        self._listeners += 1
        told: Said | None = None
        try:
            while True:
                woken = self._woken
                if (latest := self._latest) is not None and latest is not told:
                    told = latest
                    yield latest
                if woken is self._woken:
                    await woken.wait()
        finally:
            self._listeners -= 1
