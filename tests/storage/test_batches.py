"""Files, batches and the results of their lines, on each store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage import batches as contract
from storage.batches import (
    Batch,
    BatchNotFound,
    BatchStatus,
    File,
    FileInUse,
    FileNotFound,
    FilesFull,
    HeldBatch,
    LineResult,
    NewBatch,
    NewFile,
    Noted,
    Purpose,
)
from storage.errors import LeaseLost
from storage.opening import open_store
from storage.store import Store

MOST = 1 << 20
LONG = 3600.0


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def a_file(store: Store, file_id: str = "file-1", *data: bytes, **given: Any) -> File:
    new = NewFile(**{"id": file_id, "tenant": "a", "name": "in.jsonl", **given})
    return await store.batches.add_file(new, parts(*(data or (b"{}\n", b"\xff\x00\n"))), most=MOST)


async def a_batch(store: Store, batch_id: str = "batch_1", **given: Any) -> Batch:
    wanted = {
        "id": batch_id,
        "tenant": "a",
        "endpoint": "/v1/tasks",
        "input_file_id": "file-1",
        "window": "24h",
        "seconds": 86_400.0,
    }
    return await store.batches.add(NewBatch(**{**wanted, **given}))


async def held(store: Store, owner: str = "me", seconds: float = LONG) -> HeldBatch:
    found = await store.batches.claim(owner, seconds)
    assert found is not None
    return found


async def content(store: Store, file_id: str) -> bytes:
    file = await store.batches.file(file_id, None)
    return b"".join([part async for part in store.batches.read_file(file)])


async def test_a_file_is_kept_as_it_came(store: Store) -> None:
    file = await a_file(store)
    assert (file.size, file.purpose, file.name, file.expires_at) == (6, Purpose.BATCH, "in.jsonl", None)
    assert await content(store, "file-1") == b"{}\n\xff\x00\n"
    assert await store.batches.file("file-1", "a") == file
    for other in ("b", ""):
        with pytest.raises(FileNotFound):
            await store.batches.file("file-1", other)
        with pytest.raises(FileNotFound):
            await store.batches.remove_file("file-1", other)
    assert await store.batches.remove_file("file-1", "a") == file
    with pytest.raises(FileNotFound):
        await store.batches.file("file-1", None)


async def test_files_are_listed_a_page_at_a_time(store: Store) -> None:
    for number in range(4):
        await a_file(store, f"file-{number}", lasts=LONG if number else None)
    await a_file(store, "file-9", tenant="b")
    listed = [file.id for file in await store.batches.files("a", limit=3)]
    assert listed == ["file-3", "file-2", "file-1"]
    assert [file.id for file in await store.batches.files("a", after="file-1")] == ["file-0"]
    oldest = await store.batches.files("a", after="file-1", oldest_first=True)
    assert [file.id for file in oldest] == ["file-2", "file-3"]
    assert len(await store.batches.files(None)) == 5
    assert await store.batches.files("a", purpose=Purpose.OUTPUT) == []


async def test_half_a_file_is_never_seen(store: Store) -> None:
    seen = []

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        seen.append(await store.batches.files(None))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.batches.add_file(NewFile(id="file-1", tenant="a", name=""), broken(), most=MOST)
    assert seen == [[]]
    assert await store.batches.files(None) == []


async def test_files_of_a_tenant_have_a_bound(store: Store) -> None:
    await a_file(store, "file-1", b"x" * 60)
    with pytest.raises(FilesFull, match=r"tenant 'a' may have 100 bytes together"):
        await store.batches.add_file(
            NewFile(id="file-2", tenant="a", name=""), parts(b"x" * 30, b"x" * 11), most=100
        )
    assert [file.id for file in await store.batches.files(None)] == ["file-1"]
    await store.batches.add_file(NewFile(id="file-3", tenant="b", name=""), parts(b"x" * 100), most=100)


async def test_files_that_come_at_the_same_time_have_a_bound_together(store: Store) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 30
        await a_file(store, "file-2", b"x" * 60)
        yield b"x" * 10
        yield b"x"

    with pytest.raises(FilesFull):
        await store.batches.add_file(NewFile(id="file-1", tenant="a", name=""), slowly(), most=100)
    assert [file.id for file in await store.batches.files(None)] == ["file-2"]


async def test_a_batch_goes_from_validating_to_its_files(store: Store) -> None:
    await a_file(store)
    made = await a_batch(store, metadata={"k": "ü"}, submitted_by="key-1")
    assert (made.status, made.metadata, made.submitted_by) == (BatchStatus.VALIDATING, {"k": "ü"}, "key-1")
    assert made.expires_at == pytest.approx(made.created_at + 86_400)
    mine = await held(store)
    assert mine.batch.id == "batch_1"
    assert await store.batches.claim("other", LONG) is None
    mine = await store.batches.note(mine, (), Noted(status=BatchStatus.IN_PROGRESS, total=3))
    results = [
        LineResult(line=2, failed=True, body='"é"'),
        LineResult(line=3, failed=False, body="3", prompt_tokens=5, completion_tokens=7),
    ]
    mine = await store.batches.note(mine, results)
    again = LineResult(line=3, failed=False, body="other", prompt_tokens=100)
    first = LineResult(line=1, failed=False, body="1", prompt_tokens=1, completion_tokens=2)
    mine = await store.batches.note(mine, [again, first])
    assert (mine.batch.completed, mine.batch.failed, mine.batch.total) == (2, 1, 3)
    assert (mine.batch.prompt_tokens, mine.batch.completion_tokens) == (6, 9)
    assert await store.batches.done("batch_1") == {1, 2, 3}
    assert mine.batch.output_file_id is None
    with pytest.raises(FileInUse, match="batch_1 has not ended"):
        await store.batches.remove_file("file-1", "a")
    await store.batches.note(mine, (), Noted(status=BatchStatus.FINALIZING))
    await store.batches.note(mine, (), Noted(status=BatchStatus.COMPLETED))
    batch = await store.batches.get("batch_1", "a")
    assert set(batch.times) == {"in_progress", "finalizing", "completed"}
    assert batch.lease_owner is None
    assert await store.batches.list("a") == [batch]
    output, errors = str(batch.output_file_id), str(batch.error_file_id)
    assert await content(store, output) == b"1\n3\n"
    assert await content(store, errors) == '"é"\n'.encode()
    file = await store.batches.file(errors, "a")
    assert (file.purpose, file.size, file.name) == (Purpose.OUTPUT, 5, "batch_1_error.jsonl")
    with pytest.raises(LeaseLost):
        await store.batches.note(mine, [LineResult(line=4, failed=False, body="4")])
    assert await store.batches.claim("other", LONG) is None
    with pytest.raises(FileNotFound):  # results are no questions
        await a_batch(store, "batch_2", input_file_id=output)
    await store.batches.remove_file(errors, "a")
    assert (await store.batches.get("batch_1", "a")).error_file_id is None
    assert await content(store, output) == b"1\n3\n"
    await store.batches.remove_file("file-1", "a")


async def test_what_belongs_to_another_tenant_is_not_there(store: Store) -> None:
    await a_file(store)
    with pytest.raises(FileNotFound):
        await a_batch(store, tenant="b")
    await a_batch(store)
    for reach in (store.batches.get, store.batches.request_cancel):
        with pytest.raises(BatchNotFound):
            await reach("batch_1", "b")
    assert await store.batches.list("b") == []
    assert (await store.batches.get("batch_1", None)).status is BatchStatus.VALIDATING


async def test_batches_are_listed_a_page_at_a_time(store: Store) -> None:
    await a_file(store)
    for number in range(4):
        await a_batch(store, f"batch_{number}")
    assert [each.id for each in await store.batches.list("a", limit=2)] == ["batch_3", "batch_2"]
    assert [each.id for each in await store.batches.list(None, after="batch_2")] == ["batch_1", "batch_0"]


async def test_a_cancelled_batch_goes_nowhere_but_to_an_end(store: Store) -> None:
    await a_file(store)
    await a_batch(store)
    mine = await held(store)
    assert (await store.batches.request_cancel("batch_1", "a")).status is BatchStatus.CANCELLING
    first = (await store.batches.request_cancel("batch_1", "a")).times["cancelling"]
    mine = await store.batches.note(mine, (), Noted(status=BatchStatus.IN_PROGRESS))
    assert (mine.batch.status, mine.batch.times["cancelling"]) == (BatchStatus.CANCELLING, first)
    mine = await store.batches.note(mine, (), Noted(status=BatchStatus.CANCELLED))
    assert mine.batch.status is BatchStatus.CANCELLED
    assert mine.batch.output_file_id is None
    assert (await store.batches.request_cancel("batch_1", "a")).status is BatchStatus.CANCELLED


async def test_a_lease_that_lapsed_or_was_given_up_is_taken_over(store: Store) -> None:
    await a_file(store)
    await a_batch(store)
    first = await held(store, "first", seconds=-1.0)
    second = await held(store, "second")
    assert second.fence > first.fence
    with pytest.raises(LeaseLost):
        await store.batches.note(first, [LineResult(line=1, failed=False, body="1")])
    await store.batches.release(first)
    assert await store.batches.claim("third", LONG) is None
    await store.batches.release(second)
    assert (await held(store, "third")).batch.id == "batch_1"


async def test_two_processes_share_batches(database_url: str) -> None:
    async with await open_store(database_url) as one, await open_store(database_url) as other:
        await a_file(one)
        for number in range(6):
            await a_batch(one, f"batch_{number}")
        claims = [each.batches.claim(f"{number}", LONG) for number in range(4) for each in (one, other)]
        taken = [each.batch.id for each in await asyncio.gather(*claims) if each is not None]
        assert len(taken) == len(set(taken))
        rest = 0
        while await one.batches.claim("rest", LONG) is not None:
            rest += 1
        assert len(taken) + rest == 6


async def test_a_batch_of_another_tenant_may_be_claimed_before(store: Store) -> None:
    for number, tenant in enumerate("aab"):
        await a_file(store, f"file-{number}", tenant=tenant)
        await a_batch(store, f"batch_{number}", tenant=tenant, input_file_id=f"file-{number}")
    found = await store.batches.claim("me", LONG, without=["a"])
    assert found is not None
    assert found.batch.id == "batch_2"
    assert await store.batches.claim("me", LONG, without=["a"]) is None
    assert (await held(store)).batch.id == "batch_0"


async def test_pruning_spares_what_is_needed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_file(store, "file-1")
    await a_file(store, "file-2", lasts=-1.0)
    await a_file(store, "file-3", lasts=-1.0)
    await a_batch(store, input_file_id="file-2")
    assert await store.batches.prune() == 1
    assert [file.id for file in await store.batches.files(None)] == ["file-2", "file-1"]
    assert await store.batches.prune(older_than=-1.0, tenant="b") == 0
    assert await store.batches.prune(older_than=-1.0) == 1
    mine = await held(store)
    await store.batches.note(
        mine, [LineResult(line=1, failed=False, body="1")], Noted(status=BatchStatus.COMPLETED)
    )
    assert await store.batches.prune(older_than=3600) == 1  # the file whose time was over
    assert await store.batches.prune(older_than=-1.0) == 2
    assert await store.batches.files(None) == []
    assert await store.batches.list(None) == []
    assert await store.batches.done("batch_1") == frozenset()


async def test_a_file_that_never_arrived_is_dropped(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"half"
        arriving.set()
        await asyncio.Event().wait()

    async with await open_store(database_url) as store:
        monkeypatch.setattr("storage.sql.batches.UNFINISHED_SECONDS", -1.0)
        new = NewFile(id="file-1", tenant="a", name="")
        adding = asyncio.create_task(store.batches.add_file(new, stuck(), most=MOST))
        await arriving.wait()
        assert await store.batches.prune() == 1
        adding.cancel()
        await asyncio.wait([adding])


def test_an_open_status_is_no_end() -> None:
    assert {status for status in BatchStatus if not status.terminal} == contract.OPEN_BATCHES
