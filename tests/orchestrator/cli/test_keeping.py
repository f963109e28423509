"""``check`` and ``backup``, and a ``serve`` that finds its database damaged."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.events import Event, EventType
from storage.opening import open_store
from storage.tasks import NewTask, TaskStatus
from tests.orchestrator.cli.test_commands import anabranch, command, shell, started

__all__ = ["anabranch"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with 30 tasks of 20 kB, each with a short journal."""
    found = tmp_path / "traces.db"

    async def fill() -> None:
        async with await open_store(f"sqlite:///{found}") as store:
            for _ in range(30):
                new = NewTask(question={"query": "x" * 20_000}, planner="vote")
                claim = await store.start(new, "me", 30)
                store.writer(claim.task.id, claim.fence).append(
                    Event(0, EventType.RUN_STARTED, "", 1.0, {"planner": "vote"})
                )
                await store.finish(claim, TaskStatus.SUCCEEDED)

    asyncio.run(fill())
    return found


def spoil(path: Path) -> None:
    """Overwrite pages in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


def test_sound_database_is_called_sound(anabranch: Any, path: Path) -> None:
    done = anabranch("check", "--database", f"sqlite:///{path}")
    assert done.code == 0, done
    assert "30 tasks checked; problems of the database: 0, unreadable tasks: 0" in done.out


def test_damage_is_counted_and_named(anabranch: Any, path: Path) -> None:
    change(
        path,
        "UPDATE tasks SET question = '{' WHERE key = 1",
        "UPDATE events SET data = '[]' WHERE task_key = 2",
        "UPDATE events SET data = '{}' WHERE task_key = 3",
        "INSERT INTO text_uses VALUES (77, 'nothing')",
        "UPDATE tasks SET id = x'00' WHERE key = 4",
    )
    done = anabranch("check", "--database", f"sqlite:///{path}", "--json")
    assert done.code == 1, done
    found = done.json
    assert found["checked"] == 29
    assert len(found["tasks"]) == 1
    assert "question is not JSON" in found["tasks"][0]
    assert len(found["journals"]) == 2
    assert "is not a JSON object" in found["journals"][0] + found["journals"][1]
    assert len(found["database"]) == 3
    assert "text_uses" in found["database"][0]
    assert "no readable id" in found["database"][2]
    shown = anabranch("check", "--database", f"sqlite:///{path}")
    assert shown.code == 1
    assert "unreadable tasks: 1, unreadable journals: 2" in shown.out


def test_damaged_pages_are_found(anabranch: Any, path: Path) -> None:
    spoil(path)
    done = anabranch("check", "--database", f"sqlite:///{path}", "--json")
    assert done.code == 1, done
    assert done.json["database"]


def test_what_no_list_could_show_is_found(anabranch: Any, path: Path) -> None:
    change(path, "UPDATE tasks SET error = '{}' WHERE key = 3")
    done = anabranch("check", "--database", f"sqlite:///{path}")
    assert done.code == 1, done
    assert "error.code: Field required" in done.out


def test_rows_that_can_be_read_are_saved_from_a_damaged_database(
    anabranch: Any, path: Path, tmp_path: Path
) -> None:
    spoil(path)
    saved = tmp_path / "saved.db"
    done = anabranch("backup", str(saved), "--salvage", "--database", f"sqlite:///{path}")
    assert done.code == 0, done
    with closing(sqlite3.connect(saved)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (count,) = file.execute("SELECT count(*) FROM tasks").fetchone()
    assert 0 < count <= 30


def test_what_is_not_there_is_neither_checked_nor_copied_nor_made(anabranch: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    for asked in (("check",), ("backup", str(tmp_path / "copy.db"))):
        done = anabranch(*asked, "--database", url)
        assert done.code == 1
        assert f"[storage_missing]: there is no file {tmp_path / 'none.db'}" in done.err
    assert not list(tmp_path.iterdir())
    other = tmp_path / "letter.txt"
    other.write_text("dear reader " * 1000)
    done = anabranch("check", "--database", f"sqlite:///{other}")
    assert done.code == 1
    assert "not a database" in done.out
    assert "problems of the database: 1" in done.out


def test_backup_of_a_database_in_use_is_whole(anabranch: Any, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        busy.execute("UPDATE tasks SET planner = 'not yet committed'")
        done = anabranch("backup", str(copy), "--database", f"sqlite:///{path}")
        assert done.code == 0, done
        busy.execute("ROLLBACK")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "traces.db"]
    assert anabranch("check", "--database", f"sqlite:///{copy}").code == 0
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT count(*), min(planner) FROM tasks").fetchone() == (30, "vote")


def test_backup_replaces_nothing_unless_told(anabranch: Any, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    refused = anabranch("backup", str(copy), "--database", f"sqlite:///{path}")
    assert refused.code == 1
    assert "--force" in refused.err
    assert copy.read_text() == "precious"
    assert anabranch("backup", str(copy), "--force", "--database", f"sqlite:///{path}").code == 0
    assert copy.read_bytes()[:6] == b"SQLite"
    for own in (path, path.with_name(f"{path.name}-wal"), Path("/dev/null")):
        refused = anabranch("backup", str(own), "--force", "--database", f"sqlite:///{path}")
        assert refused.code == 1
        assert "is not a file that a backup can replace" in refused.err
    nowhere = anabranch("backup", str(tmp_path / "no" / "copy.db"), "--database", f"sqlite:///{path}")
    assert "cannot be written" in nowhere.err


def test_damaged_database_does_not_replace_a_good_backup(anabranch: Any, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("good")
    spoil(path)
    done = anabranch("backup", str(copy), "--force", "--database", f"sqlite:///{path}")
    assert done.code == 1
    assert "[storage_damaged]" in done.err
    assert "--salvage" in done.err
    assert copy.read_text() == "good"


def test_backup_of_postgres_names_its_own_program(anabranch: Any, tmp_path: Path) -> None:
    url = "postgresql://me:secret@db.example:5433/traces?password=secret&ssl=require"
    done = anabranch("backup", str(tmp_path / "a copy"), "--database", url)
    assert done.code == 1
    dump = f"pg_dump --format=custom '--file={tmp_path}/a copy' postgresql://me@db.example:5433/traces"
    assert dump in done.err
    assert "secret" not in done.err


def test_serve_names_damage_and_starts_all_the_same_when_told(path: Path) -> None:
    spoil(path)
    where = ("--engine", "http://127.0.0.1:9/v1", "--database", f"sqlite:///{path}", "--port", "0")
    done = shell("serve", *where, ANABRANCH_LOG_LEVEL="error")
    assert done.code == 1, done
    for said in ("[storage_damaged]", str(path), "anabranch check", "--salvage", "backup", "--skip-check"):
        assert said in done.err, said


def test_serve_can_be_told_to_skip_the_check(path: Path, tmp_path: Path) -> None:
    spoil(path)
    where = ("--engine", "http://127.0.0.1:9/v1", "--database", f"sqlite:///{path}", "--port", "0")
    log = tmp_path / "log"
    with log.open("w") as to, started(command("serve", *where, "--skip-check"), stderr=to, env=os.environ):
        for _ in range(600):
            if "listening on" in log.read_text():
                return
            time.sleep(0.1)
    pytest.fail(log.read_text())
