"""The batches of a service: made, looked at and cancelled by requests, and driven by this process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from orchestrator.batches.driving import Driver
from orchestrator.batches.endpoints import Endpoint, window_seconds
from orchestrator.errors import InvalidRequest, translated
from orchestrator.tasks.containment import apart, is_ending, report
from orchestrator.tasks.service import Service
from storage.batches import Batch, File, FileNotFound, HeldBatch, NewBatch, NewFile, Purpose
from storage.tasks import new_task_id

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""How often it is looked for batches that other processes have made or left behind."""

RETRY_SECONDS = 5.0
"""How long a batch is left alone that could not be driven."""

TIDY_SECONDS = 3600.0
"""How often files are removed whose time is over."""

LEAVING_SECONDS = 5.0
"""How long a batch may take to store what there is when this process ends."""

DRIVEN = 64
"""The most batches that a process drives at a time; the others wait."""

DRIVEN_OF_TENANT = 8
"""The most of them that are of one tenant, so that those of others begin soon."""


class Batching:
    """Files and batches over one service. ``endpoints`` are the paths at which lines can be asked.

    Every method may raise Unavailable; those that name a file or a batch raise it as ``file_not_found`` or
    ``batch_not_found``, also for one of another tenant.
    """

    def __init__(self, service: Service, endpoints: Mapping[str, Endpoint]) -> None:
        self._service = service
        self._store = service.store.batches
        self._endpoints = endpoints
        self._awake = asyncio.Event()
        self._driving: dict[asyncio.Task[None], Batch] = {}
        self._tidied_at = float("-inf")

    @property
    def endpoints(self) -> Sequence[str]:
        """The paths at which lines can be asked."""
        return tuple(self._endpoints)

    # -- requests ---------------------------------------------------------------------------------

    async def add_file(
        self, tenant: str, name: str, parts: AsyncIterator[bytes], *, lasts: float | None = None
    ) -> File:
        """Store a file as it arrives. Raises Unavailable as ``files_full``."""
        new = NewFile(id=f"file-{new_task_id()}", tenant=tenant, name=name, lasts=lasts)
        with translated():
            return await self._store.add_file(new, parts, most=self._service.settings.tenant_file_bytes)

    async def file(self, file_id: str, tenant: str | None) -> File:
        """A file."""
        with translated():
            return await self._store.file(file_id, tenant)

    async def add(
        self,
        *,
        tenant: str,
        endpoint: str,
        input_file_id: str,
        window: str,
        metadata: Mapping[str, str],
        submitted_by: str | None,
    ) -> Batch:
        """Queue a batch.

        Raises:
            InvalidRequest: its lines cannot be asked there, or there is no such file of questions.
        """
        if endpoint not in self._endpoints:
            known = ", ".join(sorted(self._endpoints))
            raise InvalidRequest(
                f"endpoint: {endpoint[:80]!r} cannot be asked in a batch; these can: {known}"
            )
        seconds = window_seconds(window)
        no_such = InvalidRequest(f"input_file_id: there is no file of questions {input_file_id[:80]!r}")
        with translated():
            try:
                if (await self._store.file(input_file_id, tenant)).purpose is not Purpose.BATCH:
                    raise no_such
            except FileNotFound:
                raise no_such from None
        new = NewBatch(
            id=f"batch_{new_task_id()}",
            tenant=tenant,
            endpoint=endpoint,
            input_file_id=input_file_id,
            window=window,
            seconds=seconds,
            metadata=metadata,
            submitted_by=submitted_by,
        )
        with translated():
            batch = await self._store.add(new)
        self._awake.set()
        return batch

    async def get(self, batch_id: str, tenant: str | None) -> Batch:
        """A batch as it stands."""
        with translated():
            return await self._store.get(batch_id, tenant)

    async def cancel(self, batch_id: str, tenant: str | None) -> Batch:
        """Cancel a batch; one that has ended stays as it is."""
        with translated():
            batch = await self._store.request_cancel(batch_id, tenant)
        self._awake.set()
        return batch

    # -- driving ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Drive batches during the block, and leave them to other processes at its end."""
        stop = asyncio.Event()
        work = asyncio.create_task(self._work(stop), name="batches")
        try:
            yield
        finally:
            stop.set()
            work.cancel()  # which `wait_for` overlooks in the moment in which it has what it waits for
            await asyncio.wait([work])
            for each in tuple(self._driving):
                each.cancel()
            if self._driving:
                await asyncio.wait(tuple(self._driving), timeout=2 * LEAVING_SECONDS)

    async def _work(self, stop: asyncio.Event) -> None:
        look = min(LOOK_SECONDS, self._service.settings.lease_seconds / 4)
        while not stop.is_set():
            self._awake.clear()
            try:
                await self._tidy()
                while len(self._driving) < DRIVEN and (held := await self._claimed()) is not None:
                    self._take(held)
            except BaseException as error:
                if is_ending(error):
                    raise
                report("batches cannot be looked for", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(look):
                    await self._awake.wait()

    async def _claimed(self) -> HeldBatch | None:
        of_tenants = Counter(batch.tenant for batch in self._driving.values())
        return await self._store.claim(
            self._service.owner,
            self._service.settings.lease_seconds,
            without=[tenant for tenant, driven in of_tenants.items() if driven >= DRIVEN_OF_TENANT],
        )

    async def _tidy(self) -> None:
        if time.monotonic() >= self._tidied_at + TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            await self._store.prune()

    def _take(self, held: HeldBatch) -> None:
        task = asyncio.create_task(self._drive(held), name=f"batch {held.batch.id}")
        self._driving[task] = held.batch
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        del self._driving[task]
        self._awake.set()

    async def _drive(self, held: HeldBatch) -> None:
        """Drive a batch; whatever happens to it, others learn only that this process drives it no more."""
        endpoint = self._endpoints.get(held.batch.endpoint)
        settings = self._service.settings
        if endpoint is None:  # a newer version has made it, and will drive it
            await asyncio.sleep(RETRY_SECONDS)
            await self._store.release(held)
            return
        driver = Driver(
            self._service, endpoint, held, width=settings.batch_width, most_lines=settings.batch_lines
        )
        try:
            await driver.run()
        except BaseException as error:
            if is_ending(error):
                with apart("leaving a batch"):
                    async with asyncio.timeout(LEAVING_SECONDS):
                        await driver.leave()
                raise
            report("a batch cannot be driven now", error, batch=held.batch.id)
            await asyncio.sleep(RETRY_SECONDS)
            with apart("leaving a batch"):
                await driver.leave()
