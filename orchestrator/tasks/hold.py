"""A task that this process runs: it keeps the lease alive, and learns of requests to cancel the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import TypeVar

from orchestrator.errors import HandedBack
from orchestrator.structured import task_group
from orchestrator.tasks.containment import sheltered
from storage.store import Store
from storage.tasks import Claim

T = TypeVar("T")


class Hold:
    """One claim, from the moment it was made to the end of the run.

    Calls and tools start only while the lease is known to be valid. A process that was stopped or cut off for
    longer than its lease renews it first; if another process has taken the task over, it pays for nothing
    more.
    """

    def __init__(self, store: Store, claim: Claim) -> None:
        self.claim = claim
        self.cancelled = claim.task.cancel_requested
        self._store = store
        self._renewed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._on_cancel: Callable[[], None] | None = None

    def cancel(self) -> None:
        """Cancel the task at a user's request."""
        if not self.cancelled:
            self.cancelled = True
            if self._on_cancel is not None:
                self._on_cancel()

    def hand_back(self) -> None:
        """Let another process run the task; the block under :meth:`kept` ends with HandedBack."""
        self._leaving.set()

    async def leased(self) -> None:
        """Wait until this process is known to hold the task."""
        while monotonic() >= self.claim.valid_until:
            self._renewed.clear()
            await self._renewed.wait()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew the lease, and watch for cancellations from elsewhere, while the block runs.

        Raises:
            LeaseLost: another process has taken the task over; the block was cancelled.
            StorageUnavailable: the lease cannot be renewed; the block was cancelled.
            HandedBack: :meth:`hand_back` was called; the block was cancelled.
        """
        async with task_group() as group:
            beating = group.create_task(self._beat(), name=f"heartbeat {self.claim.task.id}")
            try:
                yield
            finally:
                beating.cancel()

    async def _beat(self) -> None:
        while not self._leaving.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.claim.lease_seconds / 3):
                    await self._leaving.wait()
                break
            self.claim = await sheltered(self._store.heartbeat(self.claim))
            self._renewed.set()
            if self.claim.task.cancel_requested:
                self.cancel()
        raise HandedBack(f"task {self.claim.task.id} was put back into the queue for another process")

    @contextmanager
    def cancelling(self, act: Callable[[], None]) -> Iterator[None]:
        """Call ``act`` when a user cancels the task, or at once if that has already happened."""
        self._on_cancel = act
        if self.cancelled:
            act()
        try:
            yield
        finally:
            self._on_cancel = None

    async def unless_cancelled(self, work: Awaitable[T]) -> T | None:
        """The result of ``work``; None if a user cancels the task first."""
        try:
            async with asyncio.timeout(None) as patience:
                with self.cancelling(lambda: patience.reschedule(0.0)):
                    return await work
        except TimeoutError:
            if not patience.expired():
                raise
            return None
