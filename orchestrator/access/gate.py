"""Who asks, and whether there is room for it: what each request passes before anything is done for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from orchestrator.access.caller import LOCAL, Caller, Scope, Unauthorized
from orchestrator.access.drawing import Drawing
from orchestrator.access.form import PREFIX, hash_of, is_key
from orchestrator.access.refusals import refusal
from orchestrator.access.remembering import Freshness, Remembered
from orchestrator.access.reserving import Reserved, Reserving, Spending
from orchestrator.access.spending import Prices, Tokens
from orchestrator.settings import Settings
from storage.accounts import Limits, Rate, Shortage
from storage.keys import Key, account_of_key, account_of_tenant
from storage.store import Store
from storage.tasks import NewTask, Task

FRESH_SECONDS = 2.0
"""How long what was read of keys and limits is relied on: so soon, a revocation counts in all processes."""

REMEMBERED = 10_000
"""The most keys, and the most accounts, that are remembered."""

_REFUSED = "this needs a key that is valid here: send `Authorization: Bearer anb_…`"


class Access:
    """Keys, limits and budgets of the callers of one process, over what all processes share.

    A key is looked up once in :data:`FRESH_SECONDS`; in between, recognising it costs microseconds. Whoever
    has no rate limit is admitted without asking the database, and those who have are asked for together.
    Every method may raise StorageError. ``clock`` gives the seconds by which what was read grows old.
    """

    def __init__(
        self, store: Store, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store.access
        fresh = Freshness(FRESH_SECONDS, clock)
        self._keys = Remembered[Key](self._store.find_key, most=REMEMBERED, forgets_none=True, fresh=fresh)
        self._limits = Remembered[Limits](self._read_limits, most=REMEMBERED, fresh=fresh)
        self._any_key = Remembered[bool](self._read_any_key, most=1, fresh=fresh)
        self._keyed = False
        self._drawing = Drawing(self._store)
        prices = Prices(settings.prompt_price, settings.completion_price)
        self._reserving = Reserving(store, self._limits.get, prices)

    async def keyed(self) -> bool:
        """Whether requests need a key: there is one in the database, or there was one that is revoked now.

        Once this is true it stays so; a first key counts after :data:`FRESH_SECONDS` at the latest.
        """
        if not self._keyed:
            self._keyed = bool(await self._any_key.get(""))
        return self._keyed

    async def authenticate(self, token: str | None) -> Caller:
        """Who sends this key; None: who sends none. Without any keys in the database, that is :data:`LOCAL`.

        Raises:
            Unauthorized: it is missing, unknown, expired or revoked; the error does not say which.
        """
        if token is None or not token.startswith(PREFIX):
            if await self.keyed():
                raise Unauthorized(_REFUSED)
            return LOCAL
        if not is_key(token):
            raise Unauthorized(_REFUSED)
        hashed = hash_of(token)
        key = await self._keys.get(hashed)
        if key is None or not key.counts(hashed, time.time()):
            raise Unauthorized(_REFUSED)
        return _caller(key)

    async def admit(self, caller: Caller, tenant: str | None = None) -> Rate | None:
        """Count a request against the rate of its key and of the tenant that it is about.

        ``tenant`` is the one that the request names; by default the one that the key belongs to. Returns how
        much is left where that is least, for the headers of the response; None if there is no rate limit.

        Raises:
            RateLimited: there is none left; with ``retry_after``, and ``rate`` for the headers.
        """
        if caller.key is None:
            return None
        names = [account_of_key(caller.key)]
        if (about := tenant or caller.tenant) is not None:
            names.append(account_of_tenant(about))
        limited = []
        for name in names:
            limits = await self._limits.get(name)
            if limits is not None and limits.rate is not None:
                limited.append(name)
        if not limited:
            return None
        drawn = await self._drawing.draw(tuple(limited))
        if isinstance(drawn, Shortage):
            raise refusal(drawn)
        return drawn

    def reserved(self, new: NewTask, caller: Caller | None) -> AbstractAsyncContextManager[Reserved]:
        """Hold what a new task may take while the block stores it; see :meth:`Reserving.reserved`."""
        return self._reserving.reserved(new, caller)

    def spending(
        self, caller: Caller, tenant: str, tokens: int, *, seconds: float
    ) -> AbstractAsyncContextManager[Spending]:
        """Hold what work without a task may take while the block does it; see :meth:`Reserving.spending`."""
        return self._reserving.spending(caller, tenant, tokens, seconds=seconds)

    async def put_back(self, task: Task, caller: Caller | None) -> str | None:
        """Hold what a dead task may still take; see :meth:`Reserving.put_back`."""
        return await self._reserving.put_back(task, caller)

    async def removed(self, task: Task) -> None:
        """Charge what a task has used before it is removed; see :meth:`Reserving.removed`."""
        await self._reserving.removed(task)

    async def ended(self, task: Task, tokens: Tokens | None = None) -> None:
        """Charge what a task has used that has ended, in place of what it has reserved; None: by its journal.

        May be called again; the last call counts.
        """
        await self._reserving.ended(task, tokens)

    def forget(self) -> None:
        """Look up keys and limits anew: one of them was changed in this process."""
        self._keys.forget()
        self._limits.forget()
        self._any_key.forget()

    async def _read_limits(self, name: str) -> Limits | None:
        account = (await self._store.accounts((name,))).get(name)
        return account.limits if account is not None and account.limits.any else None

    async def _read_any_key(self, _: str) -> bool:
        return await self._store.any_key()


def _caller(key: Key) -> Caller:
    return Caller(
        tenant=key.tenant,
        scopes=frozenset(Scope(each) for each in key.scopes if each in _SCOPES),
        key=key.id,
        names_tenants=key.names_tenants,
    )


_SCOPES = frozenset(each.value for each in Scope)
