"""The MCP servers of a process, and their tools in its toolbox."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from mcp import types

from workers.errors import ToolUnavailable
from workers.showing import cut, said
from workers.tools.limits import Limits
from workers.tools.mcp.connection import START_SECONDS, Connection
from workers.tools.mcp.declared import Declared
from workers.tools.mcp.results import value_of
from workers.tools.schemas import arguments_of_schema, given, plain_schema
from workers.tools.tool import IDEMPOTENCY_KEY, Tool
from workers.tools.toolbox import UNOFFERED, Toolbox

log = structlog.get_logger(__name__)

LONGEST_DESCRIPTION: Final = 2_000
"""Characters of what a server says about a tool that models are shown."""

LARGEST_SCHEMA: Final = 20_000
"""Characters of the JSON schema of a tool's arguments; a tool with a larger one is left out."""

_AGAIN_SECONDS: Final = 5.0  # after a start that failed, the next one is tried no earlier


@dataclass(eq=False)
class Server:
    """One declared server: it is connected to when it is needed, and again after it went away."""

    name: str
    declared: Declared
    on_change: Callable[[], None]
    tools: Sequence[types.Tool] = ()
    _connection: Connection | None = None
    _ending: set[asyncio.Task[None]] = field(default_factory=set)
    _failed: tuple[float, str] = (float("-inf"), "")

    def __post_init__(self) -> None:
        self.limits = Limits(self.declared.concurrency)

    async def connected(self) -> Connection:
        """A connection over which calls can be made.

        Raises:
            ToolUnavailable: there is none, and there was none a moment ago.
        """
        if self._connection is None or self._connection.is_over:
            at, why = self._failed
            if asyncio.get_running_loop().time() < at + _AGAIN_SECONDS:
                raise ToolUnavailable(why)
            if self._connection is not None:
                self._leave(self._connection)
            self._connection = Connection(self.name, self.declared, self._listed)
        connection = self._connection
        try:
            await connection.started()
        except ToolUnavailable as error:
            self._failed = asyncio.get_running_loop().time(), said(error)
            raise
        return connection

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        """What the server returns; see :meth:`Connection.call`."""
        try:
            connection = await self.connected()
        except ToolUnavailable as error:  # what a process wrote is for its operator, not for who asks
            log.warning("mcp_server_down", server=self.name, why=said(error))
            raise ToolUnavailable(f"the MCP server {self.name} is not there") from None
        return await connection.call(tool, arguments)

    async def end(self) -> None:
        """End the connection, and return when all earlier ones have ended, too."""
        if self._connection is not None:
            self._leave(self._connection)
        if self._ending:
            await asyncio.wait(set(self._ending))

    def _leave(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.ended())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _listed(self, tools: Sequence[types.Tool]) -> None:
        wanted = self.declared.include_tools
        self.tools = [tool for tool in tools if wanted is None or tool.name in wanted]
        self.on_change()


class Servers:
    """All the servers of a process.

    ``own`` are its other tools, whose names win. ``offer`` is called with the whole toolbox when all servers
    have started, and whenever the tools of one have changed.
    """

    def __init__(
        self, declared: Mapping[str, Declared], own: Toolbox, offer: Callable[[Toolbox], None]
    ) -> None:
        self._own = own
        self._offer = offer
        self._is_started = False
        self._servers = [Server(name, each, self._changed) for name, each in declared.items()]

    async def start(self) -> None:
        """Start them all at the same time, and return when they have listed their tools.

        Raises:
            ToolUnavailable: one of them cannot be started or reached.
        """
        started = await asyncio.gather(*(each.connected() for each in self._servers), return_exceptions=True)
        for each in started:
            if isinstance(each, BaseException):
                raise each
        self._is_started = True
        self._changed()

    async def stop(self) -> None:
        """End them all."""
        self._is_started = False
        await asyncio.gather(*(each.end() for each in self._servers))

    def toolbox(self) -> Toolbox:
        """The own tools with those of the servers.

        A tool whose name another one has, too, gets its server's name before its own. So does one that would
        be taken for a judge of ours, whom no server appoints.
        """
        made: dict[str, Tool] = {}
        known = Counter([*self._own, *UNOFFERED, *(_name(tool.name) for _, tool in self._tools())])
        for server, told in self._tools():
            name = _name(told.name)
            if known[name] > 1:
                name = _name(f"{server.name}_{told.name}")
            if name in made or name in self._own or name in UNOFFERED:
                log.warning("mcp_tool_left_out", server=server.name, tool=cut(told.name, 80), why="its name")
            elif (tool := _tool(server, told, name)) is not None:
                made[name] = tool
        return self._own.with_tools(*made.values())

    def _tools(self) -> Iterator[tuple[Server, types.Tool]]:
        for server in self._servers:
            for tool in server.tools:
                yield server, tool

    def _changed(self) -> None:
        if self._is_started:
            self._offer(self.toolbox())


def _tool(server: Server, told: types.Tool, name: str) -> Tool | None:
    """A tool of a server, if models can be shown it.

    Hints are believed as far as they make us careful: one that is not said to be read-only has side effects,
    and what is only said to be idempotent is repeated after a crash or a failure, but not begun on trial.
    """
    try:
        schema = plain_schema(told.input_schema, name, LARGEST_SCHEMA)
        arguments = arguments_of_schema(name, schema)
    except Exception as error:  # whatever a schema makes of itself
        log.warning("mcp_tool_left_out", server=server.name, tool=cut(told.name, 80), why=said(error))
        return None
    hints = told.annotations or types.ToolAnnotations()
    side_effects = hints.read_only_hint is not True
    repeatable = not side_effects or hints.idempotent_hint is True

    async def call(**values: object) -> object:
        if IDEMPOTENCY_KEY not in schema.get("properties", {}):  # some servers know what it is for
            values.pop(IDEMPOTENCY_KEY, None)
        return value_of(await server.call(told.name, given(values)), name)

    return Tool(
        name,
        cut(told.description or told.title or told.name, LONGEST_DESCRIPTION),
        arguments,
        schema,
        side_effects,
        START_SECONDS + server.declared.timeout + 5.0,
        call,
        takes_key=side_effects and repeatable,
        cuts=True,
        limits=server.limits,
        retries=1 if repeatable else 0,
    )


def _name(name: str) -> str:
    """A name as plans write them."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)[:64]
    return plain if plain[:1].isalpha() else f"_{plain}"
