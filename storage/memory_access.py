"""Keys, accounts and reservations in dictionaries, for the store in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from typing_extensions import override

from storage.access import KEPT_SECONDS, AccessStore, Reservation
from storage.accounts import SECOND, Account, Amount, Limits, Rate, Shortage, draw_all, hold_all
from storage.keys import Key, Secret
from storage.tasks import Task


@dataclass(slots=True)
class _Held:
    reservation: Reservation
    expires_at: float
    held: bool = True
    charged: Amount = field(default_factory=Amount)


class MemoryAccess(AccessStore):
    """Keys, accounts and reservations of this process only.

    It looks at the ``tasks`` of a store by id, and at their ids by tenant and idempotency key (``known``).
    ``clock`` gives nanoseconds since the epoch.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        known: Mapping[tuple[str, str], str],
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tasks = tasks
        self._known = known
        self._clock = clock
        self._keys: dict[str, Key] = {}  # the oldest first
        self._accounts: dict[str, Account] = {}
        self._reservations: dict[str, _Held] = {}

    @override
    async def add_key(self, key: Key) -> None:
        self._keys[key.id] = key

    @override
    async def find_key(self, hashed: str) -> Key | None:
        key = next((key for key in self._keys.values() if _has(key, hashed)), None)
        if key is not None and key.unused(hashed, now := time.time()):
            self._keys[key.id] = replace(key, last_used_at=now)
        return key

    @override
    async def key(self, key_id: str) -> Key | None:
        return self._keys.get(key_id)

    @override
    async def keys(self, *, tenant: str | None = None) -> Sequence[Key]:
        return [key for key in self._keys.values() if tenant in (None, key.tenant)]

    @override
    async def any_key(self) -> bool:
        return bool(self._keys)

    @override
    async def rotate_key(self, key_id: str, secret: Secret, *, grace: float) -> Key | None:
        key = self._keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return None
        now = time.time()
        end = now + grace
        others = tuple(
            replace(each, expires_at=end if each.expires_at is None else min(each.expires_at, end))
            for each in key.secrets
            if each.expires_at is None or each.expires_at > now
        )
        self._keys[key_id] = replace(key, secrets=(secret, *others))
        return self._keys[key_id]

    @override
    async def revoke_key(self, key_id: str) -> Key | None:
        key = self._keys.get(key_id)
        if key is not None and key.revoked_at is None:
            self._keys[key_id] = key = replace(key, revoked_at=time.time())
        return key

    @override
    async def set_limits(self, name: str, limits: Limits) -> None:
        account = self._accounts.get(name) or Account(name)
        self._accounts[name] = account.limited(limits, self._clock() / SECOND)

    @override
    async def accounts(self, names: Collection[str]) -> Mapping[str, Account]:
        return {name: self._accounts[name] for name in names if name in self._accounts}

    @override
    async def tenant_accounts(self) -> Sequence[Account]:
        return [self._accounts[name] for name in sorted(self._accounts) if name.startswith("tenant:")]

    @override
    async def draw(self, requests: Sequence[tuple[str, ...]]) -> Sequence[Rate | Shortage | None]:
        now = self._clock()
        return [draw_all(self._accounts, names, now) for names in requests]

    @override
    async def reserve(
        self, wanted: Reservation, lease_seconds: float, *, again: bool = False
    ) -> Shortage | None:
        found = self._reservations.get(wanted.id)
        if found is not None and (found.held or not again):
            return None
        charged = Amount() if found is None else found.charged
        wanted, now = wanted.beyond(charged), self._clock() / SECOND
        held = hold_all(self._accounts, wanted.accounts, wanted.amount, now)
        if isinstance(held, Shortage):
            return held
        if held:
            reservation = replace(wanted, accounts=held)
            self._reservations[wanted.id] = _Held(reservation, now + lease_seconds, charged=charged)
        return None

    @override
    async def reserved(self, task_id: str) -> Reservation | None:
        found = self._reservations.get(task_id)
        return found.reservation if found is not None and found.held else None

    @override
    async def forget(self, task_id: str) -> None:
        if task_id in self._reservations and not self._reservations[task_id].held:
            del self._reservations[task_id]

    @override
    async def is_submitted(self, tenant: str, idempotency_key: str) -> bool:
        return (tenant, idempotency_key) in self._known

    @override
    async def settle(self, task_id: str, spent: Amount, *, first: bool = False) -> bool:
        found = self._reservations.get(task_id)
        if found is None:
            return False
        if first and not found.held:
            return True
        now = self._clock() / SECOND
        charge = spent - found.charged
        for name in found.reservation.accounts:
            account = self._accounts[name]
            released = account.release(found.reservation.amount) if found.held else account
            self._accounts[name] = released.charge(charge, now)
        found.held, found.charged, found.expires_at = False, spent, now + KEPT_SECONDS
        return True

    @override
    async def lapsed(self, *, limit: int = 100) -> Sequence[Reservation]:
        now = self._clock() / SECOND
        ended = {task_id: each for task_id, each in self._reservations.items() if each.expires_at < now}
        for task_id, each in ended.items():
            if not each.held:
                del self._reservations[task_id]
        free = [each for task_id, each in self._reservations.items() if each.held and self._is_free(task_id)]
        return [each.reservation for each in free[:limit]]

    def _is_free(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        if task is None:
            return self._reservations[task_id].expires_at < self._clock() / SECOND
        return task.status.terminal


def _has(key: Key, hashed: str) -> bool:
    return any(each.hash == hashed for each in key.secrets)
