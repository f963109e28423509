"""Attempts over real sockets, to receivers of all kinds."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.webhooks import sending
from orchestrator.webhooks.messages import new_secret
from orchestrator.webhooks.sending import Sender
from orchestrator.webhooks.targets import reach_of
from storage.endpoints import Attempt, Secret
from tests.orchestrator.webhooks.receiver import SECRET, due, free_port, receiving

LOCAL = reach_of(("127.0.0.1", "localhost"))
RETRIES = (60.0, 60.0)


def sender(**given: Any) -> Sender:
    return Sender(LOCAL, RETRIES, **given)


async def test_a_message_arrives_as_the_library_wants_it() -> None:
    async with receiving(200) as receiver:
        body = json.dumps({"type": "task.failed", "data": {"tenant": "mül\N{SNOWMAN}ler"}})
        attempt = await sender().attempt(due(receiver.url, body=body))
    assert attempt == Attempt(http_status=200)
    [received] = receiver.received
    assert received.verified() == json.loads(body)
    assert received.body == body.encode()
    assert received.id == "msg_1"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"].startswith("Anabranch/")
    assert {"Cookie", "Authorization", "Accept-Encoding"} & set(received.headers) == set()


async def test_both_secrets_sign_after_a_rotation() -> None:
    new = new_secret()
    async with receiving() as receiver:
        await sender().attempt(due(receiver.url, secrets=(Secret(new), Secret(SECRET, 1e12))))
    [received] = receiver.received
    assert received.verified(new) == received.verified(SECRET)


async def test_without_a_secret_nothing_is_sent() -> None:
    async with receiving() as receiver:
        attempt = await sender().attempt(due(receiver.url, secrets=()))
    assert "rotate it" in attempt.error
    assert receiver.received == []


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_what_is_no_success_is_tried_again(status: int) -> None:
    async with receiving(status, status) as receiver:
        first = await sender().attempt(due(receiver.url))
        last = await sender().attempt(due(receiver.url, attempts=3))
    assert first.http_status == status
    assert str(status) in first.error
    assert first.retry_in is not None
    assert 60.0 <= first.retry_in <= 75.0
    assert last.retry_in is None


async def test_an_endpoint_may_ask_to_be_left_alone() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "1000"})

    async with receiving(busy) as receiver:
        attempt = await sender().attempt(due(receiver.url))
    assert (attempt.retry_in, attempt.pause) == (1000.0, 1000.0)


async def test_an_endpoint_may_be_gone() -> None:
    async with receiving(410) as receiver:
        attempt = await sender().attempt(due(receiver.url))
    assert attempt.gone
    assert attempt.retry_in is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with receiving() as secret:

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": secret.url})

        async with receiving(elsewhere) as receiver:
            attempt = await sender().attempt(due(receiver.url))
    assert "redirects are not followed" in attempt.error
    assert secret.received == []
    assert len(receiver.received) == 1


async def test_no_cookie_is_kept() -> None:
    async def sweet(request: web.Request) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with receiving(sweet, sweet, host="localhost") as receiver:
        one = sender()
        for _ in range(2):
            assert (await one.attempt(due(receiver.url))).error == ""
    assert all("Cookie" not in each.headers for each in receiver.received)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await sender().attempt(due(receiver.url))).error == ""
    assert proxy.received == []
    assert len(receiver.received) == 1


async def test_an_answer_without_end_is_taken_for_what_its_head_says() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # until the connection is closed
            await response.write(b"x" * 65_536)
            sent += 65_536

    async with receiving(endless) as receiver:
        assert await sender().attempt(due(receiver.url)) == Attempt(http_status=200)
    assert sent < 50_000_000


async def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "READ_SECONDS", 0.01)

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await asyncio.sleep(3600)
        return response

    async with receiving(dripping) as receiver:
        assert await sender().attempt(due(receiver.url)) == Attempt(http_status=200)


async def test_a_receiver_that_says_nothing_is_given_up() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    async with receiving(silent) as receiver:
        attempt = await sender(seconds=0.3).attempt(due(receiver.url))
    assert attempt.http_status is None
    assert attempt.error == "no answer within 0.3 s"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 4000) for n in range(100)) + b"\r\n",
        b"HTTP/1.1 999999 \0\xff\r\n\r\n",
    ],
)
async def test_broken_http_is_a_failure_that_can_be_stored(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attempt = await sender().attempt(due(f"http://127.0.0.1:{port}/"))
    assert attempt.error == "" if attempt.http_status == 200 else attempt.error.startswith("not delivered: ")
    assert "\0" not in attempt.error
    assert len(attempt.error) < 3_000
    if not answer.startswith(b"HTTP/1.1 200"):
        assert attempt.error


async def test_nobody_listens() -> None:
    attempt = await sender().attempt(due(f"http://127.0.0.1:{free_port()}/"))
    assert "127.0.0.1 cannot be reached" in attempt.error
    assert attempt.retry_in is not None


async def test_a_name_that_nobody_has_is_a_failure() -> None:
    attempt = await sender().attempt(due("https://nobody.invalid/"))
    assert "nobody.invalid cannot be reached" in attempt.error


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that no authority has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    files = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(["openssl", "req", "-x509", *curve, *files], capture_output=True, check=True)
    return made, key


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    reached = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attempt = await sender().attempt(due(f"https://localhost:{port}/"))
    assert "certificate of localhost is not valid" in attempt.error
    assert not reached.is_set()


class Rebinding(AbstractResolver):
    """Says another address each time it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.addresses.pop(0)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing to do."""


async def test_a_name_that_is_rebound_reaches_nobody_else() -> None:
    """127.0.0.2 stands for the public internet, and 127.0.0.1 for what is behind the wall."""
    async with receiving(host="127.0.0.2") as outside, receiving(port=outside.port) as inside:
        names = Rebinding("127.0.0.2", "127.0.0.1")
        one = Sender(reach_of(("127.0.0.2",)), RETRIES, resolver=names)
        to = due(f"https://evil.example:{outside.port}/")
        outcomes = [await one.attempt(to) for _ in range(2)]
        assert names.addresses == []  # asked once for each attempt: what was looked at is what is used
    assert "not allowed" not in outcomes[0].error  # it got as far as TLS, which nobody speaks there
    assert outcomes[1].error == "not allowed: its host is not at a public address"
    assert inside.received == outside.received == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fd00:ec2::254",
        "fe80::1",
    ],
)
async def test_no_name_leads_to_an_address_that_is_not_public(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connected(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connected)
    one = Sender(reach_of(()), RETRIES, resolver=Rebinding(address))
    attempt = await one.attempt(due("https://evil.example/"))
    assert attempt.error == "not allowed: its host is not at a public address"  # and not which it is


async def test_what_the_operator_no_longer_allows_is_not_sent() -> None:
    async with receiving() as receiver:
        attempt = await Sender(reach_of(()), RETRIES).attempt(due(receiver.url))
    assert "not allowed" in attempt.error
    assert receiver.received == []


async def test_a_name_server_that_hangs_holds_up_no_thread_that_others_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: let_go.wait(60) and [])
    try:
        one = sender(seconds=0.2)
        attempts = await asyncio.gather(*(one.attempt(due("https://slow.example/")) for _ in range(40)))
        assert all(each.error for each in attempts)
        await asyncio.wait_for(asyncio.to_thread(int), 60)
    finally:
        let_go.set()
