"""Whole traces, to a service and from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from pathlib import Path

from orchestrator.errors import AnabranchError, InvalidRequest, Unavailable
from orchestrator.remote.transport import Reply, Request, Transport, may_repeat
from storage.archive import LIMITS, Limits, read_lines
from storage.errors import ArchiveError

JSON_LINES = "application/jsonl"
LINES = 200
"""How many lines of a file are read at a time."""


async def received(transport: Transport, path: str) -> AsyncGenerator[str, None]:
    """The lines of an exported trace.

    Raises:
        AnabranchError: it is refused, or breaks off; what has come until then is no whole trace.
    """
    attempts, count, last = transport.attempts(), 0, ""
    while True:
        try:
            async with transport.lines(path) as lines:
                async for line in lines:
                    count, last = count + 1, line
                    yield line
            break
        except AnabranchError as error:
            if count or not error.retryable:
                raise
            await attempts.wait(error)
    if not _ends(last, count):
        raise Unavailable(
            f"the trace from {transport.address} is cut short after {count} lines",
            code="stream_interrupted",
            http_status=503,
            retryable=True,
        )


def _ends(last: str, count: int) -> bool:
    """Whether a line is the last one of so many: it says how many events stand before it."""
    try:
        return bool(json.loads(last) == {"events": count - 2})
    except ValueError:
        return False


async def sent(transport: Transport, file: Path, tenant: str | None, limits: Limits) -> Reply:
    """What a service says of a trace that it was sent; it is sent again only if nothing was done with it.

    Raises:
        ArchiveError: the file is none, or larger than the limits; the service may have others.
        AnabranchError: it is refused, or could not be sent.
        InvalidRequest: the limits are about what only the service can see.
        OSError: the file cannot be read.
    """
    if (limits.events, limits.seconds) != (LIMITS.events, LIMITS.seconds):
        raise InvalidRequest(
            "how many events a trace may have, and how long it takes, is for the service to say"
        )
    try:
        await asyncio.to_thread(_checked, read_lines(file, limits))
    except ArchiveError as error:
        raise ArchiveError(f"{file}: {error}") from None
    headers = {"Content-Type": JSON_LINES} | ({} if tenant is None else {"X-Tenant": tenant})
    attempts, once = transport.attempts(), Request("POST", "/v1/import", again=False)
    while True:
        try:
            return await transport.send(once.path, _pieces(read_lines(file, limits)), headers)
        except AnabranchError as error:
            if not may_repeat(error, once):
                error.args = (f"{file}: {error}",)
                raise
            await attempts.wait(error)


def _checked(lines: Iterator[str]) -> None:
    for _ in lines:
        pass


async def _pieces(lines: Iterator[str]) -> AsyncGenerator[bytes, None]:
    while piece := await asyncio.to_thread(lambda: "".join(islice(lines, LINES))):
        yield piece.encode()
