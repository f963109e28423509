"""An MCP server over a real socket, with a simulator for an engine and SQLite for a store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

pytest.importorskip("mcp")

from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from orchestrator.access.caller import Scope
from orchestrator.api.listening import listening
from orchestrator.mcp import http
from orchestrator.settings import Settings
from orchestrator.structured import Ending
from orchestrator.tasks.service import Service
from storage.opening import open_store
from tests.orchestrator.api.conftest import PLANNERS, add_key, empty_database
from workers.engine import Engine
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

__all__ = ["empty_database"]

ANSWERS: Mapping[str, str | Mapping[str, float]] = {
    "clips": {"So it is \\boxed{72}": 9, "Hence \\boxed{96}": 4},
    "": "ok",
}

Era = Literal["legacy", "auto"]
ERAS: tuple[Era, ...] = ("legacy", "auto")
"""With the handshake and sessions, and the later protocol without both."""


def text_of(result: Any) -> str:
    """What a result says to people."""
    [content] = result.content
    return str(content.text)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Offered:
    """A server for the tests."""

    service: Service
    url: str
    draining: asyncio.Event

    @asynccontextmanager
    async def client(
        self, era: Era = "auto", key: str | None = None, **headers: str
    ) -> AsyncIterator[Client]:
        """A client of the official kind."""
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        async with (
            httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60)) as web,
            Client(streamable_http_client(self.url, http_client=web), mode=era) as client,
        ):
            yield client

    async def key(self, tenant: str | None, *scopes: Scope, **fields: Any) -> str:
        """A new key, with all scopes if none are given."""
        token = await add_key(self.service.store, tenant, *scopes, **fields)
        self.service.access.forget()
        return token


Open = Callable[..., AbstractAsyncContextManager[Offered]]


@pytest.fixture
def open_mcp(tmp_path: Path, empty_database: Path) -> Open:
    """Opens a server: ``async with open_mcp(engine) as offered``."""
    database = tmp_path / "mcp.db"
    shutil.copy(empty_database, database)

    @asynccontextmanager
    async def opened(
        engine: Engine | None = None, *, settings: Settings | None = None, **options: Any
    ) -> AsyncIterator[Offered]:
        draining, closing = asyncio.Event(), Ending()
        async with await open_store(f"sqlite:///{database}") as store:
            made = settings or Settings(grace_seconds=0.2, lease_seconds=3600.0)
            service = Service(
                store, engine or Simulator(ANSWERS), toolbox=Toolbox(), planners=PLANNERS, settings=made
            )
            application = http.create_application(service, draining=draining, closing=closing, **options)
            async with listening(application, "127.0.0.1", 0) as url:
                async with service.working():
                    yield Offered(service, url + http.PATH, draining)
                closing.set()

    return opened


@pytest.fixture
async def offered(open_mcp: Open) -> AsyncIterator[Offered]:
    async with open_mcp() as opened:
        yield opened
