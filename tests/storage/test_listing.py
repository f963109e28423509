"""Lists are filtered alike in every store, and by an index where there is one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from storage.events import Event, EventType
from storage.listing import Place, Wanted, searched
from storage.opening import open_store
from storage.sql.listing import listed
from storage.store import Store
from storage.tasks import NewTask, Task, TaskStatus

QUESTIONS = (
    "How many clips?",
    "HOW MANY STRASSEN?",
    "Wie viele Straßen?",
    "50 % of_what\\?",
    "“ﬁne” \0 \ud800 x",
)


async def stored(store: Store) -> list[Task]:
    """Tasks of two tenants and planners, some of which have ended with an entropy."""
    found = []
    for number, query in enumerate(QUESTIONS):
        new = NewTask(
            question={"query": query, "context": "clips everywhere", "choices": []},
            planner=("vote", "direct")[number % 2],
            tenant=("a", "b")[number // 3],
        )
        claim = await store.start(new, "me", 60.0)
        if number < 3:
            solution = {"answer": "1", "entropy": (0.0, 0.5, None)[number]}
            await store.finish(claim, TaskStatus.SUCCEEDED, solution=solution)
        found.append(await store.get(claim.task.id))
    return found


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"tenant": "a"}, [0, 1, 2]),
        ({"tenant": "b", "planner": "vote"}, [4]),
        ({"tenant": None, "planner": "direct"}, [1, 3]),
        ({"status": TaskStatus.SUCCEEDED}, [0, 1, 2]),
        ({"is_open": True}, [3, 4]),
        ({"is_open": False, "planner": "vote"}, [0, 2]),
        ({"text": "clips"}, [0]),
        ({"text": "how MANY"}, [0, 1]),
        ({"text": "strassen"}, [1, 2]),
        ({"text": "%"}, [3]),
        ({"text": "f_w"}, [3]),
        ({"text": "t\\?"}, [3]),
        ({"text": "fine"}, [4]),
        ({"text": "query"}, []),
        ({"entropy_from": 0.0}, [0, 1]),
        ({"entropy_from": 0.25}, [1]),
        ({"entropy_to": 0.0}, [0]),
        ({"entropy_from": 0.5, "entropy_to": 0.5}, [1]),
        ({"entropy_from": 1.0}, []),
        ({"ended_from": 0.0}, [0, 1, 2]),
    ],
)
async def test_a_list_has_what_is_wanted(store: Store, wanted: Wanted, numbers: list[int]) -> None:
    made = await stored(store)
    assert await store.list(**wanted) == tuple(made[number] for number in reversed(numbers))


async def test_a_list_goes_by_times_and_ids(store: Store) -> None:
    made = await stored(store)
    first, second, third, *_ = made
    assert await store.list(created_from=second.created_at, created_before=made[-1].created_at) == tuple(
        made[-2:0:-1]
    )
    assert second.finished_at is not None
    assert await store.list(ended_from=second.finished_at) == (third, second)
    assert await store.list(ids=[first.id, third.id, "nobody"]) == (third, first)
    assert await store.list(ids=[]) == ()


async def test_pages_are_parts_of_the_filtered_list(store: Store) -> None:
    made = await stored(store)
    seen: list[Task] = []
    while page := await store.list(text="?", limit=1, before=Place.of(seen[-1]) if seen else None):
        seen += page
        if len(seen) == 2:
            await store.submit(NewTask(question={"query": "?"}, planner="vote"))  # newer than the page
    assert seen == made[3::-1]


async def test_what_is_restored_is_found_too(store: Store) -> None:
    *_, task, _, _ = await stored(store)
    other = Task(**{**_members(task), "id": "0000000000000000", "solution": {"entropy": 0.7}})
    await store.restore(other, [Event(0, EventType.RUN_STARTED, "", 1.0, {})])
    assert [each.id for each in await store.list(text="Straßen", entropy_from=0.6)] == [other.id]


def _members(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in Task.__slots__}


def test_only_the_beginning_of_a_question_is_searched() -> None:
    assert len(searched({"query": "ﷺ" * 10_000})) == 4_000  # one character becomes many
    assert searched({"query": ["?"]}) == searched([]) == searched(None) == ""


async def test_redaction_comes_before_the_search(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with await open_store(url, redact=lambda text: text.replace("secret", "…")) as store:
        await store.submit(NewTask(question={"query": "the secret word"}, planner="vote"))
        assert await store.list(text="secret") == ()
        assert len(await store.list(text="word")) == 1


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"tenant": "a"}, "tasks_tenant_created_at_idx"),
        ({"tenant": "a", "status": TaskStatus.DEAD, "text": "x"}, "tasks_tenant_created_at_idx"),
        ({"planner": "vote"}, "tasks_planner_idx"),
        ({"ended_from": 1.0, "is_open": False}, "tasks_finished_at_idx"),
        ({"is_open": True}, "tasks_open_idx"),
        ({"ids": ["x"]}, "sqlite_autoindex_tasks_1"),
        ({}, "tasks_created_at_idx"),
    ],
)
async def test_lists_use_an_index(tmp_path: Path, wanted: Wanted, index: str) -> None:
    await (await open_store(f"sqlite:///{tmp_path / 'test.db'}")).close()
    dialect = sqlite.dialect()
    query = listed(wanted, dialect)
    written = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    with sqlite3.connect(tmp_path / "test.db") as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {written}")]
    connection.close()
    assert any(index in step for step in plan), plan
