"""Cancels tasks that run here as soon as somebody in another process asks for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from orchestrator.tasks.containment import is_ending, report
from storage.store import Store

PAUSE_SECONDS = 1.0
"""How long to wait when requests cannot be followed. Heartbeats notice them too, only later."""

LEAVING_SECONDS = 5.0
"""How long a read of the database may take to end when nobody needs it any more."""


class Cancelling:
    """Follows the requests in the store while at least one block under :meth:`followed` is open.

    Args:
        held: the ids of the tasks that run here and are not cancelled yet.
        cancel: cancels one of them.
    """

    def __init__(
        self, store: Store, held: Callable[[], Collection[str]], cancel: Callable[[str], None]
    ) -> None:
        self._store = store
        self._held = held
        self._cancel = cancel
        self._blocks = 0
        self._following: asyncio.Task[None] | None = None

    def failed(self) -> str | None:
        """Why nobody follows the requests although somebody should; None if all is well."""
        dead = self._blocks and self._following is not None and self._following.done()
        return "nobody follows requests to cancel tasks any more" if dead else None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Cancel tasks at the request of others while the block runs."""
        self._blocks += 1
        if self._following is None or self._following.done():
            self._following = asyncio.get_running_loop().create_task(
                self._follow(), name="cancellations", context=contextvars.Context()
            )
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                following, self._following = self._following, None  # whoever comes meanwhile needs another
                following.cancel()
                await asyncio.wait([following], timeout=LEAVING_SECONDS)

    async def _follow(self) -> None:
        while True:
            try:
                async for task_id in self._store.cancellations(self._held):
                    self._cancel(task_id)
            except BaseException as error:
                if is_ending(error):
                    raise
                report("requests to cancel tasks cannot be followed", error)
            await asyncio.sleep(PAUSE_SECONDS)
