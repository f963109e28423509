"""Tools that hang, block, never end when they are told to, or return what nobody can store."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from workers.tools.declaration import tool
from workers.tools.tool import Tool

TIMEOUT = 2.0


class Panic(BaseException):
    """Raised as some extension modules do it: past every ``except Exception``."""


@tool(timeout=TIMEOUT)
def hangs() -> None:
    """Blocks its thread for ever."""
    time.sleep(3600)


@tool(timeout=TIMEOUT)
async def hangs_async() -> None:
    """Waits for ever."""
    await asyncio.sleep(3600)


@tool(timeout=TIMEOUT)
async def ignores_cancellation() -> None:
    """Waits for ever, whatever it is told."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@tool(timeout=TIMEOUT)
async def blocks_the_loop() -> str:
    """Blocks the event loop for three seconds."""
    time.sleep(3)  # noqa: ASYNC251 -- that is the point
    return "done"


@tool
def huge_result() -> str:
    """Returns two hundred megabytes."""
    return "x" * 200_000_000


@tool
def huge_error() -> None:
    """Raises an error of ten megabytes."""
    raise ValueError("x" * 10_000_000)


@tool
def cyclic_result() -> Any:
    """Returns a list that contains itself."""
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


@tool
def half_characters() -> Any:
    """Returns text that is no UTF-8."""
    return {"half": "\ud800", "nul": "\0", "\udfff": [1e308]}


@tool
def odd_objects() -> Any:
    """Returns objects and numbers that JSON does not have."""
    return {"object": object(), "nan": float("nan"), (1, 2): {3, 4}}


@tool
async def raises_base() -> None:
    """Raises what is not an Exception in the event loop."""
    raise Panic("the extension module panicked")


@tool
async def raises_system_exit() -> None:
    """Ends the program, it believes."""
    raise SystemExit(4)


HOSTILE = tuple(value for value in list(globals().values()) if isinstance(value, Tool))
"""The hostile tools, in the order of this module."""
