"""Runs blocking functions in threads that do not keep the process from ending."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from workers.contained import GRACE_SECONDS, MOST_LEFT, Escaped, Overdue, still_running

log = structlog.get_logger(__name__)

T = TypeVar("T")

_left: list[threading.Thread] = []
"""Threads that nobody waits for any more; some have ended since."""


def _nothing() -> None:
    """Do nothing."""


async def in_thread(function: Callable[[], T], name: str, at_end: Callable[[], None] = _nothing) -> T:
    """What the function returns or raises, run in a daemon thread of its own and in this context.

    A pool's threads would hold up the end of the process. A caller that is cancelled leaves the thread
    behind, since Python cannot stop it. ``at_end`` is called when the thread ends, or if it cannot begin.

    Raises:
        Overdue: ``MOST_LEFT`` threads of this name were left behind and still run.
        RuntimeError: the process can start no more threads.
        Escaped: the function raised what is not an Exception.
        Exception: what else it raised.
    """
    if _running(name) >= MOST_LEFT:
        at_end()
        raise Overdue(name, still_running(MOST_LEFT))
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: tuple[Any, BaseException | None]) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        try:
            outcome: tuple[Any, BaseException | None] = context.run(function), None
        except BaseException as error:  # also SystemExit, which would end the thread silently
            outcome = None, error
        at_end()
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, outcome)

    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except BaseException:
        at_end()
        raise
    try:
        result: T
        result, error = await done
    except asyncio.CancelledError:
        _left.append(thread)
        loop.call_later(GRACE_SECONDS, _tell, thread)
        raise
    if error is not None:
        if isinstance(error, Exception) and not isinstance(
            error, StopIteration
        ):  # no coroutine can raise that
            raise error
        raise Escaped(error)
    return result


def _running(name: str) -> int:
    """How many threads of this name were left behind and have not ended."""
    if len(_left) >= MOST_LEFT:
        _left[:] = [thread for thread in _left if thread.is_alive()]
    return sum(thread.name == name for thread in _left)


def _tell(thread: threading.Thread) -> None:
    if thread.is_alive():
        log.warning(
            "left_behind", who=thread.name, reason="a thread cannot be stopped", left=_running(thread.name)
        )
