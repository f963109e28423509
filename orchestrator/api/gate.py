"""What every request passes before its handler sees it: where it was sent to, who asks, and from which page.

Whatever its path is, the first question is whether it was sent to us. Then come who asks, from which page,
what the route allows, how often its caller may ask, and whether the body is one that the route takes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from typing import Never

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars

from orchestrator.access.audit import audit
from orchestrator.access.caller import LOCAL, Caller, Unauthorized
from orchestrator.access.gate import Access
from orchestrator.access.refusals import RateLimited
from orchestrator.api.browsers import Browsers, authority_of, comes_from_here
from orchestrator.api.callers import ABOUT, CALLER, MADE, SEND_KEY, sends_key, tenant_of, token_of
from orchestrator.api.exchange import header_of, no_body
from orchestrator.api.hosts import Authority, Hosts, Origins
from orchestrator.api.problems import SAFE_HEADERS, UnsupportedMediaType
from orchestrator.api.routes import Route, route_of
from orchestrator.errors import AnabranchError
from orchestrator.structured import task_group
from storage.accounts import Rate
from storage.errors import StorageError

log = structlog.get_logger()

RATE = web.RequestKey("rate", Rate)

RECHECK_SECONDS = 10.0
"""How often it is looked whether the key of a stream still counts."""

PROBE_SECONDS = 1.0
"""How long a route for everybody waits for the database to say who asks: it answers also without that."""


class Gate:
    """Lets requests in, and adds to each response what a browser has to know.

    Without any keys in the database, whoever reaches this machine's own addresses may do everything, and no
    one else anything; ``insecure`` lets everybody in. Once there is a key, every route needs one but those
    for everybody.
    """

    def __init__(self, access: Access, hosts: Hosts, origins: Origins, *, insecure: bool = False) -> None:
        self._access = access
        self._browsers = Browsers(hosts, origins)
        self._insecure = insecure
        self._keyless = False
        """Whether no key was needed when the database last said anything about that."""

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request pass, or raise what it is refused with."""
        authority = authority_of(request)
        if (answer := self._browsers.preflight(request)) is not None:
            return answer
        route = route_of(request)
        caller = await self._caller(request, authority, route)
        self._browsers.check_origin(request, authority, route)
        if route is None:  # the handler is one that refuses, or nobody has said who may use it
            return await handler(request) if request.match_info.http_exception else _nothing()
        if caller is not None:
            request[CALLER] = caller
            if caller.tenant is not None:
                bind_contextvars(tenant=caller.tenant)
        if not route.changes or caller is None:
            return await self._allowed(request, route, caller, handler)
        return await self._audited(request, route, caller, handler)

    async def _allowed(
        self, request: web.Request, route: Route, caller: Caller | None, handler: Handler
    ) -> web.StreamResponse:
        """Pass on what the caller may do now."""
        if route.scope is not None or route.keyed:
            assert caller is not None
            if route.scope is not None:
                caller.require(route.scope)
            await self._admit(request, caller)
        return await self._handled(request, route, handler)

    async def _caller(
        self, request: web.Request, authority: Authority | None, route: Route | None
    ) -> Caller | None:
        """Who asks; None if nobody has to be known here, and nobody is."""
        if not sends_key(request):
            self._browsers.check_host(request, authority)
        try:
            if route is None or (route.scope is None and not route.keyed):
                caller = await self._perhaps(request)
            else:
                caller = await self._known(request)
        except Unauthorized:
            self._browsers.check_host(request, authority)  # which tells more than that a key does not count
            raise
        if caller is None or caller.key is None:
            self._browsers.check_host(request, authority)
        return caller

    async def _known(self, request: web.Request) -> Caller:
        """Who asks. Raises Unauthorized."""
        token = token_of(request)
        try:
            caller = await self._access.authenticate(token)
        except Unauthorized:
            self._keyless = self._keyless and token is not None
            raise
        if caller.key is not None:
            return caller
        self._keyless = True
        if self._insecure or comes_from_here(request):
            return caller
        raise Unauthorized(
            "this service has no keys yet, and serves its own machine alone: create one there with "
            f"`anabranch keys create`, and {SEND_KEY}"
        )

    async def _perhaps(self, request: web.Request) -> Caller | None:
        """Who asks, if that is found out soon: how the process is can be asked while the database hangs."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._known(request)
        except (TimeoutError, StorageError):
            return LOCAL if self._keyless and comes_from_here(request) else None
        except Unauthorized:
            return None

    async def _admit(self, request: web.Request, caller: Caller) -> None:
        """Count the request against the rates of its caller and of the tenant that it is about."""
        about = tenant_of(request) if header_of(request, "X-Tenant") is not None else None
        try:
            rate = await self._access.admit(caller, about)
        except RateLimited as error:
            request[RATE] = error.rate
            raise
        if rate is not None:
            request[RATE] = rate

    async def _handled(self, request: web.Request, route: Route, handler: Handler) -> web.StreamResponse:
        """Pass on what has a body that the route takes."""
        if not route.media:
            await no_body(request)
        elif request.content_type not in route.media and (
            route.needs_body or request.body_exists or "Content-Type" in request.headers
        ):
            raise UnsupportedMediaType(
                f"the content type is {request.content_type!r}; send {' or '.join(route.media)}"
            )
        if route.form:
            self._browsers.check_form(request)
        if route.max_body is not None:
            request = request.clone(client_max_size=route.max_body)
        if not route.streams:
            return await handler(request)
        watching: list[asyncio.Task[None]] = []
        async with task_group() as group:

            def watch() -> None:
                name = "watch over the key of a stream"
                watching.append(group.create_task(self._watch(request), name=name))

            later = asyncio.get_running_loop().call_later(RECHECK_SECONDS, watch)  # most have ended by then
            try:
                return await handler(request)
            finally:
                later.cancel()
                for each in watching:
                    each.cancel()

    async def _watch(self, request: web.Request) -> None:
        """End the connection of a stream once its caller would no longer be let in."""
        while request.transport is not None:  # the client is there
            try:
                await self._known(request)
            except Unauthorized:
                log.info("a stream was ended whose key counts no longer", path=request.path)
                request.transport.close()
                return
            except StorageError as error:
                log.warning("it is unknown whether the key of a stream still counts", error=str(error))
            await asyncio.sleep(RECHECK_SECONDS)

    async def _audited(
        self, request: web.Request, route: Route, caller: Caller, handler: Handler
    ) -> web.StreamResponse:
        """Pass on what changes something, and write down who did that and how it ended."""
        outcome, target = "internal", request.match_info.get("id")
        try:
            response = await self._allowed(request, route, caller, handler)
            outcome = "done"
            target = target or response.headers.get("Location", "").rpartition("/")[2] or None
        except AnabranchError as error:
            outcome = error.code
            raise
        except StorageError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:
            target = target or request.get(MADE)
            outcome = "cancelled" if target is None else "done"  # nobody waits for what comes of it
            raise
        else:
            return response
        finally:
            if caller.key is not None:
                about = request.get(ABOUT)
                line = partial(audit, caller, route.name, outcome=outcome, tenant=about, target=target)
                asyncio.get_running_loop().call_soon(line)  # its client need not wait for that

    async def on_response(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that every response has, before the first byte of it is sent."""
        headers: Mapping[str, str] = {
            **SAFE_HEADERS,
            **self._browsers.shown_to(request),
            **rate_headers(request.get(RATE)),
        }
        response.headers.popall("Server", None)  # aiohttp has said its version there
        for name, value in headers.items():
            response.headers.setdefault(name, value)


def _nothing() -> Never:
    raise web.HTTPNotFound


def rate_headers(rate: Rate | None) -> dict[str, str]:
    """What a response says of how often its caller may ask, as clients of other services read it too."""
    if rate is None:
        return {}
    return {
        "X-RateLimit-Limit-Requests": str(rate.limit),
        "X-RateLimit-Remaining-Requests": str(rate.remaining),
        "X-RateLimit-Reset-Requests": f"{math.ceil(rate.reset)}s",
    }
