"""What a page in somebody's browser may do here: nothing, unless it is ours or listed.

A page can send requests to every service that its reader can reach, under any name that its DNS gives to that
service. It cannot choose what the browser says about it in ``Host``, ``Origin`` and ``Sec-Fetch-Site``, and
without leave it can neither send JSON or a key nor read an answer. Programs send none of these but ``Host``.
"""

from __future__ import annotations

import socket

from aiohttp import web

from orchestrator.api.hosts import (
    Authority,
    Hosts,
    Origins,
    is_loopback,
    parse_address,
    parse_authority,
    parse_origin,
)
from orchestrator.api.listening import bound_hosts
from orchestrator.api.routes import SAFE, Route
from orchestrator.errors import AnabranchError, InvalidRequest

ASKED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Mcp-Method, Mcp-Name, "
    "Mcp-Protocol-Version, Mcp-Session-Id, X-API-Key, X-Tenant"
)
SHOWN_HEADERS = (
    "Location, Mcp-Session-Id, Retry-After, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, "
    "X-RateLimit-Reset-Requests"
)
PREFLIGHT_SECONDS = 600
"""How long a browser may remember what a page may do."""


class HostNotAllowed(AnabranchError):
    """The request was sent to a name that this service does not answer to."""

    code = "host_not_allowed"
    http_status = 421


class OriginNotAllowed(AnabranchError):
    """The request comes from a page that may not send it."""

    code = "origin_not_allowed"
    http_status = 403


class Browsers:
    """Keeps pages out that are neither ours nor listed."""

    def __init__(self, hosts: Hosts, origins: Origins) -> None:
        self._hosts = hosts
        self._origins = origins

    def check_host(self, request: web.Request, authority: Authority | None) -> None:
        """Refuse what was sent to a name that is not ours, as a page does whose DNS points here.

        Only browsers can be led here by a name; they send ``Host``, and a Unix socket is out of their reach.

        Raises:
            HostNotAllowed: says how to allow it.
        """
        if authority is None or comes_by_file(request):
            return
        if not self._hosts.allow(authority, bound_hosts(request)):
            raise HostNotAllowed(
                f"this service does not answer to the host {authority.host!r}; use localhost or the address "
                f"that it listens at, send a key, or start it with `--allowed-hosts {authority.host}`"
            )

    def check_origin(self, request: web.Request, authority: Authority | None, route: Route | None) -> None:
        """Refuse what comes from a page elsewhere, except where that page only takes its reader here.

        Raises:
            OriginNotAllowed: says how to allow it.
        """
        if self.listed(request):
            return
        site = request.headers.get("Sec-Fetch-Site", "none").strip().lower()
        if request.method in SAFE and not (route is not None and route.changes):
            followed = request.headers.get("Sec-Fetch-Mode", "").strip().lower() == "navigate"
            if site == "cross-site" and not followed:
                raise OriginNotAllowed(f"this request comes from a page of another site; {_ADVICE}")
            return
        given = request.headers.getall("Origin", [])
        for text in given:
            origin = parse_origin(text)
            if origin is None or authority is None or not origin.is_at(authority):
                raise OriginNotAllowed(f"pages from {text[:100]!r} may not do this; {_ADVICE}")
        if not given and site not in ("none", "same-origin"):
            raise OriginNotAllowed(f"pages of another origin may not do this ({site[:20]}); {_ADVICE}")
        if given and site == "cross-site":
            raise OriginNotAllowed(f"pages of another site may not do this; {_ADVICE}")

    def check_form(self, request: web.Request) -> None:
        """Refuse a form which any page could have sent: it has no header that a page's form cannot have, and
        no ``Origin``, which was looked at before.

        Raises:
            OriginNotAllowed: says what to send.
        """
        bearer = any(
            each.strip().lower().startswith("bearer ") for each in request.headers.getall("Authorization", [])
        )
        if not (bearer or "X-API-Key" in request.headers or "Origin" in request.headers):
            raise OriginNotAllowed(
                "a form is only taken with `Authorization: Bearer …` or `X-API-Key`, since any page could "
                "send one without; where no key is needed, it may be anything"
            )

    def listed(self, request: web.Request) -> bool:
        """Whether the request comes from a page elsewhere that may use this service."""
        given = request.headers.getall("Origin", [])
        return len(given) == 1 and self._origins.allow(parse_origin(given[0]))

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser that asks whether a page may send something; None if it does not ask that.

        Raises:
            OriginNotAllowed: the page may not.
        """
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if not self.listed(request):
            origin = request.headers.get("Origin", "")
            raise OriginNotAllowed(f"pages from {origin[:100]!r} may not use this service; {_ADVICE}")
        nothing = request.match_info.http_exception
        if not isinstance(nothing, web.HTTPMethodNotAllowed):
            return None  # there is nothing at that path
        headers = {
            "Access-Control-Allow-Methods": ", ".join(sorted(nothing.allowed_methods)),
            "Access-Control-Allow-Headers": ASKED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        if request.headers.get("Access-Control-Request-Private-Network", "").lower() == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return web.Response(status=204, headers=headers)

    def shown_to(self, request: web.Request) -> dict[str, str]:
        """The headers by which a browser lets a listed page read the response."""
        if not self.listed(request):
            return {}
        return {
            "Access-Control-Allow-Origin": request.headers["Origin"],
            "Access-Control-Expose-Headers": SHOWN_HEADERS,
            "Vary": "Origin",
        }


_ADVICE = "start the service with `--allowed-origins` to let pages from elsewhere use it"


def authority_of(request: web.Request) -> Authority | None:
    """The host that a request was sent to; None for one of HTTP/1.0 that does not say.

    Raises:
        InvalidRequest: it is not a name or an address, or the request says two.
    """
    said = request.headers.getall("Host", [])
    target = request.raw_path.partition("://")
    if target[1] and not request.raw_path.startswith("/"):
        said = [*said, target[2].partition("/")[0].partition("?")[0].partition("#")[0]]
    found = {parse_authority(each) for each in said}
    if None in found:
        raise InvalidRequest(
            "Host must be a name or an address, with a port or without, such as localhost:8080 or [::1]"
        )
    if len(found) > 1 or request.headers.getall("Host", [])[1:]:
        raise InvalidRequest("the request says twice to which host it was sent")
    return found.pop() if found else None


def comes_by_file(request: web.Request) -> bool:
    """Whether the request has come through a Unix socket."""
    found = request.get_extra_info("socket")
    return found is not None and found.family == socket.AF_UNIX


def comes_from_here(request: web.Request) -> bool:
    """Whether the request has come through a Unix socket, or to an address of this machine alone."""
    if comes_by_file(request):
        return True
    name = request.get_extra_info("sockname")
    address = parse_address(str(name[0])) if isinstance(name, tuple) else None
    return address is not None and is_loopback(address)
