"""A server on a real socket that answers probes like a plain service, and lets a test script its streams."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(
    text: str | None = None, reason: str | None = None, usage: object = None, **fields: object
) -> bytes:
    """One event of a stream; without text and reason it has no choices."""
    choices: list[object] = []
    if text is not None or reason is not None:
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": reason} | fields]
    return b"data: " + json.dumps({"choices": choices, "usage": usage}).encode() + b"\n\n"


USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}


def respond(status: str, body: object, **headers: str) -> bytes:
    """A whole response. A string is sent as HTML, anything else as JSON."""
    html = isinstance(body, str)
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {'text/html' if html else 'application/json'}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode() + data


@dataclass
class Exchange:
    """One request that asks for a stream, and the connection to answer it on."""

    body: Mapping[str, Any]
    headers: str
    writer: asyncio.StreamWriter
    hung_up: asyncio.Event

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class RawServer:
    url: str = ""
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    get: Callable[[str], bytes] | None = None
    """Answers GET requests in place of the default."""
    whole: Callable[[Mapping[str, Any]], bytes] | None = None
    """Answers requests that do not ask for a stream in place of the default."""

    def _answer(self, path: str, body: Mapping[str, Any] | None) -> bytes:
        if body is None:
            if self.get is not None:
                return self.get(path)
            if path.endswith("/models"):
                return respond("200 OK", {"data": [{"id": "raw", "owned_by": "someone"}]})
            return respond("404 Not Found", {"detail": "Not Found"})
        if self.whole is not None:
            return self.whole(body)
        message = {"choices": [{"message": {"content": "1"}}], "usage": {"prompt_tokens": 70}}
        if body["messages"][-1]["role"] == "assistant":
            message["usage"] = {"prompt_tokens": 80}
        return respond("200 OK", message)


@asynccontextmanager
async def raw_server(script: Script | None = None) -> AsyncIterator[RawServer]:
    """``script`` answers each request that asks for a stream; then the connection is closed."""
    raw = RawServer()
    writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw.connections += 1
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            raw.paths.append(path)
            length = next(
                (int(h[16:]) for h in head.lower().split("\r\n") if h.startswith("content-length:")), 0
            )
            body = json.loads(await reader.readexactly(length)) if method == "POST" else None
            if body is not None and body.get("stream"):
                assert script is not None, "a stream was not expected"
                exchange = Exchange(body, head, writer, asyncio.Event())
                raw.exchanges.append(exchange)
                watcher = asyncio.ensure_future(_watch(reader, exchange.hung_up))
                try:
                    await script(exchange)
                finally:
                    watcher.cancel()
                return
            writer.write(raw._answer(path, body))
            await writer.drain()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers[task] = writer
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del writers[task]

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 24)
    host, port = server.sockets[0].getsockname()
    raw.url = f"http://{host}:{port}/v1"
    try:
        yield raw
    finally:
        server.close()
        for writer in writers.values():
            writer.transport.abort()
        if writers:
            await asyncio.wait(set(writers))
        await server.wait_closed()


async def _watch(reader: asyncio.StreamReader, hung_up: asyncio.Event) -> None:
    with suppress(ConnectionError):
        while await reader.read(1024):
            pass
    hung_up.set()
