"""Speaks MCP with a server by streamable HTTP, whose answers are bounded in size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp.client.streamable_http import streamable_http_client

from workers.tools.mcp.declared import Declared
from workers.tools.mcp.pipes import MOST_BYTES, Complaints

_EVENTS: Final = "text/event-stream"
_SECONDS: Final = httpx2.Timeout(30.0, read=300.0)


@asynccontextmanager
async def over_http(declared: Declared, complaints: Complaints) -> AsyncIterator[tuple[Any, Any]]:
    """Streams of messages from and to a server.

    The headers go to its origin alone: a redirect that leaves it is not followed.
    """
    assert declared.url is not None
    headers = {**declared.headers, "Accept-Encoding": "identity"}
    transport = await asyncio.to_thread(_Bounded, complaints)  # which reads certificates
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers, timeout=_SECONDS) as client,
        streamable_http_client(declared.url, http_client=client, max_sse_event_size=MOST_BYTES) as streams,
    ):
        yield streams


class _TooMuch(httpx2.StreamError):
    """An answer is larger than it may be, or compressed."""


class _Bounded(httpx2.AsyncHTTPTransport):
    """Ends answers that are larger than a message may be; streams of events are bounded for each event."""

    def __init__(self, complaints: Complaints) -> None:
        super().__init__()
        self._complaints = complaints

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.status_code >= 400:
            self._complaints.add(f"\nit answered {response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise _TooMuch("it compresses, though asked not to")
        if not response.headers.get("Content-Type", "").lower().startswith(_EVENTS):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            size += len(data)
            if size > MOST_BYTES:
                raise _TooMuch(f"it answers with more than {MOST_BYTES:,} bytes")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()
