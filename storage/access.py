"""Who may use the service and how much, as other packages see it: keys, accounts and reservations.

The contract beside that of tasks. Whatever it promises holds for all processes on one database, however many
ask at the same moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from storage.accounts import Account, Amount, Limits, Rate, Shortage
from storage.keys import Key, Secret

KEPT_SECONDS = 30 * 86_400.0
"""How long it is remembered what a task that has ended was charged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a task has reserved on which accounts. ``id`` is that of the task."""

    id: str
    accounts: tuple[str, ...]
    amount: Amount

    def beyond(self, charged: Amount) -> Reservation:
        """What is still to be reserved of it for a task that was charged so much before."""
        left = self.amount - charged
        return replace(self, amount=Amount(max(0, left.tokens), max(0, left.cost)))


class AccessStore(ABC):
    """Keys, accounts and reservations. Every method may raise StorageUnavailable."""

    # Keys

    @abstractmethod
    async def add_key(self, key: Key) -> None:
        """Store a new key with its secrets."""

    @abstractmethod
    async def find_key(self, hashed: str) -> Key | None:
        """The key that has a secret with that hash, revoked and expired ones too.

        Notes that the key is used, if it counts and that was last noted :data:`USED_SECONDS` ago; it is found
        also while that cannot be written.
        """

    @abstractmethod
    async def key(self, key_id: str) -> Key | None:
        """The key with that id."""

    @abstractmethod
    async def keys(self, *, tenant: str | None = None) -> Sequence[Key]:
        """All keys, or those that belong to a tenant, the oldest first."""

    @abstractmethod
    async def any_key(self) -> bool:
        """Whether there was ever a key."""

    @abstractmethod
    async def rotate_key(self, key_id: str, secret: Secret, *, grace: float) -> Key | None:
        """Give a key a new secret; the others end in ``grace`` seconds, unless they end before.

        None if there is no such key, or it is revoked.
        """

    @abstractmethod
    async def revoke_key(self, key_id: str) -> Key | None:
        """End a key for ever; one that is revoked stays as it is. None if there is no such key."""

    # Accounts

    @abstractmethod
    async def set_limits(self, name: str, limits: Limits) -> None:
        """Let an account have these limits from now on; what it has used stays."""

    @abstractmethod
    async def accounts(self, names: Collection[str]) -> Mapping[str, Account]:
        """Those of the accounts that have ever had limits."""

    @abstractmethod
    async def tenant_accounts(self) -> Sequence[Account]:
        """The accounts of all tenants that have ever had limits."""

    @abstractmethod
    async def draw(self, requests: Sequence[tuple[str, ...]]) -> Sequence[Rate | Shortage | None]:
        """Admit requests one after the other, each on all its accounts or on none; see :func:`draw_all`."""

    @abstractmethod
    async def reserve(
        self, wanted: Reservation, lease_seconds: float, *, again: bool = False
    ) -> Shortage | None:
        """Reserve for a task on all those accounts that limit it, or say which of them is short of what.

        It is held while the task waits or runs, and until the lease ends while there is no such task yet.
        What a task has reserved stays as it is, and so does what it was charged before, unless it is to run
        ``again``: then it reserves what it may still take.
        """

    @abstractmethod
    async def reserved(self, task_id: str) -> Reservation | None:
        """What a task holds; None if it holds nothing, or was charged already."""

    @abstractmethod
    async def forget(self, task_id: str) -> None:
        """Forget what was charged for a task that holds nothing: another one has its id now."""

    @abstractmethod
    async def is_submitted(self, tenant: str, idempotency_key: str) -> bool:
        """Whether the tenant has a task with that idempotency key."""

    @abstractmethod
    async def settle(self, task_id: str, spent: Amount, *, first: bool = False) -> bool:
        """Charge what a task has spent in all, in place of what it has reserved or was charged before.

        With ``first``, what it was charged before stays. False if it has reserved nothing. Doing it twice
        changes nothing.
        """

    @abstractmethod
    async def lapsed(self, *, limit: int = 100) -> Sequence[Reservation]:
        """Reservations that nobody holds any more: the task has ended, or there is none and the lease has.

        Forgets the charges of tasks that ended :data:`KEPT_SECONDS` ago.
        """
