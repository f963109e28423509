"""Speaks MCP with a server over the pipes of a process, whatever that process writes to them."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from workers.tools.mcp.declared import Declared

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 10_000_000
"""Of one message."""

MOST_GARBAGE: Final = 1_000
"""How many lines in a row may be no messages."""

ENDING_SECONDS: Final = 2.0
"""How long a process may take to end when its input ends, and again when it is told to."""

_LAST: Final = 2_000  # characters of what a process wrote to its standard error that are kept

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


class Complaints:
    """The end of what a process wrote to its standard error, and what was wrong with its output."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, text: str) -> None:
        """Add a piece of text."""
        self._text = (self._text + text)[-_LAST:]

    def __str__(self) -> str:
        return self._text.strip()


@asynccontextmanager
async def piped(
    server: str, declared: Declared, complaints: Complaints, on_end: Callable[[], None]
) -> AsyncIterator[Streams]:
    """Streams of messages from and to a process, which is started now and ended with the block.

    ``on_end`` is called when no more messages will come.

    Raises:
        OSError: it cannot be started.
    """
    assert declared.command is not None
    process = await asyncio.create_subprocess_exec(
        declared.command,
        *declared.args,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=MOST_BYTES,
        env=get_default_environment() | declared.env,
        cwd=declared.cwd,
        start_new_session=True,
    )
    arriving, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        try:
            await _read(process, arriving, complaints)
        finally:
            on_end()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(_write, process, leaving, arriving)
            tasks.start_soon(_listen, process, complaints)
            try:
                yield incoming, outgoing
            finally:
                for stream in (incoming, outgoing):
                    stream.close()
                tasks.cancel_scope.cancel()
    finally:
        for end in (arriving, leaving):
            end.close()
        await _end(process, server)


async def _read(process: Process, arriving: Incoming, complaints: Complaints) -> None:
    """Pass messages on until there are no more; lines that are none are left out."""
    assert process.stdout is not None
    garbage = 0
    with arriving, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        while garbage < MOST_GARBAGE:
            try:
                line = await process.stdout.readline()
            except ValueError:
                complaints.add(f"\nit wrote a line of more than {MOST_BYTES:,} bytes")
                return
            if not line:
                return
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                garbage += 1
                await asyncio.sleep(0)  # lines that are there already are read without a pause
            else:
                garbage = 0
                await arriving.send(SessionMessage(message))
        complaints.add(f"\nit wrote {MOST_GARBAGE} lines that are not MCP")


async def _write(
    process: Process, leaving: MemoryObjectReceiveStream[SessionMessage], arriving: Incoming
) -> None:
    assert process.stdin is not None
    with leaving:
        try:
            async for each in leaving:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
        except (ConnectionError, RuntimeError):
            arriving.close()  # so that nobody waits for an answer


async def _listen(process: Process, complaints: Complaints) -> None:
    """Take what it writes to its standard error, so that it is never held up there."""
    assert process.stderr is not None
    with suppress(ConnectionError):
        while data := await process.stderr.read(65_536):
            complaints.add(data.decode("utf-8", "replace"))


async def _end(process: Process, server: str) -> None:
    """End a process with all that it has started, within bounded time, also while being cancelled."""
    assert process.stdin is not None
    try:
        with suppress(OSError, RuntimeError):
            process.stdin.close()
        if not await _has_ended(process):
            _signal(process, signal.SIGTERM)
            if not await _has_ended(process):
                log.warning("mcp_server_killed", server=server, pid=process.pid)
    finally:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))  # also what it has left behind
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(ENDING_SECONDS):
                await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _has_ended(process: Process) -> bool:
    """Whether it ends in time. What it has started may still hold its pipes, for which wait() would wait."""
    for _ in range(int(ENDING_SECONDS / 0.02)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(0.02)
    return False


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        elif process.returncode is None:
            process.send_signal(number)
