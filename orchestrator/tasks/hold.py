"""A task that this process runs: the lease that it keeps alive, and the wish to stop that it hears of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import TypeVar

from orchestrator.errors import HandedBack
from orchestrator.structured import task_group
from storage.store import Store
from storage.tasks import Claim

T = TypeVar("T")


class Hold:
    """One claim, from the moment when it was made to the end of the run.

    Calls and tools start only while the lease is known to hold. A process that was stopped or cut off beyond
    its lease renews it first, and if another process has taken the task over, pays for nothing more.
    """

    def __init__(self, store: Store, claim: Claim) -> None:
        self.claim = claim
        self.cancelled = claim.task.cancel_requested
        self._store = store
        self._renewed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._on_cancel: Callable[[], None] | None = None

    def cancel(self) -> None:
        """A user wants the task to end."""
        if not self.cancelled:
            self.cancelled = True
            if self._on_cancel is not None:
                self._on_cancel()

    def hand_back(self) -> None:
        """Let another process run the task; what is under way in :meth:`kept` ends with HandedBack."""
        self._leaving.set()

    async def leased(self) -> None:
        """Wait while it is not known that this process has the task."""
        while monotonic() >= self.claim.valid_until:
            self._renewed.clear()
            await self._renewed.wait()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew the lease, and hear of cancellations from elsewhere, while the block runs.

        Raises:
            LeaseLost: another process has taken the task over; the block was cancelled.
            StorageUnavailable: the lease cannot be renewed; likewise.
            HandedBack: :meth:`hand_back` was called; likewise.
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
                await asyncio.wait_for(self._leaving.wait(), self.claim.lease_seconds / 3)
                break
            self.claim = await self._store.heartbeat(self.claim)
            self._renewed.set()
            if self.claim.task.cancel_requested:
                self.cancel()
        raise HandedBack(f"task {self.claim.task.id} was put back into the queue for another process")

    @contextmanager
    def cancelling(self, act: Callable[[], None]) -> Iterator[None]:
        """Have ``act`` called when a user wants the task to end; at once, if that was before."""
        self._on_cancel = act
        if self.cancelled:
            act()
        try:
            yield
        finally:
            self._on_cancel = None

    async def unless_cancelled(self, work: Awaitable[T]) -> T | None:
        """The result of ``work``; None if a user wants the task to end before it is there."""
        try:
            async with asyncio.timeout(None) as patience:
                with self.cancelling(lambda: patience.reschedule(0.0)):
                    return await work
        except TimeoutError:
            if not patience.expired():
                raise
            return None
