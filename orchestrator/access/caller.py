"""Who makes a request, and what that allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.errors import AnabranchError


class Scope(StrEnum):
    """What a key may be allowed to do; none includes another."""

    SUBMIT = "submit"
    """Give work: submit, cancel, requeue, delete, fork and import tasks, and webhooks."""

    READ = "read"
    """See tasks, events, traces and the pool."""

    ADMIN = "admin"
    """What concerns all tenants, such as metrics."""


class Unauthorized(AnabranchError):
    """The request has no key, or one that is unknown, expired or revoked."""

    code = "unauthorized"
    http_status = 401


class Forbidden(AnabranchError):
    """The key is good, but does not allow this."""

    code = "forbidden"
    http_status = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request.

    ``tenant`` is whose tasks the caller may see and submit; None means those of every tenant. ``key`` is the
    public id of the key, None without one. ``names_tenants`` says whether the caller may speak for a tenant
    that it names.
    """

    tenant: str | None
    scopes: frozenset[Scope]
    key: str | None = None
    names_tenants: bool = False

    def require(self, scope: Scope) -> None:
        """Raise unless the caller has this scope.

        Raises:
            Forbidden: names the scope that is missing.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this key does not have the scope {scope.value!r}, which is needed here")

    def speaking_for(self, tenant: str | None) -> str | None:
        """The tenant that a request concerns which names ``tenant``; None means every tenant.

        Raises:
            Forbidden: the caller may not speak for it.
        """
        if tenant is None or tenant == self.tenant:
            return self.tenant
        if not self.names_tenants:
            raise Forbidden(f"this key belongs to tenant {self.tenant!r}, and may not name another")
        return tenant


LOCAL = Caller(tenant=None, scopes=frozenset(Scope), names_tenants=True)
"""Who asks on a service without keys, which listens on this machine alone: they may do everything."""
