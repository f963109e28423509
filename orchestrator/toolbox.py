"""The tools of a process, from its settings and its caller."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.errors import InvalidRequest, translated
from orchestrator.settings import Settings
from orchestrator.validation import explain
from workers.errors import ToolError
from workers.tools.files import http_tools
from workers.tools.mcp.declared import Declared, mcp_servers
from workers.tools.router import router
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from workers.tools.mcp.servers import Servers


def build_toolbox(settings: Settings, tools: Iterable[Tool] = ()) -> Toolbox:
    """The installed tools, what the settings name, and ``tools``; without those of servers. Reads files.

    Raises:
        InvalidRequest: the HTTP tools of the settings are wrong.
        Unavailable: an installed tool cannot be imported, the entailment model does not exist, or the
            trained router cannot be read.
    """
    with translated():
        toolbox = Toolbox.installed()
        if settings.nli is not None:
            from workers.tools.entailment import entailment

            toolbox = toolbox.with_tools(entailment(settings.nli))
        if settings.router is not None:
            toolbox = toolbox.with_tools(router(settings.router))
        if settings.http_tools is not None:
            with _named("http_tools"):
                toolbox = toolbox.with_tools(*http_tools(settings.http_tools))
        return toolbox.with_tools(*tools)


@asynccontextmanager
async def with_servers(
    settings: Settings, own: Toolbox, offer: Callable[[Toolbox], None]
) -> AsyncIterator[None]:
    """Offer ``own`` with the tools of the MCP servers that the settings name, which end with the block.

    All of it is offered anew whenever a server tells that its tools have changed.

    Raises:
        InvalidRequest: the servers of the settings are wrong.
        Unavailable: the extra ``mcp`` is not installed, or a server cannot be started or reached.
    """
    if settings.mcp_servers is None:
        yield
        return
    with _named("mcp_servers"):
        declared = await asyncio.to_thread(mcp_servers, settings.mcp_servers)
    servers: Servers | None = None
    try:
        with translated():
            servers = await asyncio.to_thread(_servers, declared, own, offer)
            await servers.start()
        yield
    finally:
        if servers is not None:
            await servers.stop()


def _servers(declared: Mapping[str, Declared], own: Toolbox, offer: Callable[[Toolbox], None]) -> Servers:
    """The servers, not yet started; reads the files of what speaks their protocol."""
    if importlib.util.find_spec("mcp") is None:
        raise ToolError("MCP servers need the extra 'mcp': pip install 'anabranch[mcp]'")
    from workers.tools.mcp.servers import Servers

    return Servers(declared, own, offer)


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """Say which setting is wrong."""
    try:
        yield
    except ValidationError as error:
        raise InvalidRequest(f"ANABRANCH_{setting.upper()}: {explain(error)}") from None
    except ValueError as error:
        raise InvalidRequest(f"ANABRANCH_{setting.upper()}: {error}") from None
