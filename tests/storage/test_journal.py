"""What every store promises about journals."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import codec
from storage.errors import JournalConflict, LeaseLost, NotStorable, StorageUnavailable, TaskNotFound
from storage.events import Event, EventType
from storage.memory import MemoryStore
from storage.opening import open_store
from storage.sql import journal
from storage.sql.store import SqlStore
from storage.store import Store
from storage.tasks import Claim, NewTask, TaskStatus


async def started(store: Store, lease_seconds: float = 30) -> Claim:
    return await store.start(NewTask(question="q", planner="vote"), "me", lease_seconds)


def note(seq: int, **data: Any) -> Event:
    return Event(seq, EventType.DECISION, "", 1000.0 + seq / 3, data)


async def events_of(store: Store, task_id: str, after: int = -1) -> list[Event]:
    return [event async for event in store.read(task_id, after=after)]


async def test_events_come_back_in_order_and_unchanged(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    written = [
        note(i, number=i, long="x" * i * 50, nested={"$text": ["y" * 500, None, 1e-9]}) for i in range(30)
    ]
    for event in written:
        writer.append(event)
    await writer.flush()
    assert await events_of(store, claim.task.id) == written
    assert await events_of(store, claim.task.id, after=27) == written[28:]
    assert await store.last_seq(claim.task.id) == 29


async def test_reader_pages_through_a_long_journal(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    for i in range(1500):
        writer.append(note(i))
    await writer.flush()
    assert [event.seq for event in await events_of(store, claim.task.id)] == list(range(1500))


async def test_many_journals_are_read_whole_and_in_the_given_order(store: Store) -> None:
    written: dict[str, list[Event]] = {}
    for length in (3, 0, 700, 5, 120, *range(1, 14)):
        claim = await started(store)
        writer = store.writer(claim.task.id, claim.fence)
        written[claim.task.id] = [note(i, number=i, long=f"{length} " * 40) for i in range(length)]
        for event in written[claim.task.id]:
            writer.append(event)
        await writer.flush()
    asked = list(reversed(written))
    read = [(task_id, events) async for task_id, events in store.journals(asked)]
    assert read == [(task_id, written[task_id]) for task_id in asked]


async def test_journals_of_an_unknown_task(store: Store) -> None:
    claim = await started(store)
    with pytest.raises(TaskNotFound, match="no-such"):
        _ = [each async for each in store.journals([claim.task.id, "no-such"])]


async def test_many_producers_at_once(store: Store) -> None:
    async def produce() -> str:
        claim = await started(store)
        writer = store.writer(claim.task.id, claim.fence)
        for i in range(20):
            writer.append(note(i, owner=claim.task.id))
            if i % 7 == 0:
                await writer.flush()
        await store.finish(claim, TaskStatus.SUCCEEDED)
        return claim.task.id

    for task_id in await asyncio.gather(*(produce() for _ in range(20))):
        events = await events_of(store, task_id)
        assert [event.seq for event in events] == list(range(20))
        assert {event.data["owner"] for event in events} == {task_id}
        assert (await store.get(task_id)).status is TaskStatus.SUCCEEDED


async def test_finish_stores_what_was_appended_before(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    writer.append(note(0))
    await store.finish(claim, TaskStatus.SUCCEEDED)
    assert len(await events_of(store, claim.task.id)) == 1
    writer.append(note(1))
    with pytest.raises(LeaseLost):
        await writer.flush()
    assert len(await events_of(store, claim.task.id)) == 1


async def test_zombie_stores_nothing_and_harms_nobody(store: Store) -> None:
    old = await started(store, 0.01)
    bystander = await started(store)
    zombie = store.writer(old.task.id, old.fence)
    zombie.append(note(0, by="old"))
    await zombie.flush()
    await asyncio.sleep(0.03)
    new = await store.claim("new", 30)
    assert new is not None
    heir = store.writer(old.task.id, new.fence, next_seq=1)
    other = store.writer(bystander.task.id, bystander.fence)
    zombie.append(note(1, by="old"))
    heir.append(note(1, by="new"))
    other.append(note(0))
    await heir.flush()
    await other.flush()
    with pytest.raises(LeaseLost, match=old.task.id):
        await zombie.flush()
    with pytest.raises(LeaseLost):
        zombie.append(note(2))
    assert [event.data["by"] for event in await events_of(store, old.task.id)] == ["old", "new"]


@pytest.mark.parametrize("kind", [EventType.NODE_ADDED, EventType.NODE_SETTLED, EventType.RUN_FINISHED])
async def test_what_happens_once_cannot_happen_twice(store: Store, kind: EventType) -> None:
    claim, other = await started(store), await started(store)
    writer, neighbour = store.writer(claim.task.id, claim.fence), store.writer(other.task.id, other.fence)
    writer.append(Event(0, kind, "3.1", 1.0))
    await writer.flush()
    writer.append(Event(1, kind, "3.1", 2.0))
    neighbour.append(Event(0, kind, "3.1", 1.0))
    with pytest.raises(JournalConflict):
        await writer.flush()
    with pytest.raises(JournalConflict):
        writer.append(Event(2, EventType.DECISION, "", 3.0))
    await neighbour.flush()
    assert len(await events_of(store, claim.task.id)) == 1
    assert len(await events_of(store, other.task.id)) == 1


async def test_numbers_have_no_gaps(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    with pytest.raises(JournalConflict, match="event 1 was appended where 0 comes next"):
        writer.append(note(1))
    writer.append(note(0))
    await writer.flush()
    second = store.writer(claim.task.id, claim.fence)
    second.append(note(0))
    with pytest.raises(JournalConflict):
        await second.flush()


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, b"bytes"])
async def test_what_is_not_json_is_refused_at_once(store: Store, value: object) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    with pytest.raises(NotStorable):
        writer.append(note(0, value=value))
    writer.append(note(0, value="fine"))
    await writer.flush()


async def test_difficult_text_survives(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    texts = ["\0", "a\0" * 300, "\ud800" * 300, "日本語" * 200, "\U0001f600" * 250, '"\\', "\u2028"]
    writer.append(note(0, texts=texts, **{"$text": "x", "$$text": {"$text": "y" * 300}}))
    await writer.flush()
    [event] = await events_of(store, claim.task.id)
    assert event.data == {"texts": texts, "$text": "x", "$$text": {"$text": "y" * 300}}


async def test_flush_of_nothing_returns(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    await writer.flush()
    await writer.room()


@pytest.mark.parametrize("odd", [{"seed": 2**70}, {"tenant": "\ud800"}, {"idempotency_key": "a\ud800"}])
async def test_what_a_database_cannot_take_spoils_no_other_task(
    database_url: str, odd: dict[str, Any]
) -> None:
    async with await open_store(database_url) as store:
        claim = await started(store)
        store.writer(claim.task.id, claim.fence).append(note(0))
        refused, _, other = await asyncio.gather(  # in one transaction
            store.submit(NewTask(question="odd", planner="vote", **odd)),
            store.finish(claim, TaskStatus.SUCCEEDED),
            store.submit(NewTask(question="q", planner="vote")),
            return_exceptions=True,
        )
        assert isinstance(refused, NotStorable)
        assert not isinstance(other, BaseException)
        assert {task.id for task in await store.list()} == {claim.task.id, other.id}
        assert await events_of(store, claim.task.id) == [note(0)]


@pytest.mark.postgres
async def test_a_name_with_a_nul_is_refused_alone(postgres_server: str) -> None:
    async with await open_store(postgres_server) as store:
        refused, task = await asyncio.gather(
            store.submit(NewTask(question="odd", planner="vote", tenant="a\0b")),
            store.submit(NewTask(question="a\0b", planner="vote")),
            return_exceptions=True,
        )
        assert isinstance(refused, NotStorable)
        assert not isinstance(task, BaseException)
        assert task.question == "a\0b"


async def test_redaction_comes_before_storing(database_url: str) -> None:
    for url in (database_url, "memory"):
        async with await open_store(url, redact=lambda text: text.replace("secret", "*")) as store:
            claim = await store.start(NewTask(question="secret q", planner="vote"), "me", 30)
            writer = store.writer(claim.task.id, claim.fence)
            writer.append(note(0, deep=[{"prompt": "the secret " * 100}]))
            await store.finish(claim, TaskStatus.SUCCEEDED, solution={"answer": "secret"})
            [event] = await events_of(store, claim.task.id)
            assert event.data == {"deep": [{"prompt": "the * " * 100}]}
            task = await store.get(claim.task.id)
            assert (task.question, task.solution) == ("* q", {"answer": "*"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["$text", "$$text"]), inner)
        | st.text(min_size=1, max_size=3).map(lambda text: text * (codec.INLINE + 1))
    ),
)


@given(st.dictionaries(st.text(), json_values))
def test_packing_keeps_every_json_value(data: dict[str, Any]) -> None:
    text, texts = codec.pack(data)
    assert set(codec.references(text)) <= texts.keys()
    assert codec.unpack(text, texts) == data
    text.encode()


async def test_memory_store_is_a_store() -> None:
    assert isinstance(await open_store("memory"), MemoryStore)


async def test_full_disk_fails_the_writer_and_leaves_the_rest_readable(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path / 'test.db'}") as store:
        assert isinstance(store, SqlStore)
        claim = await started(store)
        writer = store.writer(claim.task.id, claim.fence)
        writer.append(note(0))
        await writer.flush()
        await store._database.write(
            lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 40")
        )
        for seq in range(1, 50):
            writer.append(note(seq, text=f"{seq} " * 5000))
        with pytest.raises(StorageUnavailable, match="full"):
            await writer.flush()
        with pytest.raises(StorageUnavailable):
            writer.append(note(50))
        assert await events_of(store, claim.task.id) == [note(0)]


async def test_closed_store_takes_nothing_more(store: Store) -> None:
    claim = await started(store)
    writer = store.writer(claim.task.id, claim.fence)
    writer.append(note(0))
    await store.close()
    await store.close()
    if not isinstance(store, MemoryStore):
        with pytest.raises(StorageUnavailable, match="closed"):
            writer.append(note(1))


async def test_closing_stores_what_was_appended(database_url: str) -> None:
    async with await open_store(database_url) as store:
        claim = await started(store)
        store.writer(claim.task.id, claim.fence).append(note(0))
    async with await open_store(database_url) as store:
        assert await store.last_seq(claim.task.id) == 0


async def test_room_waits_while_too_much_is_queued(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ROOM_CHARACTERS", 10_000)
    async with await open_store(database_url) as store:
        claim = await started(store)
        writer = store.writer(claim.task.id, claim.fence)
        for seq in range(20):
            writer.append(note(seq, text=f"{seq:1000}"))
        waiting = asyncio.create_task(writer.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await waiting
        assert await store.last_seq(claim.task.id) == 19


async def test_nobody_waits_for_a_journal_that_was_stopped(database_url: str) -> None:
    async with await open_store(database_url) as store:
        assert isinstance(store, SqlStore)
        assert store.failed() is None
        claim = await started(store)
        writer = store.writer(claim.task.id, claim.fence)
        writer.append(note(0))
        flushed = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        store._journal._task.cancel()
        with pytest.raises(StorageUnavailable, match="stopped"):
            await flushed
        with pytest.raises(StorageUnavailable):
            writer.append(note(1))
        with pytest.raises(StorageUnavailable, match="stopped"):
            await store.finish(claim, TaskStatus.SUCCEEDED)
        with pytest.raises(StorageUnavailable, match="stopped"):
            await store.probe()
        assert "stopped by CancelledError" in (store.failed() or "")
