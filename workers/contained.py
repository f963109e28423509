"""Awaits code of others, such as tools and engines, so that it can neither end nor hold up what awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from workers.showing import raised

log = structlog.get_logger(__name__)

GRACE_SECONDS = 5.0
"""How long code that was cancelled may take to end. What takes longer is left behind."""

MOST_LEFT = 64
"""How much code of one name may have been left behind; beyond that, no more of it is begun."""

T = TypeVar("T")

_left: set[asyncio.Task[Any]] = set()


class Overdue(Exception):
    """The code took longer than it may, or was not begun because it never ends; ``why`` says which."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(f"{who} {why}")
        self.why = why


class Escaped(Exception):
    """The code raised ``error``, which would have ended more than itself, or its own cancellation."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(raised(error))
        self.error = error


async def contained(
    work: Callable[[], Awaitable[T]],
    who: str,
    *,
    seconds: float | None = None,
    early: asyncio.Future[T] | None = None,
) -> T:
    """The result of ``work``, which is awaited in a task of its own; ``who`` names it in the log.

    If the caller is cancelled, so is the work; if that does not end it, it is left behind. ``early`` may be
    given the result before the work has ended: how the rest of it goes does not matter.

    Raises:
        Overdue: it took more than ``seconds``, or ``MOST_LEFT`` of this name were left behind and still run.
        Escaped: it raised what is not an Exception.
        Exception: what else it raised.
    """
    if len(_left) >= MOST_LEFT and sum(task.get_name() == who for task in _left) >= MOST_LEFT:
        raise Overdue(who, still_running(MOST_LEFT))
    task = asyncio.get_running_loop().create_task(_caught(work), name=who)
    results: list[asyncio.Future[Any]] = [task] if early is None else [task, early]
    try:
        done, _ = await asyncio.wait(results, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done and not task.done():
            await asyncio.wait([task], timeout=GRACE_SECONDS)
    except asyncio.CancelledError:
        await end(task, who)
        raise
    if not task.done():
        await end(task, who)
    if early is not None and early.done():
        return early.result()
    if not done:
        raise Overdue(who, f"took more than {seconds:g} s")
    result: T
    result, error = task.result()
    if error is not None:
        raise error if isinstance(error, Exception) else Escaped(error)
    return result


def still_running(count: int) -> str:
    """Why code is not begun once more."""
    return f"was not begun: {count} earlier times, it did not end when it was given up, and still runs"


async def end(task: asyncio.Task[Any], who: str, seconds: float | None = None) -> None:
    """Cancel a task, and wait until it has ended, or leave it behind after ``seconds`` (None: the usual)."""
    task.cancel()
    try:
        await asyncio.wait([task], timeout=GRACE_SECONDS if seconds is None else seconds)
    finally:
        if not task.done():
            _leave(task, who)


def _leave(task: asyncio.Task[Any], who: str) -> None:
    _left.add(task)
    task.add_done_callback(_left.discard)
    # Nothing waits for it any more, and neither may the end of the event loop.
    asyncio.tasks._unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    log.warning("left_behind", who=who, reason="it does not end when it is cancelled", left=len(_left))


async def _caught(work: Callable[[], Awaitable[T]]) -> tuple[Any, BaseException | None]:
    """The result or the error as values: a task that raises an exit would end the event loop."""
    try:
        return await work(), None
    except BaseException as error:
        return None, error
