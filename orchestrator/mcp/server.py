"""The server as the protocol's library has it: what it is called, what it is for, and its tools.

Nothing is imported here that an answer to ``initialize`` does not need; the tools are, once asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

if TYPE_CHECKING:
    from orchestrator.mcp.tools import Tools

VERSION = version("anabranch")

INSTRUCTIONS = (
    "Anabranch answers hard questions by several branches of reasoning that run at the same time and stop "
    "when they agree. Ask `solve` when an answer must be right and can be checked by solving it several "
    "times; give the whole question, for it sees nothing else. Every answer says whether it should be relied "
    "on. `trace` shows how an answer came about."
)


def server_of(make: Callable[[], Tools]) -> Server[dict[str, Any]]:
    """A server with the tools that ``make`` makes; it is called once they are needed, in a thread."""
    later = _Later(make)
    return Server(
        "anabranch",
        version=VERSION,
        title="Anabranch",
        instructions=INSTRUCTIONS,
        on_list_tools=later.list,
        on_call_tool=later.call,
    )


class _Later:
    """The tools, once they have been asked for."""

    def __init__(self, make: Callable[[], Tools]) -> None:
        self._make = make
        self._made: Tools | None = None
        self._making = asyncio.Lock()

    async def list(
        self, context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """See :meth:`Tools.list`."""
        return await (await self._tools()).list(context, params)

    async def call(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        """See :meth:`Tools.call`."""
        return await (await self._tools()).call(context, params)

    async def _tools(self) -> Tools:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made
