"""The API over a real socket, with a simulator for an engine and SQLite for a store."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.access.caller import Scope
from orchestrator.access.form import hash_of, hint_of, new_key
from orchestrator.api.application import batches, create_application
from orchestrator.api.handlers import Handlers, openapi_document
from orchestrator.api.listening import DOOR, Door, listening
from orchestrator.api.refusals import refusals_of
from orchestrator.api.routes import Route, routes_of
from orchestrator.planning.planner import Planner
from orchestrator.settings import Settings
from orchestrator.tasks import following, queue
from orchestrator.tasks.service import Service
from planners.direct import direct
from planners.vote import vote
from storage.keys import Key, Secret
from storage.opening import open_store
from storage.store import Store
from workers.engine import Engine
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox

PLANNERS: dict[str, Planner] = {"direct": direct, "vote": vote}


def slow(answer: str = "one two three four five six seven eight nine ten " * 100) -> Simulator:
    """An engine that takes a minute for a call."""
    return Simulator(answer, cost=CostModel(decode_tokens_per_s=15))


@pytest.fixture
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not woken waits longer than any test may take."""
    monkeypatch.setattr(following, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(queue, "IDLE_SECONDS", 3600.0)


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: Any

    @property
    def error(self) -> str:
        """The code of the error; the body must have the shape of one."""
        assert set(self.body) == {"error"}
        shapes = ({"code", "message", "retryable"}, {"message", "type", "param", "code"})
        assert set(self.body["error"]) in shapes
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@dataclass(frozen=True)
class Frame:
    """A server-sent event; a comment has only ``comment``."""

    id: int | None = None
    event: str = ""
    data: Any = None
    comment: str = ""


class Api:
    """A client for the tests."""

    def __init__(
        self,
        service: Service,
        session: aiohttp.ClientSession,
        draining: asyncio.Event,
        door: Door,
    ) -> None:
        self.service = service
        self.session = session
        self.draining = draining
        self.door = door

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        async with self.session.request(method, path, **options) as response:
            reply = Reply(response.status, await response.json(), response.headers)
        assert_documented(method, path, reply)
        return reply

    async def key(self, tenant: str | None, *scopes: Scope, **fields: Any) -> str:
        """A new key, with all scopes if none are given."""
        key = await add_key(self.service.store, tenant, *scopes, **fields)
        self.service.access.forget()
        return key

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def submit(self, query: str = "What is 6 * 7?", *, wait: float = 0, **request: Any) -> Reply:
        headers = request.pop("headers", None)
        body = {"query": query, "planner": "direct", **request}
        return await self.call("POST", f"/v1/tasks?wait={wait}", json=body, headers=headers)

    @property
    def port(self) -> int:
        assert self.session._base_url is not None
        assert self.session._base_url.port is not None
        return self.session._base_url.port

    async def raw(self, data: bytes) -> bytes:
        """All that comes back for the bytes, until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()

    async def frames(self, path: str, **options: Any) -> AsyncIterator[Frame]:
        async with self.session.get(path, **options) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            lines: list[str] = []
            async for raw in response.content:
                if line := raw.decode().rstrip("\n"):
                    lines.append(line)
                else:
                    yield _frame(lines)
                    lines = []
            assert lines == []


def assert_documented(method: str, path: str, reply: Reply) -> None:
    """What a route answers with is in the table; what engines and databases fail with, by its status."""
    route = next((each for each in ROUTES if each.method == method and _leads_to(path, each.path)), None)
    if route is None:
        return
    operation = openapi_document()["paths"][route.path][method.lower()]
    assert str(reply.status) in operation["responses"], f"{method} {route.path}: {reply.status}"
    if reply.status < 500 and isinstance(reply.body, dict) and set(reply.body) == {"error"}:
        assert reply.error in refusals_of(route)[reply.status], f"{method} {route.path}: {reply.error}"


def _leads_to(path: str, pattern: str) -> bool:
    wanted = re.sub(r"\{\w+\}", "[^/]+", pattern)
    if pattern == "/v1/models/{id}":
        wanted = "/v1/models/.+"
    return re.fullmatch(wanted, path.partition("?")[0]) is not None


ROUTES: tuple[Route, ...] = tuple(routes_of(Handlers).values())


async def add_key(store: Store, tenant: str | None, *scopes: Scope, **fields: Any) -> str:
    """A new key, with all scopes if none are given."""
    token = new_key()
    secret = Secret(hash=hash_of(token), hint=hint_of(token), created_at=1.0)
    made = {
        "id": hint_of(token),
        "name": "for a test",
        "names_tenants": False,
        "created_at": 1.0,
        **fields,
    }
    await store.access.add_key(
        Key(tenant=tenant, scopes=frozenset(map(str, scopes or Scope)), secrets=(secret,), **made)
    )
    return token


def reply_of(raw: bytes) -> Reply:
    """A response with JSON, as it was sent."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return Reply(int(status.split()[1]), json.loads(body), dict(line.split(": ", 1) for line in headers))


def _frame(lines: list[str]) -> Frame:
    fields = dict(line.split(": ", 1) for line in lines)
    if "" in fields:
        return Frame(comment=fields[""])
    number = int(fields["id"]) if "id" in fields else None
    return Frame(number, fields["event"], json.loads(fields["data"]))


Open = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all its tables, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "empty.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
def open_api(tmp_path: Path, empty_database: Path) -> Open:
    """Opens an API: ``async with open_api(engine) as api``. What one opens finds what another left."""
    database = tmp_path / "api.db"
    shutil.copy(empty_database, database)

    @asynccontextmanager
    async def opened(
        engine: Engine | None = None,
        *,
        work: bool = True,
        settings: Settings | None = None,
        host: str = "127.0.0.1",
        url: str = f"sqlite:///{database}",
        **options: Any,
    ) -> AsyncIterator[Api]:
        draining = asyncio.Event()
        async with await open_store(url) as store:
            made = settings or Settings(grace_seconds=0.2, lease_seconds=3600.0)
            service = Service(
                store,
                engine or Simulator("Six sevens are 42.\nAnswer: 42"),
                toolbox=Toolbox(),
                planners=PLANNERS,
                settings=made,
            )
            application = create_application(service, draining=draining, **options)
            async with (
                listening(application, host, 0) as url,
                aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(100)) as session,
            ):
                opened_api = Api(service, session, draining, application[DOOR])
                if not work:
                    yield opened_api
                    return
                async with service.working(), batches(application):
                    yield opened_api

    return opened


@pytest.fixture
async def api(open_api: Open) -> AsyncIterator[Api]:
    async with open_api() as opened:
        yield opened
