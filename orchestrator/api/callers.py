"""Who makes a request, as its handler learns it."""

from __future__ import annotations

from aiohttp import web

from orchestrator.access.caller import LOCAL, Caller
from orchestrator.api.exchange import header_of

CALLER = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who makes the request; it was found out before the handler is called."""
    return request.get(CALLER, LOCAL)


def tenant_of(request: web.Request) -> str | None:
    """The tenant whose tasks the request may see; None means those of every tenant.

    Raises:
        Forbidden: it names one that it may not speak for.
        InvalidRequest: ``X-Tenant`` is no name.
    """
    return caller_of(request).speaking_for(header_of(request, "X-Tenant"))
