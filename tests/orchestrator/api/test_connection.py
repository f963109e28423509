"""What the HTTP server answers before any route sees the request, and clients that are slow."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from orchestrator.api import connection
from orchestrator.api.listening import DOOR, listening
from orchestrator.settings import Settings
from tests.orchestrator.api.conftest import Open, reply_of

HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"POST /v1/tasks" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "a long request line": (b"GET /" + b"a" * 9_000 + HOST + CLOSE, 414, "uri_too_long"),
    "a long header": (b"GET /" + HOST + b"X: " + b"a" * 9_000 + b"\r\n\r\n", 431, "headers_too_large"),
    "a header without end": (b"GET /" + HOST + b"X: " + b"a" * 3_000_000, 431, "headers_too_large"),
    "many headers": (b"GET /" + HOST + b"X: y\r\n" * 500 + b"\r\n", 431, "headers_too_large"),
    "no HTTP": (b"hello\r\n\r\n", 400, "malformed_request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", 400, "malformed_request"),
    "an unknown method": (b"FOO /healthz" + HOST + b"\r\n", 400, "malformed_request"),
    "another version": (b"GET /healthz HTTP/3.0\r\n\r\n", 400, "malformed_request"),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed_request"),
    "a control character": (b"GET /healthz" + HOST + b"X: a\x01\r\n\r\n", 400, "malformed_request"),
    "a length that is none": (b"POST /" + HOST + b"Content-Length: x\r\n\r\n", 400, "malformed_request"),
    "two lengths": (b"POST /" + HOST + b"Content-Length: 1\r\n" * 2 + b"\r\n", 400, "malformed_request"),
    "a chunk that is none": (CHUNKED + b"zz\r\nabc\r\n", 400, "malformed_request"),
    "a later chunk that is none": (CHUNKED + b"1\r\n{\r\nzz\r\nabc\r\n", 400, "malformed_request"),
    "bytes in the path": (b"GET /v1/tasks/\xff" + HOST + b"\r\n", 400, "malformed_request"),
    "a bad absolute URL": (b"GET http://x:99999/healthz" + HOST + b"\r\n", 400, "malformed_request"),
    "garbage behind a request": (b"\r\n\r\n\r\nGET\r\n\r\n", 400, "malformed_request"),
    "an unknown expectation": (b"GET /healthz" + HOST + b"Expect: x\r\n" + CLOSE, 417, "expectation_failed"),
    "TRACE": (b"TRACE /healthz" + HOST + CLOSE, 405, "method_not_allowed"),
    "OPTIONS": (b"OPTIONS /v1/tasks" + HOST + CLOSE, 405, "method_not_allowed"),
    "OPTIONS of all": (b"OPTIONS *" + HOST + CLOSE, 404, "not_found"),
    "CONNECT": (b"CONNECT a:80" + HOST + CLOSE, 404, "not_found"),
    "half a surrogate pair": (b"GET /v1/tasks/%ED%A0%80" + HOST + CLOSE, 404, "task_not_found"),
    "NUL": (b"GET /v1/tasks/%00" + HOST + CLOSE, 404, "task_not_found"),
    "a host that is none": (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n" + CLOSE, 400, "invalid_request"),
    "a name that is not ours": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + CLOSE, 421, "host_not_allowed"),
    "two hosts": (b"GET /healthz" + HOST + b"Host: localhost\r\n" + CLOSE, 400, "malformed_request"),
    "a host and another": (b"GET http://127.0.0.1/healthz" + HOST + CLOSE, 400, "invalid_request"),
    "NUL in a header": (b"GET /healthz" + HOST + b"X: a\x00b\r\n\r\n", 400, "malformed_request"),
    "NUL in a host": (b"GET /healthz HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400, "malformed_request"),
    "NUL in the path": (b"GET /\x00" + HOST + b"\r\n", 400, "malformed_request"),
    "a body where none belongs": (
        b"POST /v1/tasks/x/cancel" + HOST + JSON + b"Content-Length: 7\r\n" + CLOSE + b'{"a":1}',
        400,
        "invalid_request",
    ),
    "a form where no body belongs": (
        b"POST /v1/tasks/x/cancel" + HOST + b"Content-Type: text/plain\r\n" + CLOSE,
        415,
        "unsupported_media_type",
    ),
    "a body of a GET": (
        b"GET /v1/tasks" + HOST + b"Content-Length: 2\r\n" + CLOSE + b"{}",
        400,
        "invalid_request",
    ),
    "an event id in bytes": (
        b"GET /v1/tasks/x/events" + HOST + b"Last-Event-ID: \xff\r\n" + CLOSE,
        404,
        "task_not_found",
    ),
    "a tenant in bytes": (b"GET /v1/tasks" + HOST + b"X-Tenant: \xe9\r\n" + CLOSE, 400, "invalid_request"),
    "two tenants": (b"GET /v1/tasks" + HOST + b"X-Tenant: a\r\n" * 2 + CLOSE, 400, "invalid_request"),
    "no tenant": (b"GET /v1/tasks" + HOST + b"X-Tenant:\r\n" + CLOSE, 400, "invalid_request"),
}


@pytest.fixture(autouse=True)
def _short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PARTING_SECONDS", 0.05)


@pytest.mark.parametrize("what", REFUSED)
async def test_every_refusal_has_the_shape_of_an_error(
    open_api: Open, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    request, status, code = REFUSED[what]
    with caplog.at_level(logging.WARNING):
        async with open_api(work=False) as api:
            reply = reply_of(await api.raw(request))
    assert (reply.status, reply.error) == (status, code)
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert not caplog.records


@pytest.mark.parametrize(
    "request_line",
    [b"GET http://localhost/healthz", b"GET /healthz#there", b"GET /healthz?", b"HEAD /healthz"],
)
async def test_what_is_unusual_but_right_is_answered(open_api: Open, request_line: bytes) -> None:
    async with open_api(work=False) as api:
        raw = await api.raw(request_line + HOST + CLOSE)
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_body_that_its_client_spoils_leaves_no_traceback_in_the_log(
    open_api: Open, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"POST /v1/tasks" + HOST + JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    async with open_api(work=False) as api:
        reply = reply_of(await api.raw(body))
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert not caplog.records


IMPATIENT = Settings(client_seconds=0.2)


async def test_a_request_that_never_ends_is_cut_off(open_api: Open) -> None:
    async with open_api(work=False, settings=IMPATIENT) as api:
        assert await api.raw(b"GET /healthz HTTP/1.1\r\nX: ") == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET /healthz" + HOST + b"\r\n")
        assert await reader.readuntil(b"}}")
        writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_a_body_that_never_ends_is_cut_off(open_api: Open) -> None:
    head = b"POST /v1/tasks" + HOST + JSON + b"Content-Length: 100\r\nConnection: close\r\n\r\n"
    async with open_api(work=False, settings=IMPATIENT) as api:
        reply = reply_of(await api.raw(head + b'{"query": '))
    assert (reply.status, reply.error) == (408, "request_timeout")
    assert reply.body["error"]["retryable"]


async def test_a_slow_but_steady_client_is_served(open_api: Open) -> None:
    body = b'{"query": "x", "planner": "direct"}'
    head = b"POST /v1/tasks" + HOST + JSON + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    async with open_api(work=False) as api:

        async def dribble(writer: asyncio.StreamWriter) -> None:
            for byte in head + body:
                writer.write(bytes([byte]))
                await writer.drain()

        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        await dribble(writer)
        reply = reply_of(await reader.read())
        writer.close()
    assert reply.status == 202


async def test_a_client_that_does_not_read_is_dropped(open_api: Open) -> None:
    async with open_api(work=False, settings=Settings(client_seconds=0.3)) as api:
        for _ in range(40):
            assert (await api.submit("x" * 190_000)).status == 202
        loop = asyncio.get_running_loop()
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", api.port))
        asked = b"GET /v1/tasks" + HOST + b"\r\n"
        await loop.sock_sendall(client, asked * 4)
        while api.door.open > 1:  # noqa: ASYNC110 - 30 MB do not fit into the buffers of the kernel
            await asyncio.sleep(0.05)
        client.close()


async def test_a_client_that_reads_slowly_is_not_dropped() -> None:
    async def long(_: web.Request) -> web.Response:
        return web.Response(body=bytes(30_000_000))

    application = web.Application()
    application.router.add_get("/", long)
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.setblocking(False)
        async with listening(application, "127.0.0.1", 0, patience=0.5) as url:
            await loop.sock_connect(client, ("127.0.0.1", int(url.rpartition(":")[2])))
            await loop.sock_sendall(client, b"GET /" + HOST + b"\r\n")
            for _ in range(30):  # the kernel keeps megabytes for it, and takes more when those are read
                assert await loop.sock_recv(client, 20_000)
                await asyncio.sleep(0.05)
            assert application[DOOR].open == 1
