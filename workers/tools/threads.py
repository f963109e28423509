"""Runs blocking functions in threads that do not keep the process from ending."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], name: str) -> T:
    """What the function returns or raises, run in a daemon thread of its own and in this context.

    A pool's threads would hold up the end of the process. A caller that is cancelled leaves the thread
    behind, since Python cannot stop it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(tell: Callable[[], None]) -> None:
        if not done.done():
            tell()

    def run() -> None:
        tell: Callable[[], None]
        try:
            result = context.run(function)
        except BaseException as error:  # also SystemExit, which would end the thread silently
            tell = partial(done.set_exception, error)
        else:
            tell = partial(done.set_result, result)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
