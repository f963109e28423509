"""Awaits code of others, such as tools and engines, so that it can neither end nor hold up what awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
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


async def contained(work: Callable[[], Awaitable[T]], who: str, *, seconds: float | None = None) -> T:
    """The result of ``work``, which is awaited in a task of its own; ``who`` names it in the log.

    If the caller is cancelled, so is the work; if that does not end it, it is left behind.

    Raises:
        Overdue: it took more than ``seconds``, or ``MOST_LEFT`` of this name were left behind and still run.
        Escaped: it raised what is not an Exception.
        Exception: what else it raised.
    """
    check_left(who)
    task = asyncio.get_running_loop().create_task(_caught(work), name=who)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        await end(task, who)
        raise
    if not done:
        await end(task, who)
        raise Overdue(who, f"took more than {seconds:g} s")
    result: T
    result, error = task.result()
    if error is not None:
        raise error if isinstance(error, Exception) else Escaped(error)
    return result


class Unattended:
    """Code of others in a task of its own that nothing awaits, since waking who awaits a task takes time.

    It is contained like the work of :func:`contained`. ``report`` is called once, with None or with what that
    function would raise, unless the work has been cancelled. Beyond :meth:`limit`, it may take any time.

    Raises:
        Overdue: ``MOST_LEFT`` of this name were left behind and still run.
    """

    def __init__(
        self, work: Callable[[], Awaitable[None]], who: str, report: Callable[[Exception | None], None]
    ) -> None:
        check_left(who)
        self._who = who
        self._report: Callable[[Exception | None], None] | None = report
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: Overdue | None = None
        self._complete = False
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._run(work), name=who)

    def limit(self, seconds: float) -> float:
        """Give the work so many seconds from now on; returns when they end, as the event loop counts."""
        return self._time(seconds, self._too_late, seconds)

    def complete(self) -> None:
        """All that matters of the work is there: it may end, but how that goes does not matter."""
        self._complete = True
        self._time(GRACE_SECONDS, self._give_up)

    def cancel(self) -> None:
        """Cancel the work, and report nothing."""
        self._report = None
        if not self.task.done():
            self._give_up()

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        error: BaseException | None = None
        try:
            await work()
        except BaseException as raised:
            error = raised
        if self._timer is not None:
            self._timer.cancel()
        self._tell(error if error is None or isinstance(error, Exception) else Escaped(error))

    def _time(self, seconds: float, then: Callable[..., None], *of: object) -> float:
        if self._timer is not None:
            self._timer.cancel()
        until = self._loop.time() + seconds
        self._timer = self._loop.call_at(until, then, *of)
        return until

    def _too_late(self, seconds: float) -> None:
        self._overdue = Overdue(self._who, f"took more than {seconds:g} s")
        self._give_up()

    def _give_up(self) -> None:
        self.task.cancel()
        self._time(GRACE_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self.task.done():
            _leave(self.task, self._who)
            self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(None if self._complete else self._overdue or error)


async def end_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until tasks that were cancelled have ended, or leave them behind."""
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
    finally:
        for task in tasks:
            if not task.done():
                _leave(task, task.get_name())


def check_left(who: str) -> None:
    """Raise Overdue if ``MOST_LEFT`` of this name were left behind and still run."""
    if len(_left) >= MOST_LEFT and sum(task.get_name() == who for task in _left) >= MOST_LEFT:
        raise Overdue(who, still_running(MOST_LEFT))


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
    if task in _left:
        return
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
