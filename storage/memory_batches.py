"""Files and batches in dictionaries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from typing_extensions import override

from storage.batches import (
    NOTHING,
    Batch,
    Batches,
    BatchStatus,
    File,
    HeldBatch,
    LineResult,
    NewBatch,
    NewFile,
    Noted,
    Purpose,
    files_full,
    in_use,
    lost,
    moved,
    no_batch,
    no_file,
    results_file_id,
    results_name,
)


class MemoryBatches(Batches):
    """Files and batches of this process only."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._data: dict[str, list[bytes]] = {}
        self._batches: dict[str, Batch] = {}
        self._results: dict[str, dict[int, LineResult]] = {}

    @override
    async def add_file(self, new: NewFile, parts: AsyncIterator[bytes], *, most: int) -> File:
        now, data, size = time.time(), [], 0
        async for part in parts:
            size += len(part)
            if self._taken(new.tenant) + size > most:
                raise files_full(new.tenant, most)
            data.append(part)
        self._data[new.id] = data
        self._files[new.id] = File(
            id=new.id,
            tenant=new.tenant,
            name=new.name,
            purpose=Purpose.BATCH,
            size=size,
            created_at=now,
            expires_at=None if new.lasts is None else now + new.lasts,
        )
        return self._files[new.id]

    @override
    async def file(self, file_id: str, tenant: str | None) -> File:
        found = self._files.get(file_id)
        if found is None or tenant not in (None, found.tenant):
            raise no_file(file_id)
        return found

    @override
    async def files(
        self,
        tenant: str | None,
        *,
        purpose: Purpose | None = None,
        limit: int = 100,
        after: str | None = None,
        oldest_first: bool = False,
    ) -> Sequence[File]:
        found = [
            each
            for each in self._files.values()
            if tenant in (None, each.tenant)
            and purpose in (None, each.purpose)
            and (after is None or (each.id > after if oldest_first else each.id < after))
        ]
        return sorted(found, key=lambda each: each.id, reverse=not oldest_first)[:limit]

    @override
    async def read_file(self, file: File) -> AsyncIterator[bytes]:
        if file.batch_id is None:
            for part in tuple(self._data.get(file.id, ())):
                yield part
            return
        results = self._results.get(file.batch_id, {})
        for line in sorted(results):
            if (result := results.get(line)) is not None and result.failed == file.failed:
                yield f"{result.body}\n".encode()

    @override
    async def remove_file(self, file_id: str, tenant: str | None) -> File:
        found = await self.file(file_id, tenant)
        for each in self._batches.values():
            if each.input_file_id == file_id and not each.status.terminal:
                raise in_use(file_id, each.id)
        if found.batch_id is not None:
            results = self._results[found.batch_id]
            for line in [line for line, result in results.items() if result.failed == found.failed]:
                del results[line]
        self._drop(file_id)
        return found

    @override
    async def add(self, new: NewBatch) -> Batch:
        if (await self.file(new.input_file_id, new.tenant)).purpose is not Purpose.BATCH:
            raise no_file(new.input_file_id)
        now = time.time()
        self._results[new.id] = {}
        self._batches[new.id] = Batch(
            id=new.id,
            tenant=new.tenant,
            endpoint=new.endpoint,
            input_file_id=new.input_file_id,
            window=new.window,
            metadata=new.metadata,
            submitted_by=new.submitted_by,
            status=BatchStatus.VALIDATING,
            created_at=now,
            expires_at=now + new.seconds,
            times={},
        )
        return self._batches[new.id]

    @override
    async def get(self, batch_id: str, tenant: str | None) -> Batch:
        found = self._batches.get(batch_id)
        if found is None or tenant not in (None, found.tenant):
            raise no_batch(batch_id)
        files = {each.failed: each.id for each in self._files.values() if each.batch_id == batch_id}
        return replace(found, output_file_id=files.get(False), error_file_id=files.get(True))

    @override
    async def list(
        self, tenant: str | None, *, limit: int = 100, after: str | None = None
    ) -> Sequence[Batch]:
        ids = sorted(self._batches, reverse=True)
        found = [await self.get(id, None) for id in ids if after is None or id < after]
        return [each for each in found if tenant in (None, each.tenant)][:limit]

    @override
    async def request_cancel(self, batch_id: str, tenant: str | None) -> Batch:
        found = await self.get(batch_id, tenant)
        if not found.status.terminal and found.status is not BatchStatus.CANCELLING:
            self._move(found.id, BatchStatus.CANCELLING)
        return await self.get(batch_id, tenant)

    @override
    async def claim(
        self, owner: str, lease_seconds: float, *, without: Collection[str] = ()
    ) -> HeldBatch | None:
        now = time.time()
        for batch_id in sorted(self._batches):
            each = self._batches[batch_id]
            if each.status.terminal or (each.lease_expires_at or 0.0) >= now or each.tenant in without:
                continue
            fence = each.lease_fence + 1
            self._batches[batch_id] = replace(
                each, lease_owner=owner, lease_fence=fence, lease_expires_at=now + lease_seconds
            )
            batch = await self.get(batch_id, None)
            return HeldBatch(batch=batch, owner=owner, fence=fence, lease_seconds=lease_seconds)
        return None

    @override
    async def done(self, batch_id: str) -> frozenset[int]:
        return frozenset(self._results.get(batch_id, ()))

    @override
    async def note(
        self, held: HeldBatch, results: Sequence[LineResult] = (), changes: Noted = NOTHING
    ) -> HeldBatch:
        found = self._batches.get(held.batch.id)
        if found is None or (found.lease_owner, found.lease_fence) != (held.owner, held.fence):
            raise lost(held.batch.id, held.fence)
        there = self._results[found.id]
        new = [each for each in results if each.line not in there]
        there.update((each.line, each) for each in new)
        self._batches[found.id] = replace(
            found,
            lease_expires_at=time.time() + held.lease_seconds,
            completed=found.completed + sum(not each.failed for each in new),
            failed=found.failed + sum(each.failed for each in new),
            prompt_tokens=found.prompt_tokens + sum(each.prompt_tokens for each in new),
            completion_tokens=found.completion_tokens + sum(each.completion_tokens for each in new),
            total=found.total if changes.total is None else changes.total,
            errors=found.errors if changes.errors is None else changes.errors,
        )
        status = moved(found.status, changes.status)
        if status is not found.status:
            self._move(found.id, status)
        if status.terminal:
            self._make_files(self._batches[found.id])
        return replace(held, batch=await self.get(found.id, None))

    @override
    async def release(self, held: HeldBatch) -> None:
        found = self._batches.get(held.batch.id)
        if found is not None and found.lease_fence == held.fence:
            self._batches[found.id] = replace(found, lease_owner=None, lease_expires_at=None)

    @override
    async def prune(self, *, older_than: float | None = None, tenant: str | None = None) -> int:
        now, before = time.time(), len(self._files) + len(self._batches)
        for batch in tuple(self._batches.values()):
            ended = max(batch.times.values(), default=batch.created_at)
            old = older_than is not None and ended < now - older_than
            if old and batch.status.terminal and tenant in (None, batch.tenant):
                for file in [each for each in self._files.values() if each.batch_id == batch.id]:
                    self._drop(file.id)
                del self._batches[batch.id], self._results[batch.id]
        needed = {each.input_file_id for each in self._batches.values() if not each.status.terminal}
        for file in tuple(self._files.values()):
            old = older_than is not None and file.created_at < now - older_than and file.batch_id is None
            over = file.expires_at is not None and file.expires_at < now
            if (old or over) and file.id not in needed and tenant in (None, file.tenant):
                self._drop(file.id)
        return before - len(self._files) - len(self._batches)

    def _taken(self, tenant: str) -> int:
        return sum(each.size for each in self._files.values() if each.tenant == tenant)

    def _drop(self, file_id: str) -> None:
        del self._files[file_id]
        self._data.pop(file_id, None)

    def _move(self, batch_id: str, status: BatchStatus) -> None:
        found = self._batches[batch_id]
        moved = replace(found, status=status, times={**found.times, status.value: time.time()})
        ended = replace(moved, lease_owner=None, lease_expires_at=None) if status.terminal else moved
        self._batches[batch_id] = ended

    def _make_files(self, batch: Batch) -> None:
        for failed in (False, True):
            bodies = [each.body for each in self._results[batch.id].values() if each.failed == failed]
            if bodies:
                file_id = results_file_id(batch.id, failed=failed)
                self._files[file_id] = File(
                    id=file_id,
                    tenant=batch.tenant,
                    name=results_name(batch, failed=failed),
                    purpose=Purpose.OUTPUT,
                    size=sum(len(body.encode()) + 1 for body in bodies),
                    created_at=time.time(),
                    batch_id=batch.id,
                    failed=failed,
                )
