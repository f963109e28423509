"""Tells any number of followers which tasks something has happened to, without waiting for any of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

MOST = 10_000
"""How many tasks a follower is told by name; one that is further behind learns that any may have changed."""


class _Follower:
    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.any = False
        self.woken = asyncio.Event()

    def taken(self) -> frozenset[str] | None:
        ids, self.ids, some = self.ids, set(), self.any
        self.any = False
        self.woken.clear()
        return None if some else frozenset(ids)


class Changes:
    """What has changed since each follower last looked, as a set: who is slow costs no more than that."""

    def __init__(self) -> None:
        self._followers: set[_Follower] = set()

    def tell(self, task_ids: Iterable[str] | None) -> None:
        """Something has happened to these tasks; None: perhaps to any."""
        for follower in self._followers:
            if task_ids is None or len(follower.ids) >= MOST:
                follower.any, follower.ids = True, set()
            elif not follower.any:
                follower.ids.update(task_ids)
            follower.woken.set()

    async def follow(self, seconds: float | None = None) -> AsyncIterator[frozenset[str] | None]:
        """The ids of what has changed, or None for perhaps any; after so many seconds of silence, no ids."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await follower.woken.wait()
                yield follower.taken()
        finally:
            self._followers.discard(follower)
