"""Who makes a request, as its handler learns it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from orchestrator.access.caller import Caller, Unauthorized
from orchestrator.api.exchange import header_of
from orchestrator.api.problems import Contradiction

CALLER = web.RequestKey("caller", Caller)
ABOUT = web.RequestKey("about", str)
"""The tenant that a request has turned out to be about."""

OF_NOBODY = "default"
"""The tenant of what is made by a request that names none, as of tasks."""

MADE = web.RequestKey("made", str)
"""The id of what a request has made, as soon as that lasts."""

SEND_KEY = "send it as `Authorization: Bearer anb_…`"


def caller_of(request: web.Request) -> Caller:
    """Who makes the request; it was found out before the handler is called.

    Raises:
        Unauthorized: nobody that is known, as may be on a route for everybody.
    """
    caller: Caller | None = request.get(CALLER)
    if caller is None:
        raise Unauthorized(f"this needs a key: {SEND_KEY}")
    return caller


def is_known(request: web.Request) -> bool:
    """Whether it is known who makes the request; on a route for everybody it need not be."""
    return CALLER in request


def tenant_of(request: web.Request, also: str | None = None) -> str | None:
    """The tenant whose tasks the request is about; None means those of every tenant.

    ``also`` is what the request says about that elsewhere than in ``X-Tenant``.

    Raises:
        Forbidden: it names one that the caller may not speak for.
        Contradiction: it names two.
        InvalidRequest: ``X-Tenant`` is no name.
    """
    caller, named = caller_of(request), header_of(request, "X-Tenant")
    for each in (named, also):
        caller.speaking_for(each)
    if named is not None and also is not None and named != also:
        raise Contradiction(f"the request is about tenant {also[:40]!r}, but X-Tenant says {named!r}")
    about = caller.speaking_for(named if also is None else also)
    if about is not None:
        request[ABOUT] = about
    return about


def owner_of(request: web.Request) -> str:
    """The tenant of what a request makes: the one that it is about, if there is one.

    Raises:
        Forbidden, Contradiction, InvalidRequest: as for :func:`tenant_of`.
    """
    return tenant_of(request) or OF_NOBODY


def claim(body: dict[str, Any], request: web.Request) -> None:
    """Let a body say whose task it makes: the caller's, or that of a tenant which the caller may name.

    Raises:
        Forbidden, Contradiction, InvalidRequest: as for :func:`tenant_of`.
    """
    named = body.get("tenant")
    if "tenant" in body and not isinstance(named, str):
        return  # the model of the body says what is wrong
    own = tenant_of(request, None if named is None else named.strip())
    if own is not None:
        body["tenant"] = own


def sends_key(request: web.Request) -> bool:
    """Whether a request has what may be a key."""
    return "Authorization" in request.headers or "X-API-Key" in request.headers


def token_of(request: web.Request) -> str | None:
    """What a request gives for its key, in ``X-API-Key`` or ``Authorization: Bearer``; None if nothing.

    Other kinds of ``Authorization`` are given as they are, and are no key; a proxy may have left them there.

    Raises:
        Unauthorized: it has two keys.
    """
    given = [each.strip() for each in request.headers.getall("Authorization", [])]
    found = {each.strip() for each in request.headers.getall("X-API-Key", [])}
    for each in given:
        scheme, _, token = each.partition(" ")
        if scheme.lower() == "bearer":
            found.add(token.strip())
    if len(found) > 1:
        raise Unauthorized("the request has two keys; send one, in Authorization or in X-API-Key")
    return found.pop() if found else next(iter(given), None)
