"""Reserving what a task may take before it is stored, and charging what it took when it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import structlog

from orchestrator.access.caller import Caller
from orchestrator.access.refusals import refusal
from orchestrator.access.spending import NoPrices, Prices, Tokens, bound_of, tokens_of
from orchestrator.errors import AnabranchError, InvalidRequest
from storage.access import Reservation
from storage.accounts import Amount, Limits, Shortage
from storage.errors import StorageError, StorageUnavailable, TaskNotFound
from storage.keys import account_of_key, account_of_tenant
from storage.store import Store
from storage.tasks import NewTask, Task, new_task_id

log = structlog.get_logger()

LEASE_SECONDS = 120.0
"""How long a reservation is held while its task is not stored yet."""

SWEEP_SECONDS = 1.0
"""How long the reservations that nobody holds any more are not looked for again."""


class Reserved:
    """A task that has what it may take: ``task`` is how to store it."""

    def __init__(self, task: NewTask) -> None:
        self.task = task
        self.stored: Task | None = None

    def keep(self, stored: Task) -> Task:
        """The task as it was stored; if that is an earlier one, nothing needs to be held for this one."""
        self.stored = stored
        return stored


class Spending:
    """What work without a task has used, as far as it has come: whoever does it sets ``tokens``."""

    def __init__(self) -> None:
        self.tokens = Tokens()


class Reserving:
    """What tasks hold of the concurrency and the budgets of keys and tenants, and what they are charged."""

    def __init__(
        self, store: Store, limits_of: Callable[[str], Awaitable[Limits | None]], prices: Prices
    ) -> None:
        self._store = store
        self._limits_of = limits_of
        self._prices = prices
        self._swept_at = float("-inf")

    @asynccontextmanager
    async def reserved(self, new: NewTask, caller: Caller | None) -> AsyncIterator[Reserved]:
        """Hold for a task what it may take, while the block stores it; a caller without a key has no limits.

        What is stored under another id, or refused, holds nothing afterwards. Where nobody knows whether it
        was stored, the reservation goes when its lease ends and there is no such task.

        Raises:
            TooManyTasks, QuotaExhausted: there is no room for it.
            InvalidRequest: it asks for more tokens than a task may take.
            NoPrices: a budget is in money, and this process does not know what tokens cost.
        """
        if caller is None or caller.key is None:
            yield Reserved(new)
            return
        task = replace(new, submitted_by=caller.key, id=new.id or new_task_id())
        limits = await self._limits_for(caller.key, new.tenant)
        task, tokens = await self._bounded(task, limits)
        held = False
        if accounts := _holding(limits):
            most = self._most(limits, tokens)
            shortage = await self._reserve(Reservation(id=str(task.id), accounts=accounts, amount=most))
            if shortage is not None and not await self._is_known(new):
                raise refusal(shortage)
            held = shortage is None
        reserved = Reserved(task)
        try:
            yield reserved
        except (AnabranchError, StorageError) as error:
            if held and not isinstance(error, StorageUnavailable):
                await self._store.access.settle(str(task.id), Amount())
            raise
        if held and reserved.stored is not None and reserved.stored.id != task.id:
            await self._store.access.settle(str(task.id), Amount())

    @asynccontextmanager
    async def spending(
        self, caller: Caller, tenant: str, tokens: int, *, seconds: float
    ) -> AsyncIterator[Spending]:
        """Hold so many tokens while the block does work that is no task, and charge what that has used.

        It counts as one of the tasks that the caller may have at once. If the process dies, it is free again
        after ``seconds``.

        Raises:
            TooManyTasks, QuotaExhausted, InvalidRequest, NoPrices: as :meth:`reserved`.
        """
        spent = Spending()
        limits = {} if caller.key is None else await self._limits_for(caller.key, tenant)
        accounts = _holding(limits)
        if not accounts:
            yield spent
            return
        self._require_prices(limits)
        bound_of(tokens, limits.values())
        work = new_task_id()
        wanted = Reservation(id=work, accounts=accounts, amount=self._most(limits, tokens))
        if (shortage := await self._reserve(wanted, seconds=seconds)) is not None:
            raise refusal(shortage)
        try:
            yield spent
        finally:
            await self._store.access.settle(work, self._prices.of(spent.tokens))

    async def put_back(self, task: Task, caller: Caller | None) -> str | None:
        """Hold for a dead task what it may still take, before it waits again; returns the key it belongs to.

        That is the key that has asked for it; one that none has asked for, such as an imported one, belongs
        to the key of the caller. If it is not put back after all, the reservation goes when its lease ends.

        Raises:
            TooManyTasks, QuotaExhausted, InvalidRequest, NoPrices: as :meth:`reserved`.
        """
        if caller is None or caller.key is None:
            return None
        key = task.submitted_by or caller.key
        limits = await self._limits_for(key, task.tenant)
        asked, bound = await self._bound(task, limits)
        if bound != asked:
            raise _unbounded(f"task {task.id} has no `budget.tokens`, so it", bound)
        if task.submitted_by is None:  # what was charged before was charged for another task of this id
            await self._store.access.forget(task.id)
        if accounts := _holding(limits):
            wanted = Reservation(id=task.id, accounts=accounts, amount=self._most(limits, asked))
            if (shortage := await self._reserve(wanted, again=True)) is not None:
                raise refusal(shortage)
        return key

    async def removed(self, task: Task) -> None:
        """Charge what a task has used that is about to be removed, and of which nobody has done so."""
        if (held := await self._store.access.reserved(task.id)) is not None:
            await self._store.access.settle(task.id, await self._spent_on(held), first=True)

    async def ended(self, task: Task, tokens: Tokens | None = None) -> None:
        """Charge what a task has used that has ended; None: what its journal says."""
        if task.submitted_by is not None:
            used = await tokens_of(self._store, task.id) if tokens is None else tokens
            await self._store.access.settle(task.id, self._prices.of(used))

    async def _limits_for(self, key: str, tenant: str) -> dict[str, Limits]:
        names = (account_of_key(key), account_of_tenant(tenant))
        return {name: found for name in names if (found := await self._limits_of(name)) is not None}

    def _most(self, limits: Mapping[str, Limits], tokens: int | None) -> Amount:
        """What a task may take of its budgets that may take so many tokens."""
        budgeted = any(each.budgeted for each in limits.values())
        return self._prices.most(tokens) if budgeted and tokens is not None else Amount()

    async def _bounded(self, new: NewTask, limits: Mapping[str, Limits]) -> tuple[NewTask, int | None]:
        """The task with a bound of its tokens, if its accounts want one, and the bound."""
        asked, bound = await self._bound(new, limits)
        if bound == asked:
            return new, asked
        if new.parent_id is not None:
            raise _unbounded(f"task {new.parent_id} has no `budget.tokens`, so its fork", bound)
        budget = {**new.options.get("budget", {}), "tokens": bound}
        return replace(new, options={**new.options, "budget": budget}), bound

    async def _bound(
        self, task: NewTask | Task, limits: Mapping[str, Limits]
    ) -> tuple[int | None, int | None]:
        """The bound of its tokens that a task asks for, and the one that its accounts want."""
        self._require_prices(limits)
        asked = await self._asked(task) if limits else None
        return asked, bound_of(asked, limits.values())

    def _require_prices(self, limits: Mapping[str, Limits]) -> None:
        if not self._prices.known and any(each.cost is not None for each in limits.values()):
            raise NoPrices(
                "the key or its tenant has a cost budget, but this service does not know what tokens cost: "
                "set ANABRANCH_PROMPT_PRICE and ANABRANCH_COMPLETION_PRICE"
            )

    async def _asked(self, task: NewTask | Task) -> int | None:
        """The bound that a request gives; a fork has that of its parent, and a run goes by its journal."""
        options, parent_id, task_id = task.options, task.parent_id, task.id
        while True:
            if task_id is not None and (recorded := await self._recorded(task_id)) is not None:
                options = recorded
            if parent_id is None or "budget" in options:
                break
            parent = await self._store.get(parent_id)
            options, parent_id, task_id = parent.options, parent.parent_id, parent.id
        budget: Any = options.get("budget")
        tokens = budget.get("tokens") if isinstance(budget, dict) else None
        return tokens if isinstance(tokens, int) and tokens > 0 else None

    async def _recorded(self, task_id: str) -> Mapping[str, Any] | None:
        """What the run of a task was started with; None if it has not begun."""
        with suppress(TaskNotFound):
            async with aclosing(self._store.read(task_id)) as events:  # type: ignore[type-var]
                async for event in events:
                    return event.data
        return None

    async def _reserve(
        self, wanted: Reservation, *, again: bool = False, seconds: float | None = None
    ) -> Shortage | None:
        lease = LEASE_SECONDS if seconds is None else seconds
        shortage = await self._store.access.reserve(wanted, lease, again=again)
        if shortage is not None and await self._sweep():
            shortage = await self._store.access.reserve(wanted, lease, again=again)
        return shortage

    async def _is_known(self, new: NewTask) -> bool:
        """Whether the request is a second one with its key, so that it only asks for the first task."""
        key = new.idempotency_key
        return key is not None and await self._store.access.is_submitted(new.tenant, key)

    async def _sweep(self) -> bool:
        """Settle what is reserved for tasks that have ended, or never came to be, unnoticed."""
        if monotonic() < self._swept_at + SWEEP_SECONDS:
            return False
        self._swept_at = monotonic()
        swept = False
        while lapsed := await self._store.access.lapsed():
            for each in lapsed:
                await self._store.access.settle(each.id, await self._spent_on(each), first=True)
            swept = True
        return swept

    async def _spent_on(self, lapsed: Reservation) -> Amount:
        """What a task has used, by its journal; all that was reserved if that cannot be read."""
        try:
            return self._prices.of(await tokens_of(self._store, lapsed.id))
        except TaskNotFound:
            return Amount()
        except StorageError as error:
            if error.retryable:
                raise
            log.warning("what a task has used cannot be read", task=lapsed.id, error=str(error))
            return lapsed.amount


def _holding(limits: Mapping[str, Limits]) -> tuple[str, ...]:
    """The accounts of which a task holds something until it ends."""
    return tuple(name for name, each in limits.items() if each.holding)


def _unbounded(what: str, bound: int | None) -> InvalidRequest:
    return InvalidRequest(
        f"{what} could take any number, but the tasks of this key and its tenant may take at most {bound:,}"
    )
