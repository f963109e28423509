"""Damaged rows, written by raw SQL: what a broken disk, a careless hand or another version may leave behind.

Each is a task of its own, so that nothing else is harmed. Those with a damaged journal have the beginning of
the journal of a good task, and wait in the queue as if their process had died.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from storage.sql.transactions import Database
from storage.tasks import new_task_id

TENANT = "damaged"

Damage = Callable[[Connection, str], None]
"""Writes the task with this id, damaged."""

BY_NAME: dict[str, Damage] = {}


def damage(function: Damage) -> Damage:
    """Collect one."""
    BY_NAME[getattr(function, "__name__", "")] = function
    return function


async def throw(database: Database, name: str) -> str:
    """Write one damaged row, with what belongs to it; returns the id of its task."""
    task_id = new_task_id()
    await database.write(lambda connection: BY_NAME[name](connection, task_id))
    return task_id


@damage
def question_not_json(connection: Connection, task_id: str) -> None:
    """The question breaks off."""
    _insert(connection, task_id, question='{"query": "What')


@damage
def question_not_text(connection: Connection, task_id: str) -> None:
    """The question is no UTF-8; on PostgreSQL, which allows no such text, it is a list."""
    _insert(connection, task_id)
    garbled = "CAST(X'fffe' AS TEXT)" if connection.dialect.name == "sqlite" else "'[1, 2]'"
    connection.execute(text(f"UPDATE tasks SET question = {garbled} WHERE id = :id"), {"id": task_id})  # noqa: S608


@damage
def options_not_json(connection: Connection, task_id: str) -> None:
    """The options are not JSON."""
    _insert(connection, task_id, options="options")


@damage
def options_of_another_type(connection: Connection, task_id: str) -> None:
    """The options are JSON of another type."""
    _insert(connection, task_id, options='{"budget": 7, "sampling": [], "options": "none"}')


@damage
def seed_not_a_number(connection: Connection, task_id: str) -> None:
    """The seed is a word; on PostgreSQL it is negative."""
    _insert(connection, task_id, seed="many" if connection.dialect.name == "sqlite" else -1)


@damage
def time_infinite(connection: Connection, task_id: str) -> None:
    """It was submitted at the end of time."""
    _insert(connection, task_id, created_at=float("inf"))


@damage
def solution_not_json(connection: Connection, task_id: str) -> None:
    """The task has ended, and its solution breaks off."""
    _insert(connection, task_id, **_ENDED, status="succeeded", outcome="answered", solution='{"answer": ')


@damage
def error_of_another_type(connection: Connection, task_id: str) -> None:
    """The task has failed, and its error is a list."""
    _insert(connection, task_id, **_ENDED, status="failed", outcome="failed", error="[1]")


@damage
def event_not_json(connection: Connection, task_id: str) -> None:
    """An event breaks off."""
    key = _journal(connection, task_id)
    _change(connection, key, 2, '{"kind": "gen')


@damage
def event_missing(connection: Connection, task_id: str) -> None:
    """An event is missing."""
    key = _journal(connection, task_id)
    connection.execute(text("DELETE FROM events WHERE task_key = :key AND seq = 1"), {"key": key})


@damage
def event_of_another_type(connection: Connection, task_id: str) -> None:
    """An event says something else than its type."""
    key = _journal(connection, task_id)
    _change(connection, key, 1, "[]")


@damage
def text_lost(connection: Connection, task_id: str) -> None:
    """An event refers to a text that is not there."""
    key = _journal(connection, task_id)
    _refer(connection, key, "L" * 24)


@damage
def text_changed(connection: Connection, task_id: str) -> None:
    """A text is not the one whose address it has."""
    key = _journal(connection, task_id)
    address = {"key": key, "hash": f"{task_id:C<24}"}
    connection.execute(text("INSERT INTO texts (hash, text) VALUES (:hash, 'something else')"), address)
    connection.execute(text("INSERT INTO text_uses (task_key, hash) VALUES (:key, :hash)"), address)
    _refer(connection, key, address["hash"])


_ENDED: Mapping[str, Any] = {"started_at": 1.0, "finished_at": 2.0, "attempts": 1, "lease_fence": 1}


def _insert(connection: Connection, task_id: str, **columns: Any) -> int:
    """A task that waits in the queue, with these columns in place of the usual ones; returns its key."""
    row: dict[str, Any] = {
        "id": task_id,
        "tenant": TENANT,
        "status": "queued",
        "question": '{"query": "?", "context": "", "choices": []}',
        "planner": "good",
        "options": "{}",
        "seed": 0,
        "created_at": time.time(),
        "cancel_requested": False,
        "attempts": 0,
        "lease_fence": 0,
        **columns,
    }
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO tasks ({names}) VALUES ({values})"), row)  # noqa: S608
    found = connection.execute(text("SELECT key FROM tasks WHERE id = :id"), {"id": task_id})
    return int(found.scalar_one())


def _journal(connection: Connection, task_id: str) -> int:
    """A task with the first half of the journal of a good task; returns its key."""
    source = connection.execute(
        text(
            "SELECT key, question, options, seed FROM tasks "
            "WHERE planner = 'good' AND status = 'succeeded' AND tenant = 'good' ORDER BY key LIMIT 1"
        )
    ).one()
    key = _insert(
        connection,
        task_id,
        question=source.question,
        options=source.options,
        seed=source.seed,
        started_at=time.time(),
        attempts=1,
        lease_fence=1,
    )
    keys = {"new": key, "old": source.key}
    connection.execute(
        text(
            "INSERT INTO events (task_key, seq, type, path, at, data) "
            "SELECT :new, seq, type, path, at, data FROM events WHERE task_key = :old AND seq < 6"
        ),
        keys,
    )
    connection.execute(
        text("INSERT INTO text_uses (task_key, hash) SELECT :new, hash FROM text_uses WHERE task_key = :old"),
        keys,
    )
    return key


def _refer(connection: Connection, key: int, address: Any) -> None:
    """Let the first prompt of a journal refer to the text at ``address``."""
    where = text("SELECT data FROM events WHERE task_key = :key AND seq = 1")
    data = connection.execute(where, {"key": key}).scalar_one()
    changed = re.sub(r'(?<="\$text":")[\w-]{24}', address, data)
    assert changed != data, data
    _change(connection, key, 1, changed)


def _change(connection: Connection, key: int, seq: int, data: str) -> None:
    connection.execute(
        text("UPDATE events SET data = :data WHERE task_key = :key AND seq = :seq"),
        {"data": data, "key": key, "seq": seq},
    )
