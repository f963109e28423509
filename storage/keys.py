"""Keys, as values. What is secret about one is never here: only its hash."""

from __future__ import annotations

from dataclasses import dataclass

USED_SECONDS = 60.0
"""How old the time of a key's last use may become before it is written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret of a key. ``hint`` is its beginning, for people who look for it."""

    hash: str
    hint: str
    created_at: float
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a key allows, until ``expires_at`` or ``revoked_at``. Times are in seconds since the epoch.

    ``tenant`` is the tenant that it belongs to, None for all of them. While it is rotated it has two
    ``secrets``, the newest first.
    """

    id: str
    name: str
    tenant: str | None
    scopes: frozenset[str]
    names_tenants: bool
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    secrets: tuple[Secret, ...] = ()

    def counts(self, hashed: str, now: float) -> bool:
        """Whether the secret with that hash opens anything at ``now``."""
        secret = next((each for each in self.secrets if each.hash == hashed), None)
        if secret is None or self.revoked_at is not None:
            return False
        return all(end is None or now < end for end in (self.expires_at, secret.expires_at))

    def unused(self, hashed: str, now: float) -> bool:
        """Whether a use of that secret at ``now`` has to be noted."""
        noted = self.last_used_at
        return self.counts(hashed, now) and (noted is None or noted <= now - USED_SECONDS)


def account_of_key(key_id: str) -> str:
    """The name of the account of a key."""
    return f"key:{key_id}"


def account_of_tenant(tenant: str) -> str:
    """The name of the account of a tenant."""
    return f"tenant:{tenant}"
