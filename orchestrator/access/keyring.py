"""Making, listing, rotating and revoking keys, and setting what they and tenants may use."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.access.caller import Scope
from orchestrator.access.form import hash_of, hint_of, new_key
from orchestrator.errors import AnabranchError, InvalidRequest
from storage.accounts import Account, Limits
from storage.keys import Key, Secret, account_of_key, account_of_tenant
from storage.store import Store

LONGEST_NAME = 255
"""The most characters of a name or a tenant."""

LONGEST_SECONDS = 100 * 365 * 86_400.0
"""The longest life of a key, and the longest grace period."""


class KeyNotFound(AnabranchError):
    """There is no key with that id, or it is revoked."""

    code = "key_not_found"
    http_status = 404


@dataclass(frozen=True, slots=True)
class Issued:
    """A key, and its ``secret``, which is shown this once and kept nowhere."""

    key: Key
    secret: str


class Keyring:
    """The keys and accounts of one database. Every method may raise StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store.access

    async def create(
        self,
        name: str,
        *,
        tenant: str | None,
        scopes: Collection[Scope],
        names_tenants: bool = False,
        expires_at: float | None = None,
        limits: Limits | None = None,
    ) -> Issued:
        """Make a key. ``tenant`` None means all tenants, and then the key may name one too.

        Raises:
            InvalidRequest: it would allow nothing, has ended already, or the name or tenant is no name.
        """
        now = time.time()
        _check_name("name", name)
        if tenant is not None:
            _check_name("tenant", tenant)
        if not scopes:
            raise InvalidRequest(f"a key needs a scope: {', '.join(Scope)}")
        if expires_at is not None and not now < expires_at <= now + LONGEST_SECONDS:
            raise InvalidRequest("a key expires in the future, and within a hundred years")
        secret = new_key()
        key = Key(
            id=f"key-{secrets.token_hex(6)}",
            name=name,
            tenant=tenant,
            scopes=frozenset(each.value for each in scopes),
            names_tenants=names_tenants or tenant is None,
            created_at=now,
            expires_at=expires_at,
            secrets=(Secret(hash=hash_of(secret), hint=hint_of(secret), created_at=now),),
        )
        if limits is not None and limits.any:  # first, so that the key is never without them
            await self._store.set_limits(account_of_key(key.id), limits)
        await self._store.add_key(key)
        return Issued(key, secret)

    async def keys(self, *, tenant: str | None = None) -> Sequence[Key]:
        """All keys, or those of one tenant, the oldest first."""
        return await self._store.keys(tenant=tenant)

    async def rotate(self, key_id: str, *, grace: float = 0.0) -> Issued:
        """Give a key a new secret; the one before goes on for ``grace`` seconds.

        Id, limits, and what was used of them stay.

        Raises:
            InvalidRequest: the grace period is too long.
            KeyNotFound: there is no such key, or it is revoked.
        """
        if not 0 <= grace <= LONGEST_SECONDS:
            raise InvalidRequest("the grace period is at most a hundred years")
        secret, now = new_key(), time.time()
        made = Secret(hash=hash_of(secret), hint=hint_of(secret), created_at=now)
        key = await self._store.rotate_key(key_id, made, grace=grace)
        if key is None:
            raise KeyNotFound(
                f"there is no key {key_id!r} that can be rotated; `anabranch keys list` has all"
            )
        return Issued(key, secret)

    async def revoke(self, key_id: str) -> Key:
        """End a key for ever. Its tasks go on.

        Raises:
            KeyNotFound: there is no such key.
        """
        key = await self._store.revoke_key(key_id)
        if key is None:
            raise KeyNotFound(f"there is no key {key_id!r}; `anabranch keys list` has all")
        return key

    async def limit_key(self, key_id: str, limits: Limits) -> Account:
        """Let a key have these limits, and no others; what it has used stays.

        Raises:
            KeyNotFound: there is no such key.
        """
        if await self._store.key(key_id) is None:
            raise KeyNotFound(f"there is no key {key_id!r}; `anabranch keys list` has all")
        return await self._limit(account_of_key(key_id), limits)

    async def limit_tenant(self, tenant: str, limits: Limits) -> Account:
        """Let all keys together that speak for a tenant have these limits; what was used of them stays.

        Raises:
            InvalidRequest: the tenant is no name.
        """
        _check_name("tenant", tenant)
        return await self._limit(account_of_tenant(tenant), limits)

    async def accounts_of(self, keys: Sequence[Key]) -> Mapping[str, Account]:
        """The accounts of those of the keys that have ever had limits, by the id of the key."""
        found = await self._store.accounts([account_of_key(key.id) for key in keys])
        return {key.id: found[name] for key in keys if (name := account_of_key(key.id)) in found}

    async def tenants(self) -> Sequence[Account]:
        """The accounts of all tenants that have ever had limits."""
        return await self._store.tenant_accounts()

    async def _limit(self, name: str, limits: Limits) -> Account:
        await self._store.set_limits(name, limits)
        return (await self._store.accounts((name,)))[name]


def _check_name(what: str, text: str) -> None:
    odd = any(unicodedata.category(each) in ("Cc", "Cs") for each in text)
    if not 0 < len(text) <= LONGEST_NAME or odd or text != text.strip():
        raise InvalidRequest(
            f"{what}: {text[:40]!r} must be 1 to {LONGEST_NAME} characters of UTF-8, without control "
            "characters and without spaces around them"
        )
