"""Errors of any kind, so that they harm no other task: which end the work itself, and what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog

from orchestrator.errors import AnabranchError, Failure, HandedBack
from storage.errors import LeaseLost, StorageError, StorageUnavailable
from workers.errors import WorkerError
from workers.showing import cut

T = TypeVar("T")

log = structlog.get_logger()

EXPECTED = (WorkerError, AnabranchError, StorageError)
"""What may go wrong; everything else is a mistake of the program or of code that it was given."""

TOLD = 4_000
"""The most characters of an error's message that are kept with a task."""


def is_ending(error: BaseException) -> bool:
    """Whether the current asyncio task was cancelled or closed, which code can also pretend by itself."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the loop is gone, and the coroutine is being closed
        return True
    return task is None or task.cancelling() > 0


def is_for_others(error: BaseException) -> bool:
    """Whether the error leaves a task to another process, or to this one later, instead of ending it."""
    if isinstance(error, StorageError):
        return isinstance(error, StorageUnavailable | LeaseLost)
    return isinstance(error, HandedBack) or is_ending(error)


def failure_of(error: BaseException) -> Failure:
    """Why a task failed, as a value that every database can store."""
    if isinstance(error, EXPECTED):
        return Failure(error.code, words(error), retryable=error.retryable)
    return Failure("internal", f"{type(error).__name__}: {words(error)}")


def words(error: BaseException) -> str:
    """The message of an error, cut, and without characters that some database cannot store."""
    try:
        said = str(error)
    except BaseException:
        return "(its message cannot be shown)"
    return cut(said, TOLD).encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


async def sheltered(work: Awaitable[T]) -> T:
    """The result of ``work``, whose errors cannot end the event loop or pass for a cancellation.

    Raises:
        RuntimeError: in place of SystemExit and its like.
    """
    try:
        return await work
    except Exception:
        raise
    except BaseException as error:
        if is_ending(error):
            raise
        raise RuntimeError(f"{type(error).__name__}: {words(error)}") from error


@contextmanager
def apart(doing: str) -> Iterator[None]:
    """Go on after the block, whatever goes wrong in it, unless the current asyncio task is cancelled."""
    try:
        yield
    except BaseException as error:
        if is_ending(error):
            raise
        report("went wrong", error, doing=doing)


def report(event: str, error: BaseException, **told: object) -> None:
    """Log an error, an unexpected one with its traceback; that no log can be written harms nobody."""
    with suppress(BaseException):
        if isinstance(error, EXPECTED):
            log.warning(event, code=error.code, error=words(error), **told)
        else:
            log.error(event, error=words(error), exc_info=error, **told)
