"""What pruning removes, what it must keep, and what a solve costs in bytes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.event import listen
from sqlalchemy.util import await_only

from storage.errors import TaskNotFound
from storage.events import Event, EventType
from storage.opening import open_store
from storage.sql import retention
from storage.sql.rows import insert_new
from storage.sql.store import SqlStore
from storage.sql.tables import tasks, text_uses, texts
from storage.store import Store
from storage.tasks import NewTask, Pruned, TaskStatus

SHARED = "You are careful. " * 30


async def ended(store: Store, name: str, *, tenant: str = "default") -> str:
    claim = await store.start(NewTask(question=name, planner="vote", tenant=tenant), "me", 30)
    writer = store.writer(claim.task.id, claim.fence)
    writer.append(Event(0, EventType.NODE_ADDED, "0", 1.0, {"prompt": [SHARED, f"own text of {name} " * 20]}))
    await store.finish(claim, TaskStatus.SUCCEEDED)
    return claim.task.id


async def left(store: Store) -> list[str]:
    return [task.question for task in reversed(await store.list())]


async def stored_texts(store: Store) -> int | None:
    if not isinstance(store, SqlStore):
        return None
    return await store._database.read(
        lambda c: c.execute(select(func.count()).select_from(texts)).scalar_one()
    )


async def test_prune_keeps_the_newest_and_what_has_not_ended(store: Store) -> None:
    queued = await store.submit(NewTask(question="queued", planner="vote"))
    running = await store.start(NewTask(question="running", planner="vote"), "me", 30)
    for name in "abcd":
        await ended(store, name)
    assert await stored_texts(store) in (5, None)
    pruned = await store.prune(keep=1)
    assert pruned.tasks == 3
    assert pruned.texts in (3, 0)
    assert await left(store) == ["queued", "running", "d"]
    assert await stored_texts(store) in (2, None)
    await store.prune(keep=0)
    assert await stored_texts(store) in (0, None)
    assert await left(store) == ["queued", "running"]
    assert {queued.id, running.task.id} == {task.id for task in await store.list()}


@pytest.mark.postgres
@pytest.mark.parametrize("first", ["using", "pruning"])
async def test_a_text_may_be_pruned_and_used_in_the_same_moment(new_database_url: str, first: str) -> None:
    async with await open_store(new_database_url) as store:
        assert isinstance(store, SqlStore)
        await ended(store, "a")
        claim = await store.start(NewTask(question="running", planner="vote"), "me", 30)
        hashes = await store._database.read(lambda c: list(c.execute(select(texts.c.hash)).scalars()))
        begun, tried = asyncio.Event(), 0

        def use(connection: Connection) -> None:
            nonlocal tried
            tried += 1
            key = connection.execute(select(tasks.c.key).where(tasks.c.id == claim.task.id)).scalar_one()
            insert = insert_new(connection.dialect, texts)
            connection.execute(insert, [{"hash": each, "text": "as before"} for each in hashes])
            if first == "pruning" and tried == 1:
                begun.set()
                await_only(asyncio.sleep(0.3))
            connection.execute(text_uses.insert(), [{"task_key": key, "hash": each} for each in hashes])
            if first == "using":
                begun.set()
                await_only(asyncio.sleep(0.3))

        using = asyncio.create_task(store._database.write(use))
        await begun.wait()
        assert (await store.prune(keep=0)).tasks == 1
        await using
        assert tried == (2 if first == "pruning" else 1)
        assert await stored_texts(store) == len(hashes)


async def test_shared_text_stays_readable_after_its_first_user_is_gone(store: Store) -> None:
    await ended(store, "first")
    second = await ended(store, "second")
    await store.prune(keep=1)
    [event] = [event async for event in store.read(second)]
    assert event.data["prompt"][0] == SHARED
    await ended(store, "third")  # and a pruned text can be stored again
    await store.prune(keep=0)
    fourth = await ended(store, "fourth")
    [event] = [event async for event in store.read(fourth)]
    assert event.data["prompt"][0] == SHARED


async def test_prune_by_age(store: Store) -> None:
    for _ in range(10):
        await ended(store, "old")
        await asyncio.sleep(0.6)
        began = time.monotonic()
        await ended(store, "new")
        assert (await store.prune(older_than=3600)).tasks == 0
        pruned = await store.prune(older_than=0.5)
        if time.monotonic() - began < 0.5:  # else the machine stood still, and both may be as old
            break
        await store.prune(keep=0)
    assert pruned.tasks == 1
    assert await left(store) == ["new"]


async def test_prune_of_one_tenant_leaves_the_others(store: Store) -> None:
    for tenant in ("a", "b"):
        for name in "xy":
            await ended(store, tenant + name, tenant=tenant)
    await store.prune(keep=1, tenant="a")
    assert await left(store) == ["ay", "bx", "by"]


async def test_prune_by_size(store: Store) -> None:
    ids = [await ended(store, str(i)) for i in range(6)]
    before = [await store.size(task_id) for task_id in ids]
    bound = sum(before) * 2 // 3
    await store.prune(max_bytes=bound)
    rest = await store.list()
    assert 1 <= len(rest) < 6
    assert [task.id for task in reversed(rest)] == ids[-len(rest) :]
    assert sum([await store.size(task.id) for task in rest]) <= bound


async def test_prune_keeps_what_a_fork_has_still_to_read(store: Store) -> None:
    parent = await ended(store, "parent")
    fork = await store.submit(NewTask(question="fork", planner="vote", parent_id=parent, fork_at="0"))
    for bound in ({"keep": 0}, {"older_than": -1}, {"max_bytes": 0}):
        assert (await store.prune(**bound)).tasks == 0  # type: ignore[arg-type]
    await store.request_cancel(fork.id)
    assert (await store.prune(keep=0)).tasks == 2


async def test_a_dead_task_that_is_put_back_just_before_it_is_pruned_stays(database_url: str) -> None:
    async with await open_store(database_url) as store:
        assert isinstance(store, SqlStore)
        await store.submit(NewTask(question="was dead", planner="vote"))
        keys = await store._database.read(
            lambda connection: connection.execute(select(tasks.c.key)).scalars().all()
        )
        pruned = await store._database.write(lambda connection: retention._remove(connection, keys))
        assert pruned == Pruned(tasks=0, texts=0)
        assert await left(store) == ["was dead"]


async def test_prune_with_a_reused_key(store: Store) -> None:
    new = NewTask(question="q", planner="vote", idempotency_key="k")
    first = await store.submit(new)
    await store.request_cancel(first.id)
    await store.prune(keep=0)
    assert (await store.submit(new)).id != first.id


async def test_prune_beside_writers_breaks_no_journal(database_url: str) -> None:
    """Texts that pruning finds unused may be in use again a moment later."""
    async with await open_store(database_url) as store, await open_store(database_url) as other:

        async def write(name: str) -> None:
            for i in range(15):
                await ended(store, f"{name}-{i}")

        async def prune() -> None:
            for _ in range(15):
                await other.prune(keep=2)

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(write(name))
            group.create_task(prune())
        for task in await store.list():
            [event] = [event async for event in store.read(task.id)]
            assert event.data["prompt"][0] == SHARED


async def test_pruned_sqlite_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with await open_store(f"sqlite:///{path}") as store:
        for i in range(100):
            claim = await store.start(NewTask(question=i, planner="vote"), "me", 30)
            writer = store.writer(claim.task.id, claim.fence)
            writer.append(Event(0, EventType.NODE_ADDED, "0", 1.0, {"text": f"{i} " * 5000}))
            await store.finish(claim, TaskStatus.SUCCEEDED)
    full = path.stat().st_size
    async with await open_store(f"sqlite:///{path}") as store:
        await store.prune(keep=0)
    assert path.stat().st_size < full / 4


def solve_of_eight_branches() -> list[Event]:
    """The journal of a vote over eight short branches, as the executor writes it."""
    question = "Natalia sold clips to 48 of her friends in April, and half as many in May. How many in all?"
    prompt = [["system", "Think step by step, then give the answer. " * 6], ["user", question]]
    lines: list[tuple[EventType, str, dict[str, Any]]] = [
        (
            EventType.RUN_STARTED,
            "",
            {"planner": "vote", "question": {"text": question}, "seed": 1, "width": 8},
        )
    ]
    for i in range(8):
        request = {"key": f"{i:032x}", "seed": 10**9 + i, "prompt": prompt, "sampling": {"max_tokens": 512}}
        lines.append(
            (EventType.NODE_ADDED, str(i), {"kind": "generate", "label": "branch", "request": request})
        )
    lines.append(
        (EventType.NODE_ADDED, "8", {"kind": "vote", "label": "vote", "inputs": [str(i) for i in range(8)]})
    )
    for i in range(8):
        text = (
            f"In April she sold 48. In May she sold 48 / 2 = 24. Together {48 + 24}. The answer is 72. ({i})"
        )
        usage = {"prompt_tokens": 120, "cached_tokens": 96, "completion_tokens": 40}
        value = {"text": text, "finish_reason": "stop"}
        settlement = {"outcome": "succeeded", "external": True, "value": value, "usage": usage}
        timing = {"total": 1.234567, "first_token": 0.123456}
        lines.append((EventType.NODE_SETTLED, str(i), {**settlement, "timing": timing, "worker": "llama-0"}))
        saw = {"counts": {"0": i + 1}, "finished": i + 1, "probability": 0.987654}
        lines.append((EventType.DECISION, "", {"by": "beta:0.95", "verdict": "continue", "saw": saw}))
    lines.append(
        (EventType.NODE_SETTLED, "8", {"outcome": "succeeded", "value": {"text": "72", "confidence": 0.99}})
    )
    lines.append(
        (EventType.RUN_FINISHED, "", {"outcome": "answered", "answer": {"text": "72", "confidence": 0.99}})
    )
    return [Event(seq, kind, path, 1.7e9 + seq, data) for seq, (kind, path, data) in enumerate(lines)]


async def test_solve_of_eight_short_branches_takes_at_most_8_kilobytes(database_url: str) -> None:
    async with await open_store(database_url) as store:
        claim = await store.start(
            NewTask(question="How many?", planner="vote", options={"width": 8}), "me", 30
        )
        writer = store.writer(claim.task.id, claim.fence)
        events = solve_of_eight_branches()
        for event in events:
            writer.append(event)
        await store.finish(claim, TaskStatus.SUCCEEDED, outcome="answered", solution={"answer": "72"})
        stored = await store.size(claim.task.id)
        assert [event async for event in store.read(claim.task.id)] == events
        assert stored <= 8192


async def test_the_size_of_a_task_that_may_be_pruned_meanwhile_is_asked_in_one_statement(
    database_url: str,
) -> None:
    """What a first statement has seen, a second one may not find: on PostgreSQL each sees what is there."""
    statements = []

    def measured(connection: Connection) -> int:
        listen(connection, "before_cursor_execute", lambda *call: statements.append(call))
        return retention.size(connection, task_id)

    async with await open_store(database_url) as store:
        task_id = await ended(store, "a")
        assert isinstance(store, SqlStore)
        assert await store._database.read(measured) == await store.size(task_id)
        assert len(statements) == 1
        await store.prune(keep=0)
        with pytest.raises(TaskNotFound, match=task_id):
            await store.size(task_id)
