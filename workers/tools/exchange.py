"""One HTTP exchange of a tool: a request to where it may connect, and JSON or text of bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
from pydantic import JsonValue
from yarl import URL

from workers.errors import ToolError, ToolUnavailable
from workers.showing import cut, raised
from workers.tools.addresses import Reach
from workers.tools.endpoint import origin
from workers.tools.threads import in_thread

MOST_BYTES: Final = 4_000_000
"""Of one answer; a larger one is refused when so much of it has come."""

CONNECT_SECONDS: Final = 10.0
_REDIRECTS: Final = 5
_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses that say that the same request may succeed later."""
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_SAID: Final = 300  # characters of what a server says when it fails
_AT_ONCE: Final = 100_000  # bytes that are parsed at once, not in a thread


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``headers`` may hold credentials: they go to the origin of ``url`` alone."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: JsonValue | None = None


async def exchanged(request: Request, reach: Reach, name: str) -> JsonValue:
    """What the server answers: JSON, or a text. ``name`` is that of the tool.

    Each address is looked at when it is connected to. A redirect is followed for GET only, at most 5 times,
    and never from https to http or to an unusual port; the headers do not go to another origin.

    Raises:
        ToolUnavailable: the server cannot be reached, or has no room for now.
        ToolError: it may not be connected to, or its answer is an error, too large, or neither JSON nor text.
    """
    url, headers = request.url, request.headers
    for _ in range(_REDIRECTS + 1):
        try:
            target, found = await _once(request, url, headers, reach, name)
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
            raise ToolUnavailable(f"{name}: {url.host} cannot be reached: {raised(error)}") from error
        except aiohttp.ClientResponseError as error:  # which would tell the whole URL, and keys in its query
            wrong = " ".join(error.message.split())
            raise ToolError(f"{name}: {url.host} answered with broken HTTP: {cut(wrong, _SAID)}") from None
        if target is None:
            return found
        if origin(target) != origin(url):
            headers = {}
        url = target
    raise ToolError(f"{name}: {request.url.host} redirects more than {_REDIRECTS} times")


async def _once(
    request: Request, url: URL, headers: Mapping[str, str], reach: Reach, name: str
) -> tuple[URL | None, JsonValue]:
    """Where the answer redirects to, or the answer."""
    connector = aiohttp.TCPConnector(
        force_close=True,
        happy_eyeballs_delay=None,  # else a refusal would be taken for one address that does not work
        use_dns_cache=False,
        socket_factory=partial(reach.socket, url.host or ""),
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept": "application/json, text/plain;q=0.5", "Accept-Encoding": "identity", **headers},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
    )
    session._retry_connection = False  # else a PUT or DELETE may be sent twice
    async with (
        session,
        session.request(request.method, url, json=request.body, allow_redirects=False) as response,
    ):
        if response.status in _MOVED:
            return _target(request, response, name), None
        body = await _body(response, name)
        if response.status in _AGAIN:
            after = response.headers.get("Retry-After", "")
            told = f"{name}: {url.host} answered {response.status}: {_shown(body)}"
            raise ToolUnavailable(told, retry_after=float(after) if after.isdecimal() else None)
        if not 200 <= response.status < 300:
            raise ToolError(f"{name}: {url.host} answered {response.status}: {_shown(body)}")
        if len(body) <= _AT_ONCE:
            return None, _read(body, response, name)
        return None, await in_thread(partial(_read, body, response, name), f"tool {name}")


def _target(request: Request, response: aiohttp.ClientResponse, name: str) -> URL:
    """Where a redirect leads, if it may be followed."""
    host = response.url.host
    if request.method != "GET":
        raise ToolError(f"{name}: {host} redirects, which is followed for GET only: give the new url")
    try:
        target = response.url.join(URL(response.headers.get("Location", "")))
        is_odd = target.port not in (80, 443, request.url.port) or not target.host or target.user
    except ValueError:
        raise ToolError(f"{name}: {host} redirects to what is no URL") from None
    if target.scheme not in ("http", "https") or (response.url.scheme, target.scheme) == ("https", "http"):
        raise ToolError(f"{name}: {host} redirects to {cut(target.scheme, _SAID)}, which is not followed")
    if is_odd:
        raise ToolError(f"{name}: {host} redirects to an unusual port or with a user, which is not followed")
    return target


async def _body(response: aiohttp.ClientResponse, name: str) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ToolError(
            f"{name}: {response.url.host} answered with {cut(encoding, 40)}, though asked not to compress"
        )
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > MOST_BYTES:
            raise ToolError(f"{name}: {response.url.host} answered with more than {MOST_BYTES:,} bytes")
    return bytes(body)


def _read(body: bytes, response: aiohttp.ClientResponse, name: str) -> JsonValue:
    kind = response.content_type
    if not body.strip():
        return None
    if kind == "application/json" or kind.endswith("+json"):
        try:
            found: JsonValue = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ToolError(
                f"{name}: {response.url.host} answered with broken JSON: {raised(error)}"
            ) from None
        return found
    if kind.startswith("text/"):
        try:
            return body.decode(response.charset or "utf-8", "replace")
        except (LookupError, ValueError):  # it is unknown, or no encoding of texts
            return body.decode("utf-8", "replace")
    raise ToolError(f"{name}: {response.url.host} answered with {kind}, which is neither JSON nor text")


def _shown(body: bytes) -> str:
    text = " ".join(body[: 4 * _SAID].decode("utf-8", "replace").split())
    return cut(text, _SAID) or "nothing"
