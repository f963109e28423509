"""Learns from PostgreSQL that tasks have changed or are to be cancelled, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.changes import Changes
from storage.store import CANCEL_POLL_SECONDS

_log = structlog.get_logger(__name__)

CHANNEL, CHANGES_CHANNEL = "anabranch_cancel", "anabranch_changes"

LONGEST_PAYLOAD = 7_000
"""Bytes of ids in one notification; PostgreSQL takes less than 8,000."""

POLL_SECONDS = 5.0
"""How long to wait for a notification; behind a pooler such as PgBouncer none comes."""

RECONNECT_SECONDS = 1.0
"""How long to wait before a connection that was lost is opened again."""


def notify(connection: Connection, task_id: str) -> None:
    """Tell all processes, once the transaction is committed, that a task is to be cancelled."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, task_id)))


def announce(connection: Connection, task_ids: Sequence[str]) -> None:
    """Tell all processes, once the transaction is committed, that something has happened to these tasks."""
    if connection.dialect.name != "postgresql" or not task_ids:
        return
    payloads, length = [""], 0
    for task_id in dict.fromkeys(task_ids):
        length += len(task_id.encode()) + 1
        if length > LONGEST_PAYLOAD and payloads[-1]:
            payloads.append("")
            length = len(task_id.encode()) + 1
        payloads[-1] += f"{task_id} "
    for payload in payloads:
        connection.execute(select(func.pg_notify(CHANGES_CHANNEL, payload)))


class Listener:
    """Listens from the first :meth:`start` or :meth:`wait` on, and again whenever the connection was lost."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._heard = asyncio.Event()
        self._again = False
        self._closed = False
        self._listening: asyncio.Task[None] | None = None
        self.changes = Changes()

    def start(self) -> None:
        """Listen from now on."""
        if not self._closed and (self._listening is None or self._listening.done()):
            self._listening = asyncio.create_task(self._listen(), name="notifications")

    async def wait(self) -> None:
        """Return soon after a request to cancel a task, or after some seconds without one."""
        self.start()
        # A second look: the task may have been claimed while the notification was on its way.
        seconds = CANCEL_POLL_SECONDS if self._again else POLL_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            self._again = False
        else:
            self._again = True
        self._heard.clear()

    async def close(self) -> None:
        """Stop listening."""
        self._closed = True
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._engine.dispose()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # polling goes on meanwhile
                _log.info("notifications are not heard", action="listening_failed", error=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        """Listen until the connection breaks or no longer answers."""
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            lost = asyncio.Event()
            driver.add_termination_listener(lambda _: lost.set())
            async with asyncio.timeout(POLL_SECONDS):
                await driver.add_listener(CHANNEL, lambda *_: self._heard.set())
                await driver.add_listener(CHANGES_CHANNEL, self._changed)
            self._heard.set()  # whatever happened before is not told
            self.changes.tell(None)
            try:
                while not lost.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await lost.wait()
                    async with asyncio.timeout(POLL_SECONDS):
                        await driver.execute("SELECT 1")
            finally:
                driver.terminate()

    def _changed(self, connection: object, process: int, channel: str, payload: str) -> None:
        self.changes.tell(payload.split())
