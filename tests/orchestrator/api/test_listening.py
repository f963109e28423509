"""How connections are taken, and what happens when there are too many."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from orchestrator.api import listening as module
from orchestrator.api.listening import listening
from orchestrator.api.quiet import quiet_logs
from tests.orchestrator.api.conftest import Api, Open, reply_of

SUBMIT = (
    b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 35\r\n\r\n"
    b'{"query": "x", "planner": "direct"}'
)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def crowd(api: Api, number: int) -> AsyncIterator[None]:
    """So many connections without a request."""
    made = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(number)]
    while api.door.open < number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        for _, writer in made:
            writer.close()


async def test_connections_beyond_the_bound_are_told_to_come_back(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 3)
    async with open_api(work=False) as api:
        async with crowd(api, 3):
            reply = reply_of(await api.raw(SUBMIT))
            assert (reply.status, reply.error) == (503, "overloaded")
            assert reply.headers["Retry-After"]
            assert reply.headers["Connection"] == "close"
            assert "3 connections are in use" in api.door.trouble
            health = reply_of(await api.raw(HEALTH))
            assert (health.status, health.body["connections"]["ok"]) == (503, False)
        while api.door.trouble:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await api.submit()).status == 202


async def test_a_connection_that_idles_makes_room(open_api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(module, "SPARE_SECONDS", 0.0)
    async with open_api(work=False) as api, crowd(api, 3):
        assert (await api.submit()).status == 202


async def test_more_connections_than_that_wait_until_one_ends(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 1)
    async with open_api(work=False) as api:
        async with crowd(api, 5):
            waiting = asyncio.create_task(api.get("/livez"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
        assert (await waiting).status == 200


async def test_a_crowd_that_comes_at_once_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 2)
    async with listening(web.Application(), "127.0.0.1", 0) as url:
        address = "127.0.0.1", int(url.rpartition(":")[2])
        crowd = [socket.create_connection(address) for _ in range(20)]  # before the event loop has a turn
        await asyncio.sleep(0.1)
        for each in crowd:
            each.close()
        async with aiohttp.ClientSession() as session:
            assert (await session.get(url)).status == 404


async def test_several_addresses_may_be_bound() -> None:
    async with listening(web.Application(), "localhost", 0) as url, aiohttp.ClientSession() as session:
        assert (await session.get(url)).status == 404


async def test_an_address_that_is_taken_is_an_error() -> None:
    async with listening(web.Application(), "127.0.0.1", 0) as url:
        with pytest.raises(OSError, match="in use"):
            async with listening(web.Application(), "127.0.0.1", int(url.rpartition(":")[2])):
                pass


def test_a_library_complains_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("asyncio")
    with quiet_logs():
        for number in range(1_000):
            logger.error("it happened again\n%s", number)
        logger.error("something else")
    logger.error("and again")
    assert [record.getMessage().partition("\n")[0] for record in caplog.records] == [
        "it happened again",
        "something else (999 more lines were left out)",
        "and again",
    ]
