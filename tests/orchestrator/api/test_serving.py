"""``anabranch serve`` as a process of its own: signals, file descriptors, and a flood of requests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.orchestrator.api.conftest import reply_of, slow
from workers.engines.simulator.server import serving as simulated

ROOT = Path(__file__).parents[3]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
TASK = {"query": "What is 6 * 7?", "planner": "direct"}


@dataclass(frozen=True)
class Server:
    """A running process, and a client for it."""

    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    port: int
    log: Path

    def lines(self, text: str) -> int:
        """How many lines of its log have the text."""
        return sum(text in line for line in self.log.read_text().splitlines())

    async def health(self) -> dict[str, Any]:
        """What it says of itself, over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return dict(reply_of(await asyncio.wait_for(reader.read(), 30)).body)
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    tmp_path: Path, empty_database: Path, *, descriptors: int | None = None, **settings: object
) -> AsyncIterator[Server]:
    """A server whose tasks take a minute, and which may have only so many file descriptors."""
    log = tmp_path / "serve.log"
    database = tmp_path / "served.db"
    shutil.copy(empty_database, database)
    async with simulated(slow()) as engine:
        limited = f"ulimit -n {descriptors} && " if descriptors else ""
        command = f"serve --port 0 --engine {engine} --database sqlite:///{database}"
        with open(log, "wb") as stderr:  # noqa: ASYNC230
            process = await asyncio.create_subprocess_shell(
                f"{limited}exec {sys.executable} -m orchestrator.cli {command}",
                stderr=stderr,
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    **{f"ANABRANCH_{name.upper()}": str(value) for name, value in settings.items()},
                },
            )
        try:
            while not (found := re.search(r"listening on (http://127.0.0.1:(\d+))", _read(log))):
                assert process.returncode is None, _read(log)
                await asyncio.sleep(0.05)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(found[1], connector=connector) as client:
                yield Server(process, client, int(found[2]), log)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _read(path: Path) -> str:
    return path.read_text()


async def submit(server: Server, wait: int = 0) -> dict[str, Any]:
    """A task that was accepted, if need be after others have gone."""
    while True:
        async with server.client.post(f"/v1/tasks?wait={wait}", json=TASK) as reply:
            if reply.status != 503:
                assert reply.status in (200, 202)
                return dict(await reply.json())
        await asyncio.sleep(0.1)


async def running(server: Server) -> int:
    async with server.client.get("/v1/tasks?status=running") as reply:
        return len((await reply.json())["tasks"])


async def test_streams_and_waits_get_an_end_of_their_own_when_the_process_is_told_to_end(
    tmp_path: Path, empty_database: Path
) -> None:
    async with serving(tmp_path, empty_database, grace_seconds=0.3) as server:
        task = await submit(server)
        followed = await server.client.get(f"/v1/tasks/{task['id']}/events")
        waiting = asyncio.create_task(submit(server, wait=600))
        while await running(server) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        frames = (await followed.text()).split("\n\n")
        assert frames[-1] == ""
        retry, event, data = frames[-2].split("\n")
        assert (retry, event) == ("retry: 1000", "event: closing")
        assert json.loads(data.removeprefix("data: "))["error"]["code"] == "closing"
        assert (await waiting)["status"] in ("running", "queued")
        assert await server.process.wait() == 0
        assert server.lines("Traceback") == 0


async def test_without_descriptors_it_goes_on_and_says_so_once_a_second(
    tmp_path: Path, empty_database: Path
) -> None:
    async with serving(tmp_path, empty_database) as server:
        kept_reader, kept_writer = await asyncio.open_connection("127.0.0.1", server.port)
        kept_writer.write(HEALTH)
        assert await kept_reader.readuntil(b"}}")
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))  # what is open stays open
        began = time.monotonic()
        waiting = asyncio.create_task(server.health())
        more = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
        while server.lines("no connection can be accepted") < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert server.lines("") <= 5 + 2 * (time.monotonic() - began)
        kept_writer.write(HEALTH)
        assert await kept_reader.readuntil(b"}}")  # whoever is connected is still served
        assert not waiting.done()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert (await waiting)["status"] == "ok"
        assert (await submit(server))["id"]
        for _, writer in (*more, (kept_reader, kept_writer)):
            writer.close()


async def test_connections_leave_descriptors_for_the_database(tmp_path: Path, empty_database: Path) -> None:
    async with serving(tmp_path, empty_database, descriptors=64) as server:
        more = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(34)]
        reader, writer = more[0]
        said = b""
        async with asyncio.timeout(30):  # it may take them later than they have been made
            while b"connections are in use" not in said:
                writer.write(HEALTH)
                said = await reader.readuntil(b"}}")
        crowded = await server.health()
        assert crowded["database"]["ok"]
        for _, writer in more:
            writer.close()
        assert (await submit(server))["id"]
        assert server.lines("Traceback") == 0


@pytest.mark.slow
async def test_health_is_told_soon_while_thousands_submit(tmp_path: Path, empty_database: Path) -> None:
    """And no task is lost. The bound is far above what an idle machine needs (tens of ms); without turns it
    takes seconds.
    """
    async with serving(tmp_path, empty_database, concurrency=1) as server:
        numbers = iter(range(5_000))
        accepted = set[str]()

        async def submitting() -> None:
            for _ in numbers:
                accepted.add((await submit(server))["id"])

        submitted = asyncio.gather(*(submitting() for _ in range(128)))
        seconds = []
        while not submitted.done():
            began = time.monotonic()
            await asyncio.to_thread(_asked, server.port)
            seconds.append(time.monotonic() - began)
        await submitted
    with closing(sqlite3.connect(tmp_path / "served.db")) as file:
        stored = {task_id for (task_id,) in file.execute("SELECT id FROM tasks")}
    assert len(accepted) == 5_000
    assert stored == accepted
    assert sorted(seconds)[int(len(seconds) * 0.9)] < 1.0


def _asked(port: int) -> None:
    """Ask from a thread, since the loop here is as busy as the server's."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(HEALTH)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
