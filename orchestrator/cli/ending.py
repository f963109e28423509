"""How commands that take long end: by a signal, and even if something in the process does not end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")

INTERRUPTED, TERMINATED = 130, 143

ENDED_SECONDS = 15.0
"""How long a process may take to end after it has given up its tasks."""


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work of a command, which a SIGTERM cancels: what it has begun must not stay behind.

    Raises:
        typer.Exit: a SIGTERM came.
        Exception: what the work raised.
    """

    async def obeying() -> T:
        cancel_on_sigterm()
        return await work

    try:
        return asyncio.run(obeying())
    except asyncio.CancelledError:
        raise typer.Exit(TERMINATED) from None


def cancel_on_sigterm() -> None:
    """Let a SIGTERM cancel the task that calls this."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def end_within(seconds: float, code: int) -> None:
    """End the process even if something in it does not: a thread that waits for a lock, or a tool."""

    def end() -> None:
        os.write(2, b"the process does not end by itself and is ended\n")
        os._exit(code)

    ending = threading.Timer(seconds, end)
    ending.daemon = True
    ending.start()
