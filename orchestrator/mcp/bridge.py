"""Passes requests of the HTTP server on to an ASGI application, as the protocol's library has one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from orchestrator.api.exchange import body_bytes
from orchestrator.api.problems import Unexpected

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Coroutine[Any, Any, None],
]

SECRET = (b"authorization", b"x-api-key", b"cookie")
"""Headers that are not passed on: who asks is known by then."""

LEAVING_SECONDS = 2.0
"""How long an application may take to end whose client has gone."""

OWN = ("connection", "transfer-encoding")
"""Headers of responses that the server sets itself."""


async def pass_on(
    application: Application, request: web.Request, left: asyncio.Event, **more: Any
) -> web.StreamResponse:
    """What the application answers to a request; ``more`` is what it finds in the scope besides.

    ``left`` is set when the client has gone, or when all is said. An application whose client has gone is
    told so, as servers of this kind do, and is cancelled only if it does not end then.

    Raises:
        TooLarge, RequestTimeout, InvalidRequest: the body cannot be had.
        Unexpected: the application did not answer.
    """
    body = await body_bytes(request) if request.body_exists else b""
    exchange = _Exchange(request, body, left)
    passing = asyncio.create_task(application(_scope(request) | more, exchange.receive, exchange.send))
    try:
        await asyncio.wait({passing})
    finally:
        left.set()
        try:
            await asyncio.wait({passing}, timeout=LEAVING_SECONDS)
        finally:
            passing.cancel()
            if passing.done() and not passing.cancelled():
                passing.exception()  # of which a client that has gone does not hear
    passing.result()
    if exchange.response is None:
        raise Unexpected
    return exchange.response


def _scope(request: web.Request) -> dict[str, Any]:
    headers = [(name.lower(), value) for name, value in request.raw_headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.partition("?")[0].encode("utf-8", "surrogateescape"),
        "query_string": request.query_string.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [(name, value) for name, value in headers if name not in SECRET],
        "client": None,
        "server": None,
        "state": {},
    }


class _Exchange:
    """One request and its response, as messages."""

    def __init__(self, request: web.Request, body: bytes, left: asyncio.Event) -> None:
        self.response: web.StreamResponse | None = None
        self._request = request
        self._unread: bytes | None = body
        self._left = left

    async def receive(self) -> Message:
        """The request, and once the client has gone, that it has."""
        if self._unread is not None:
            body, self._unread = self._unread, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the response, if the client is still there."""
        with suppress(ConnectionError):  # it will be told that the client has gone
            await self._send(message)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _headers(message.get("headers", ()))
            self.response = web.StreamResponse(status=message["status"], headers=headers)
            await self.response.prepare(self._request)
        elif message["type"] == "http.response.body":
            assert self.response is not None
            if body := message.get("body", b""):
                await self.response.write(body)
            if not message.get("more_body", False):
                await self.response.write_eof()


def _headers(given: Iterable[tuple[bytes, bytes]]) -> CIMultiDict[str]:
    decoded = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in given)
    return CIMultiDict((name, value) for name, value in decoded if name.lower() not in OWN)
