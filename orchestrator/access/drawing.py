"""Drawing on rate limits that processes share, for many requests in one transaction."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from time import monotonic

from storage.access import AccessStore
from storage.accounts import Rate, Resource, Shortage

MOST_REFUSING = 10_000
"""The most accounts that are known to give nothing yet."""

REFUSING_SECONDS = 2.0
"""How long it is relied on that an account gives nothing yet: its limits may be changed meanwhile."""

_Drawn = Rate | Shortage | None


class Drawing:
    """Admits requests against the accounts of the database, exactly, however many processes do so.

    Those that come while a transaction is under way go together into the next one. An account that has
    refused is not asked again before it could give something: others only ever make that later.
    """

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._waiting: list[tuple[tuple[str, ...], asyncio.Future[_Drawn]]] = []
        self._working: asyncio.Task[None] | None = None
        self._refusing: dict[str, tuple[float, float, Shortage]] = {}

    async def draw(self, accounts: tuple[str, ...]) -> Rate | Shortage | None:
        """Admit a request on all these accounts or on none. Raises StorageError if the database cannot say.

        A request that is cancelled while it waits may have been counted.
        """
        for name in accounts:
            if (refused := self._refused(name)) is not None:
                return refused
        drawn: asyncio.Future[_Drawn] = asyncio.get_running_loop().create_future()
        self._waiting.append((accounts, drawn))
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(
                self._work(), name="rate limits", context=contextvars.Context()
            )
        return await drawn

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                found: Sequence[_Drawn] = await self._store.draw([accounts for accounts, _ in batch])
            except Exception as error:
                for _, drawn in batch:
                    if not drawn.done():
                        drawn.set_exception(error)
                continue
            except BaseException:  # the event loop ends
                for _, drawn in batch:
                    drawn.cancel()
                raise
            for (_, drawn), each in zip(batch, found, strict=True):
                if isinstance(each, Shortage):
                    self._note(each)
                if not drawn.done():
                    drawn.set_result(each)

    def _note(self, shortage: Shortage) -> None:
        after = shortage.retry_after
        if shortage.resource is Resource.RATE and after is not None:
            if len(self._refusing) >= MOST_REFUSING:
                self._refusing.clear()
            began = monotonic()
            self._refusing[shortage.account] = (began + min(after, REFUSING_SECONDS), began + after, shortage)

    def _refused(self, name: str) -> Shortage | None:
        noted = self._refusing.get(name)
        if noted is None:
            return None
        until, free_at, shortage = noted
        now = monotonic()
        if now >= until:
            del self._refusing[name]
            return None
        return Shortage(name, Resource.RATE, shortage.limit, shortage.used, retry_after=free_at - now)
