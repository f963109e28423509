"""One connection to an MCP server, from its start to its end, which a task of its own owns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, TypeVar

import structlog
from mcp import Client, MCPError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    CallToolResult,
    Implementation,
    Tool,
    ToolListChangedNotification,
)

from workers.contained import end
from workers.errors import ToolError, ToolUnavailable
from workers.showing import SAID, cut, said
from workers.tools.mcp.declared import Declared
from workers.tools.mcp.pipes import Complaints, piped
from workers.tools.mcp.web import over_http

log = structlog.get_logger(__name__)
logging.getLogger("mcp").addHandler(logging.NullHandler())  # else it writes tracebacks to standard error

START_SECONDS: Final = 60.0
"""How long a server may take from its start until it has listed its tools."""

MOST_TOOLS: Final = 200
"""Of one server; further ones are left out."""

_PAGES: Final = 50
_SETTLING_SECONDS: Final = 0.3  # until tools that have changed are listed, so often at most
_SILENT: Final = 3  # calls in a row without an answer, after which a server is started again
_CLIENT: Final = Implementation(name="anabranch", version="1")

T = TypeVar("T")


class Connection:
    """A server that is started, or connected to, when this is made.

    The contexts of the client are entered and left in the task that is begun here, as they must be. Calls
    come from any task of the same event loop.
    """

    def __init__(self, server: str, declared: Declared, on_tools: Callable[[Sequence[Tool]], None]) -> None:
        self.server = server
        self._declared = declared
        self._on_tools = on_tools
        self._complaints = Complaints()
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._silent = 0
        self.task = asyncio.create_task(self._run(), name=f"MCP server {server}")

    @property
    def is_over(self) -> bool:
        """Whether no further call can be made."""
        return self._closing.is_set() or self.task.done()

    async def started(self) -> None:
        """Return when the server has listed its tools.

        Raises:
            ToolUnavailable: it cannot be started or reached, or takes too long; with what it wrote about it.
        """
        await asyncio.wait([self._client])
        if (error := self._client.exception()) is not None:
            raise ToolUnavailable(str(error))

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """What the server returns.

        Raises:
            ToolUnavailable: the server is gone, or goes meanwhile.
            ToolError: it refuses the call, or takes too long.
        """
        client, seconds = self._client.result(), self._declared.timeout
        try:
            async with asyncio.timeout(seconds):
                result = await self._while_there(client.call_tool(tool, dict(arguments)))
        except TimeoutError:
            self._silent += 1
            if self._silent >= _SILENT:
                self.close()
            raise ToolError(f"the MCP server {self.server} did not answer within {seconds:g} s") from None
        except MCPError as error:
            if error.code in (CONNECTION_CLOSED, INVALID_REQUEST):  # or it does not know our session any more
                self.close()
                raise self._gone(said(error)) from None
            told = cut(self._declared.discreet(error.message), SAID)
            raise ToolError(f"the MCP server {self.server} says: {told}") from None
        self._silent = 0
        return result

    def close(self) -> None:
        """Begin to end it."""
        self._closing.set()

    async def ended(self) -> None:
        """Return when it has been closed. What is still starting is not waited for."""
        self.close()
        if self._client.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self.task], timeout=START_SECONDS / 6)
        if not self.task.done():
            await end(self.task, self.task.get_name())

    async def _while_there(self, work: Awaitable[T]) -> T:
        """The result of a call, which would wait for ever where the connection ends beneath it."""
        call = asyncio.ensure_future(work)
        try:
            await asyncio.wait([call, self.task], return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise self._gone("it ended during the call")
            return call.result()
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait([call])

    def _gone(self, why: str) -> ToolUnavailable:
        return ToolUnavailable(f"the MCP server {self.server} is not there: {self._declared.discreet(why)}")

    async def _run(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(START_SECONDS):
                    client = await stack.enter_async_context(self._made())
                    client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
                    self._on_tools(await listed(client))
                self._client.set_result(client)
                await self._stay(client)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            is_late = isinstance(error, TimeoutError)
            why = f"it took more than {START_SECONDS:g} s to start" if is_late else _innermost(error)
            if str(self._complaints):
                why = f"{why}; it wrote: {self._complaints}"
            log.info("mcp_server_ended", server=self.server, why=self._declared.discreet(why))
            if not self._client.done():
                self._client.set_exception(self._gone(why))
        finally:
            self._closing.set()
            if not self._client.done():
                self._client.set_exception(self._gone("it was closed while it started"))
            self._client.exception()  # it may be that nobody asks for it

    def _made(self) -> Client:
        async def heard(message: object) -> None:
            if isinstance(message, ToolListChangedNotification):
                self._changed.set()

        transport = (
            over_http(self._declared, self._complaints)
            if self._declared.command is None
            else piped(self.server, self._declared, self._complaints, self.close)
        )
        return Client(transport, message_handler=heard, client_info=_CLIENT, cache=None)

    async def _stay(self, client: Client) -> None:
        """List the tools again whenever the server says that they have changed, until it is closed."""
        closing = asyncio.create_task(self._closing.wait())
        hearing = asyncio.create_task(self._hear(client))
        try:
            while not self._closing.is_set():
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait([closing, changed], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if self._changed.is_set() and not self._closing.is_set():
                    await asyncio.wait([closing], timeout=_SETTLING_SECONDS)
                    self._changed.clear()
                    async with asyncio.timeout(START_SECONDS):
                        tools = await listed(client)
                    self._on_tools(tools)
        finally:
            for task in (closing, hearing):
                task.cancel()
            await asyncio.wait([closing, hearing])

    async def _hear(self, client: Client) -> None:
        """Subscribe to changes of the tools, which servers of the newer protocol tell to nobody else."""
        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._changed.set()


async def listed(client: Client) -> Sequence[Tool]:
    """The tools of a server, the first of them if there are very many."""
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) > MOST_TOOLS:
            break
    return tools[:MOST_TOOLS]


async def _unchecked(name: str, result: CallToolResult) -> None:
    """Take any result: a server's own schema for it may have patterns that take for ever, and not yield."""


def _innermost(error: BaseException) -> str:
    """The first error in a group of groups, which says what happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return said(error) or type(error).__name__
