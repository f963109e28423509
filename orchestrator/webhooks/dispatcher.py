"""Delivers what is due, as long as its process works; any number of processes share the deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import structlog

from orchestrator.webhooks.messages import message_of
from orchestrator.webhooks.meters import WebhookMeters
from orchestrator.webhooks.schedule import patience
from orchestrator.webhooks.sending import ATTEMPT_SECONDS, Sender
from storage.endpoints import Due, Room, Webhook
from storage.errors import StorageError
from storage.webhooks import Webhooks

log = structlog.get_logger()

IDLE_SECONDS: Final = 1.0
"""How often the database is looked at for what other processes have left to do."""

LONGEST_PAUSE: Final = 10.0
"""The most seconds between two looks at a database that cannot be read."""

ROOM: Final = Room(total=64, tenant=16, each=2)
"""How many attempts one process makes at the same time: in all, for one tenant, and to one endpoint."""

LEASE_SECONDS: Final = 3 * ATTEMPT_SECONDS
"""After that, a claimed delivery whose process said nothing is tried again."""

LEAVING_SECONDS: Final = 2.0
"""How long attempts under way may go on when the process ends; others repeat those that are broken off."""

TIDY_SECONDS: Final = 60.0
KEEP_SECONDS: Final = 30 * 86_400.0
"""How long deliveries can be looked up after they were queued."""


class Dispatcher:
    """Spreads the ends of tasks over the endpoints that want them, and makes the deliveries that are due."""

    def __init__(
        self, webhooks: Webhooks, sender: Sender, retries: Sequence[float], meters: WebhookMeters
    ) -> None:
        self._webhooks = webhooks
        self._meters = meters
        self._sender = sender
        self._patience = patience(retries)
        self._awake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], Webhook] = {}
        self._tidied_at = time.monotonic()
        self._well = True

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._awake.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Deliver during the block; then break off what is under way, which others will repeat."""
        work = asyncio.create_task(self._work(), name="webhooks")
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait([work, *self._sending], timeout=LEAVING_SECONDS)
            for task in tuple(self._sending):
                task.cancel()
            await asyncio.wait([work, *self._sending], timeout=LEAVING_SECONDS)

    async def _work(self) -> None:
        failures = 0
        while True:
            self._awake.clear()
            self._well = True
            found = await self._take()
            failures = 0 if self._well else failures + 1
            for due in found:
                task = asyncio.create_task(self._deliver(due), name=f"webhook {due.delivery.id}")
                self._sending[task] = due.webhook
                task.add_done_callback(self._has_ended)
            if not found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(LONGEST_PAUSE, IDLE_SECONDS * 2 ** min(failures, 8))):
                        await self._awake.wait()

    async def _take(self) -> Sequence[Due]:
        """Deliveries to make now, claimed; after spreading what tasks have left, and at times tidying up."""
        with self._apart("spreading the ends of tasks"):
            while await self._webhooks.spread(message_of, self._patience):
                pass
        if time.monotonic() - self._tidied_at > TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            with self._apart("tidying up"):
                await self._webhooks.tidy(KEEP_SECONDS)
        if len(self._sending) < ROOM.total:
            busy = tuple(self._sending.values())
            with self._apart("claiming deliveries"):
                return await self._webhooks.claim(ROOM, busy=busy, lease_seconds=LEASE_SECONDS)
        return ()

    async def _deliver(self, due: Due) -> None:
        """Make one attempt, and store how it went; if that cannot be stored, it is made again."""
        with self._apart("making a delivery"):
            attempt = await self._sender.attempt(due)
            self._meters.attempted(attempt)
            await self._webhooks.settle(due, attempt)
            log.info(
                "webhook",
                webhook=due.webhook.id,
                delivery=due.delivery.id,
                attempt=due.delivery.attempts,
                status=attempt.http_status,
                error=attempt.error,
            )

    @contextmanager
    def _apart(self, doing: str) -> Iterator[None]:
        """Go on after the block, whatever goes wrong in it."""
        try:
            yield
        except StorageError as error:
            self._well = False
            log.warning("webhooks: went wrong", doing=doing, code=error.code, error=str(error))
        except Exception:
            self._well = False
            log.exception("webhooks: went wrong", doing=doing)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        self.wake()
