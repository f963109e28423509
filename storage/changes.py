"""Tells any number of watchers which tasks something has happened to, without waiting for any of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager, suppress

MOST = 10_000
"""How many tasks a watcher is told by name; one that is further behind learns that any may have changed."""


class Watch:
    """What has changed since one watcher last asked, as a set: who is slow costs no more than that."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}  # in order
        self._any = False
        self._woken = asyncio.Event()

    def tell(self, task_ids: Collection[str] | None) -> None:
        """Something has happened to these tasks; None: perhaps to any."""
        if task_ids is None or len(self._ids) >= MOST:
            self._any = True
            self._ids.clear()
        elif not self._any:
            self._ids.update(dict.fromkeys(task_ids))
        self._woken.set()

    async def next(self, seconds: float | None = None) -> tuple[str, ...] | None:
        """The ids of what has changed, or None for perhaps any; after so many seconds of silence, no ids."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        ids, some = tuple(self._ids), self._any
        self._ids.clear()
        self._any = False
        self._woken.clear()
        return None if some else ids


class Changes:
    """What happens to tasks, for those who watch."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    @property
    def heeded(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watches)

    def tell(self, task_ids: Collection[str] | None) -> None:
        """Something has happened to these tasks; None: perhaps to any."""
        for watch in self._watches:
            watch.tell(task_ids)

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """A watch that misses nothing while the block runs."""
        watch = Watch()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def follow(self) -> AsyncIterator[tuple[str, ...] | None]:
        """What a watch tells, for ever; first that any may have changed, since nobody watched before."""
        with self.watched() as watch:
            yield None
            while True:
                yield await watch.next()
