"""Clients that read slowly or not at all: they can go on later, and cost nobody anything."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from orchestrator.api import streams
from orchestrator.api.streams import PIECE
from orchestrator.settings import Settings
from orchestrator.tasks import feed
from tests.orchestrator.api.conftest import Api, Open
from workers.engines.simulator.engine import Simulator

WORDS = "word " * 4_000
REQUEST: dict[str, Any] = {
    "query": f"What is 6 * 7? {WORDS}",
    "planner": "vote",
    "options": {"n": 400, "rule": "fixed"},
}
"""Each branch is asked at length: together far more than what the kernel keeps for a client."""

DROPPED = "a client that reads too slowly was dropped"
PATIENT = Settings(client_seconds=40.0, lease_seconds=3600.0)


@asynccontextmanager
async def not_reading(api: Api, path: str) -> AsyncIterator[socket.socket]:
    """A client that has asked, and takes nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(client, ("127.0.0.1", api.port))
        await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield client
    finally:
        client.close()


async def until_dropped(logs: Sequence[Mapping[str, Any]], number: int) -> None:
    async with asyncio.timeout(90):
        while sum(each["event"] == DROPPED for each in logs) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def all_of(client: socket.socket) -> str:
    """The body that is left to read, without the chunks."""
    loop, raw = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(30):
        while not raw.endswith(b"\r\n0\r\n\r\n"):
            more = await loop.sock_recv(client, 1 << 20)
            assert more, "the connection broke before the end"
            raw += more
    body, rest = bytearray(), bytes(raw).partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body.decode()


@pytest.mark.parametrize("path", ["/v1/tasks/{}/events", "/v1/events"])
async def test_who_does_not_read_is_told_so_and_goes_on_without_a_gap(
    open_api: Open, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.02)
    async with open_api(Simulator("\\boxed{42}"), settings=PATIENT) as api:
        task = (await api.submit(**REQUEST)).body["id"]
        path = path.format(task)
        with capture_logs() as logs:
            async with not_reading(api, path) as client:
                await until_dropped(logs, 1)
                told = await all_of(client)
        frames = told.removesuffix("\n\n").split("\n\n")
        assert "event: dropped\n" in frames[-1]
        assert '"code":"too_slow"' in frames[-1]
        last = re.findall(r"^id: (.*)$", told, re.MULTILINE)[-1]
        seen = [int(seq) for seq in re.findall(r'"seq":(\d+)', told)]
        async with api.session.get(path, headers={"Last-Event-ID": last}) as response:
            async for line in response.content:
                seen += [int(seq) for seq in re.findall(rb'^data: \{"seq":(\d+)', line)]
                seen += [int(seq) for seq in re.findall(rb'^data: \{"task":"\w+","seq":(\d+)', line)]
                if b'"status":"succeeded"' in line:
                    break
        assert seen == [event.seq async for event in api.service.store.read(task)]


async def test_who_does_not_read_takes_little_memory_and_no_time_of_others(open_api: Open) -> None:
    many = 20
    async with open_api(Simulator("\\boxed{42}"), settings=PATIENT) as api:
        task = (await api.submit(**REQUEST)).body["id"]
        path = f"/v1/tasks/{task}/events"
        with capture_logs() as logs:
            waiting = [not_reading(api, each) for each in (path, "/v1/events") * (many // 2)]
            for each in waiting:
                await each.__aenter__()
            size = 0
            async with api.session.get(path) as response:
                async for line in response.content:
                    size += len(line)
            assert b"succeeded" in line or not line.strip()
            assert size > 400 * len(WORDS)
            transports = [each.transport for each in api.door._connections if each.transport]
            kept = [transport.get_write_buffer_size() for transport in transports]
            assert sorted(kept)[-1] > 0  # somebody does not read
            assert max(kept) < 4 * PIECE
            assert not any(each["event"] == DROPPED for each in logs)  # nobody had to be dropped for that
            for each in waiting:
                await each.__aexit__(None, None, None)
        assert feed.AT_HAND <= 1_000
