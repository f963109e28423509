"""Drawing on rate limits that processes share, for many requests in one transaction."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic

from storage.access import AccessStore
from storage.accounts import Rate, Resource, Shortage

MOST = 10_000
"""The most accounts of which it is known that they give nothing yet, or what they have given ahead."""

REFUSING_SECONDS = 2.0
"""How long it is relied on that an account gives nothing yet: its limits may be changed meanwhile."""

AHEAD = 16
"""The most requests that are admitted before they come."""

AHEAD_SECONDS = 0.5
"""How soon they have to come; those that have not are counted all the same."""

AHEAD_SHARE = 32
"""An account gives ahead no more than such a part of its burst, and only while half of the burst is left."""

_Drawn = Rate | Shortage | None
_Drawns = Sequence[_Drawn]


@dataclass(slots=True)
class _Ahead:
    """Requests that were admitted before they came: what is left after each, and until when they count.

    ``size`` is how many they were, ``most`` how many the next ones may be.
    """

    rates: deque[Rate]
    size: int
    most: int
    until: float


class Drawing:
    """Admits requests against the accounts of the database, exactly, however many processes do so.

    Those that come while a transaction is under way go together into the next one. Where they come one soon
    after the other, each transaction admits some more that will come, twice as many each time. An account
    that has refused is not asked again before it could give something: others only ever make that later.
    """

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._waiting: list[tuple[tuple[str, ...], asyncio.Future[_Drawn]]] = []
        self._working: asyncio.Task[None] | None = None
        self._refusing: dict[str, tuple[float, float, Shortage]] = {}
        self._ahead: dict[tuple[str, ...], _Ahead] = {}

    async def draw(self, accounts: tuple[str, ...]) -> Rate | Shortage | None:
        """Admit a request on all these accounts or on none. Raises StorageError if the database cannot say.

        A request that is cancelled while it waits may have been counted.
        """
        for name in accounts:
            if (refused := self._refused(name)) is not None:
                return refused
        ahead = self._ahead.get(accounts)
        if ahead is not None and ahead.rates and monotonic() < ahead.until:
            return ahead.rates.popleft()
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
            asked = [accounts for accounts, _ in batch]
            more = {accounts: self._wanted(accounts) for accounts in dict.fromkeys(asked)}
            ahead = [accounts for accounts, count in more.items() for _ in range(count)]
            try:
                found: _Drawns = await self._store.draw(asked + ahead)
            except Exception as error:
                for _, drawn in batch:
                    if not drawn.done():
                        drawn.set_exception(error)
                continue
            except BaseException:  # the event loop ends
                for _, drawn in batch:
                    drawn.cancel()
                raise
            rest = iter(found[len(asked) :])
            self._keep(
                dict(zip(asked, found, strict=False)),
                {accounts: list(islice(rest, count)) for accounts, count in more.items()},
            )
            for (_, drawn), each in zip(batch, found, strict=False):
                if isinstance(each, Shortage):
                    self._note(each)
                if not drawn.done():
                    drawn.set_result(each)

    def _wanted(self, accounts: tuple[str, ...]) -> int:
        """How many requests to admit ahead: none unless all of the last ones came in time."""
        ahead = self._ahead.pop(accounts, None)
        if ahead is None or ahead.rates or monotonic() >= ahead.until:
            return 0
        return min(max(1, 2 * ahead.size), ahead.most)

    def _keep(
        self, latest: Mapping[tuple[str, ...], _Drawn], more: Mapping[tuple[str, ...], _Drawns]
    ) -> None:
        """Have at hand what was admitted ahead, and remember who has asked."""
        if len(self._ahead) >= MOST:
            self._ahead.clear()
        for accounts, drawn in latest.items():
            rates = deque(each for each in more[accounts] if isinstance(each, Rate))
            last = rates[-1] if rates else drawn
            if isinstance(last, Rate):
                most = min(AHEAD, last.limit // AHEAD_SHARE) if last.remaining >= last.limit / 2 else 0
                self._ahead[accounts] = _Ahead(rates, len(rates), most, monotonic() + AHEAD_SECONDS)

    def _note(self, shortage: Shortage) -> None:
        after = shortage.retry_after
        if shortage.resource is Resource.RATE and after is not None:
            if len(self._refusing) >= MOST:
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
