"""MCP over standard input and output, on which there is nothing else.

Whatever a library, a planner, a tool or a process that one of them starts writes to standard output goes to
standard error, and whoever reads standard input finds that it has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel.server import Server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter

from orchestrator.structured import task_group
from workers.tools.threads import in_thread

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 10_000_000
"""Of one message."""

PARTING_SECONDS: Final = 2.0
"""How long a client that leaves may take to read what was written."""

PIECE: Final = 65_536
"""Bytes that are read at a time."""

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]


@dataclass(frozen=True, slots=True)
class Wire:
    """Two file descriptors: what comes in, and what goes out."""

    source: int
    sink: int


def claimed() -> Wire:
    """Standard input and output for the protocol alone; from now on nobody else in this process has them.

    Raises:
        OSError: one of them is closed.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    wire = Wire(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nothing, 0)
        try:
            os.dup2(2, 1)
        except OSError:  # there is no standard error
            os.dup2(nothing, 1)
    finally:
        os.close(nothing)
    return wire


async def serve_pipes(server: Server[Any], wire: Wire, *, on_end: Callable[[], None] = lambda: None) -> None:
    """Answer what comes in until it ends, or until nobody reads what goes out.

    ``on_end`` is called when nothing more comes in, before what goes on is cancelled.
    """
    async with _streams(wire, on_end) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


@asynccontextmanager
async def _streams(
    wire: Wire, on_end: Callable[[], None]
) -> AsyncIterator[tuple[MemoryObjectReceiveStream[SessionMessage | Exception], Outgoing]]:
    """Streams of messages from and to the wire; what was given to them is written before the block ends."""
    arriving, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        try:
            await _read(wire.source, arriving, outgoing.clone())
        finally:
            on_end()

    async with AsyncExitStack() as closing, task_group() as group:
        for end in (arriving, incoming, outgoing, leaving):
            closing.callback(end.close)
        reading = group.create_task(read(), name="what comes in")
        writing = group.create_task(_write(wire.sink, leaving, arriving), name="what goes out")
        try:
            yield incoming, outgoing
        finally:
            reading.cancel()
            outgoing.close()
            await asyncio.wait({writing}, timeout=PARTING_SECONDS)
            writing.cancel()


async def _read(source: int, arriving: Incoming, outgoing: Outgoing) -> None:
    """Pass on the messages of each line; who sent something else is told so."""
    buffer, skipping = bytearray(), False
    with arriving, outgoing, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        while data := await in_thread(lambda: os.read(source, PIECE), "standard input"):
            *lines, rest = data.split(b"\n")
            for line in lines:
                buffer += line
                if not skipping and buffer.strip():
                    await _pass_on(bytes(buffer), arriving, outgoing)
                buffer.clear()
                skipping = False
            if not skipping:
                buffer += rest
            if len(buffer) > MOST_BYTES:
                buffer.clear()
                skipping = True
                await _refuse(outgoing, INVALID_REQUEST, f"a message has more than {MOST_BYTES:,} bytes")


async def _pass_on(line: bytes, arriving: Incoming, outgoing: Outgoing) -> None:
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        await _refuse(outgoing, PARSE_ERROR, "a line is no message of JSON-RPC 2.0")
    else:
        await arriving.send(SessionMessage(message))


async def _refuse(outgoing: Outgoing, code: int, why: str) -> None:
    log.warning("mcp_message_refused", why=why)
    refusal = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=code, message=why))
    await outgoing.send(SessionMessage(refusal))


async def _write(sink: int, leaving: MemoryObjectReceiveStream[SessionMessage], arriving: Incoming) -> None:
    """Write each message on a line of its own."""
    with leaving:
        async for each in leaving:
            line = each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
            try:
                await in_thread(lambda line=line: _write_all(sink, line), "standard output")  # type: ignore[misc]
            except OSError:  # nobody reads it any more
                arriving.close()
                return


def _write_all(sink: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(sink, rest) :]
