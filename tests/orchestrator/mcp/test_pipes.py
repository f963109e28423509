"""The protocol over pipes, with whatever may come in there, and a client that leaves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("mcp")

from orchestrator.errors import Unavailable
from orchestrator.mcp import pipes, tools
from orchestrator.mcp.local import Local
from orchestrator.mcp.pipes import Wire, serve_pipes
from orchestrator.mcp.server import server_of
from orchestrator.remote.address import Address
from orchestrator.remote.service import RemoteService
from orchestrator.settings import Settings
from orchestrator.tasks.service import Service
from storage.opening import open_store
from storage.tasks import TaskStatus
from tests.orchestrator.api.conftest import PLANNERS, Open, open_api, slow
from tests.orchestrator.mcp.conftest import ANSWERS, until
from workers.engine import Engine
from workers.engines.simulator.engine import Simulator
from workers.models.files import Progress

__all__ = ["open_api"]

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


class Assistant:
    """A client that writes whatever it likes."""

    def __init__(self, into: int, out_of: int) -> None:
        self._into = into
        self._lines = asyncio.StreamReader(limit=2**24)
        self._out_of = out_of
        self.services: list[Service] = []
        self.serving: asyncio.Task[None]

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._lines), os.fdopen(self._out_of, "rb")
        )

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self._into, data)

    async def say(self, method: str, number: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        await self.write(json.dumps(message).encode() + b"\n")

    async def call(self, number: int, tool: str, *, token: str | None = None, **arguments: Any) -> None:
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        await self.say("tools/call", number, name=tool, arguments=arguments, **meta)

    async def hear(self) -> Any:
        line = await asyncio.wait_for(self._lines.readline(), 60)
        return json.loads(line) if line else None

    async def greet(self) -> None:
        await self.say("initialize", 0, **INITIALIZE)
        assert (await self.hear())["result"]["serverInfo"]["name"] == "anabranch"
        await self.say("notifications/initialized")

    def leave(self) -> None:
        with suppress(OSError):
            os.close(self._into)
        self._into = -1


@contextmanager
def two_pipes() -> Iterator[tuple[Wire, int, int]]:
    source, into = os.pipe()
    out_of, sink = os.pipe()
    try:
        yield Wire(source, sink), into, out_of
    finally:
        for each in (source, sink):
            with suppress(OSError):
                os.close(each)


@asynccontextmanager
async def assisted(
    engine: Engine | None = None, *, fails: int = 0, takes: float = 0.0
) -> AsyncIterator[Assistant]:
    """A client at the pipes of a server of this process; the first ``fails`` openings of a service fail.

    An opening ``takes`` some seconds after it has told how far it is.
    """
    failures = iter(range(fails))

    @asynccontextmanager
    async def opening(on_progress: Any) -> AsyncIterator[Service]:
        if next(failures, None) is not None:
            raise Unavailable("no disk", code="storage_full", http_status=503, retryable=True)
        on_progress(Progress(1_000_000, 2_000_000, "a mirror"))
        await asyncio.sleep(takes)
        async with await open_store("memory") as store:
            settings = Settings.model_construct()
            service = Service(store, engine or Simulator(ANSWERS), planners=PLANNERS, settings=settings)
            assistant.services.append(service)
            yield service

    with two_pipes() as (wire, into, out_of):
        assistant = Assistant(into, out_of)
        await assistant.listen()

        async def serve() -> None:
            async with AsyncExitStack() as closing:
                await serve_pipes(server_of(lambda: tools.Tools(Local(opening, closing))), wire)

        assistant.serving = asyncio.create_task(serve())
        try:
            yield assistant
        finally:
            assistant.leave()
            await asyncio.wait_for(assistant.serving, 60)


async def test_a_service_is_opened_when_something_is_asked_of_it() -> None:
    async with assisted() as assistant:
        await assistant.greet()
        await assistant.say("tools/list", 1)
        assert len((await assistant.hear())["result"]["tools"]) == 4
        assert not assistant.services
        await assistant.call(2, "solve", question="How many clips?", planner="vote")
        assert (await assistant.hear())["result"]["structuredContent"]["answer"] == "72"
        assert len(assistant.services) == 1


async def test_an_opening_that_fails_is_told_and_tried_again() -> None:
    async with assisted(fails=1) as assistant:
        await assistant.greet()
        await assistant.call(1, "planners")
        result = (await assistant.hear())["result"]
        assert result["isError"]
        assert result["content"][0]["text"] == "[storage_full] no disk (the same may succeed later)"
        await assistant.call(2, "planners")
        assert not (await assistant.hear())["result"]["isError"]


async def test_lines_that_are_no_messages_are_refused_and_the_others_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipes, "MOST_BYTES", 100_000)
    async with assisted() as assistant:
        await assistant.greet()
        for rubbish in (
            b"{",
            b"[1, 2]",
            b"\xff\xfe",
            b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
            b"null",
        ):
            await assistant.write(rubbish + b"\n")
            refusal = await assistant.hear()
            assert refusal["id"] is None
            assert refusal["error"]["code"] == -32700
        await assistant.write(b"\n  \r\n")
        await assistant.write(b"x" * 60_000)
        await assistant.write(b"x" * 60_000)
        assert (await assistant.hear())["error"]["message"] == "a message has more than 100,000 bytes"
        await assistant.write(b"x" * 60_000 + b"\n")
        message = b'{"jsonrpc": "2.0", "id": 7, "method": "ping"}\r\n'
        for piece in (message[:9], message[9:30], message[30:] + message.replace(b"7", b"8")):
            await assistant.write(piece)
        assert [(await assistant.hear())["id"] for _ in range(2)] == [7, 8]


async def test_what_is_cancelled_ends_at_the_engine_and_is_not_answered() -> None:
    engine = slow()
    async with assisted(engine) as assistant:
        await assistant.greet()
        await assistant.call(1, "solve", question="?", planner="direct")
        await until(lambda: engine.counters().in_flight)
        await assistant.say("notifications/cancelled", requestId=1, reason="no longer wanted")
        await until(lambda: not engine.counters().in_flight)
        [service] = assistant.services
        await until(lambda: not service.running)
        [task] = await service.store.list(limit=5)
        assert task.status is TaskStatus.CANCELLED
        await assistant.say("ping", 2)
        assert (await assistant.hear())["id"] == 2


async def test_a_client_that_leaves_ends_everything() -> None:
    engine = slow()
    async with assisted(engine) as assistant:
        await assistant.greet()
        for number in (1, 2):
            await assistant.call(number, "solve", question="?", planner="direct")
        await until(lambda: engine.counters().in_flight == 2)
        assistant.leave()
        await asyncio.wait_for(assistant.serving, 60)
        assert not engine.counters().in_flight


async def test_a_client_that_reads_no_more_is_one_that_has_left() -> None:
    with two_pipes() as (wire, into, out_of):
        os.close(out_of)
        serving = asyncio.create_task(serve_pipes(server_of(lambda: pytest.fail("not needed")), wire))
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        await asyncio.to_thread(os.write, into, json.dumps(message).encode() + b"\n")
        await asyncio.wait_for(serving, 60)
        os.close(into)


async def test_a_client_that_leaves_without_reading_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "PARTING_SECONDS", 0.05)
    ended = asyncio.Event()
    with two_pipes() as (wire, into, out_of):
        server = server_of(lambda: pytest.fail("not needed"))
        serving = asyncio.create_task(serve_pipes(server, wire, on_end=ended.set))
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        await asyncio.to_thread(os.write, into, json.dumps(message).encode() + b"\n")
        for number in range(60):  # the answers repeat the method, and are more than a pipe holds
            unknown = {"jsonrpc": "2.0", "id": number, "method": "x" * 4_000}
            await asyncio.to_thread(os.write, into, json.dumps(unknown).encode() + b"\n")
        os.close(into)
        await asyncio.wait_for(ended.wait(), 60)
        await asyncio.wait_for(serving, 60)
        os.close(out_of)


async def test_who_waits_for_an_engine_that_gets_ready_learns_how_far_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "TICK_SECONDS", 0.02)
    async with assisted(slow(), takes=1.0) as assistant:
        await assistant.greet()
        await assistant.call(1, "solve", token="t", question="?", planner="direct")
        told = ""
        while "fetching" not in told:
            note = await assistant.hear()
            assert note["method"] == "notifications/progress"
            assert note["params"]["progressToken"] == "t"
            told = note["params"]["message"]
        assert told == "fetching the model from a mirror: 1 of 2 MB"


async def test_a_service_elsewhere_answers_as_one_of_this_process_does(open_api: Open) -> None:
    async with open_api(Simulator(ANSWERS)) as api:
        key = await api.key("acme")
        address = Address.of(f"http://127.0.0.1:{api.port}", key)

        @asynccontextmanager
        async def opening(_: Any) -> AsyncIterator[RemoteService]:
            remote = RemoteService(address)
            yield remote
            await remote.close()

        with two_pipes() as (wire, into, out_of):
            assistant = Assistant(into, out_of)
            await assistant.listen()
            async with AsyncExitStack() as closing:
                server = server_of(lambda: tools.Tools(Local(opening, closing)))
                assistant.serving = asyncio.create_task(serve_pipes(server, wire))
                await assistant.greet()
                await assistant.call(1, "solve", question="How many clips?", planner="vote")
                solved = (await assistant.hear())["result"]["structuredContent"]
                assert solved["answer"] == "72"
                assert (await api.service.task(solved["trace_id"])).tenant == "acme"
                for number, tool in enumerate(("trace", "replay"), 2):
                    await assistant.call(number, tool, trace_id=solved["trace_id"])
                    assert not (await assistant.hear())["result"]["isError"]
                await assistant.call(4, "trace", trace_id="nothing")
                assert "[task_not_found]" in (await assistant.hear())["result"]["content"][0]["text"]
                assistant.leave()
                await asyncio.wait_for(assistant.serving, 60)


async def test_who_asks_for_no_progress_gets_none() -> None:
    async with assisted() as assistant:
        await assistant.greet()
        await assistant.call(1, "solve", question="How many clips?", planner="vote")
        assert (await assistant.hear())["id"] == 1
