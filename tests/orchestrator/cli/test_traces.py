"""``fork``, ``diff``, ``verify``, ``export``, ``import`` and ``prune``, over a real server and database."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.cli.test_commands import Done, anabranch, database, server

__all__ = ["anabranch", "database", "server"]
Command = Callable[..., Done]
QUERY = "How many clips?"


@pytest.fixture
def trace(anabranch: Command, server: str, database: str) -> str:
    made = anabranch(
        "solve",
        QUERY,
        "-p",
        "vote",
        "-o",
        "rule=fixed:5",
        "--engine",
        server,
        "--database",
        database,
        "--json",
    )
    return str(made.json["trace_id"])


def asked(done: Done) -> Any:
    assert done.code == 0, done.err
    return done.json


def test_a_fork_shows_its_answer_and_what_is_different(
    anabranch: Command, server: str, database: str, trace: str
) -> None:
    where = ("--engine", server, "--database", database)
    found = asked(anabranch("fork", trace, "--at", "0", "-c", "rule=fixed:6", *where, "--json"))
    assert found["solution"]["usage"]["calls"] == 1
    assert [node["path"] for node in found["difference"]["nodes"]] == ["0", "0.5"]
    shown = anabranch("diff", trace, found["solution"]["trace_id"], "--database", database)
    assert "0.5" in shown.out
    assert "5 nodes are the same, 2 differ" in shown.out


def test_what_if_makes_no_call(anabranch: Command, database: str, trace: str) -> None:
    where = ("--database", database, "--engine", "http://127.0.0.1:9")
    found = asked(anabranch("fork", trace, "--at", "0", "-c", "rule=beta:0.6", "--what-if", *where, "--json"))
    assert 0 < found["tokens"] <= found["recorded_tokens"]
    unknown = anabranch("fork", trace, "--at", "0", "-c", "rule=fixed:9", "--what-if", *where)
    assert unknown.code == 1
    assert "[unknown]" in unknown.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("temprature=1", "temprature: Extra inputs"),
        ("rule", "write key=value"),
        ("temperature=1", "can change its rule"),
    ],
)
def test_a_wrong_change_is_bad_usage(
    anabranch: Command, database: str, trace: str, change: str, message: str
) -> None:
    done = anabranch("fork", trace, "--at", "0", "-c", change, "--database", database, "--what-if")
    assert done.code == 2
    assert message in done.err


def test_a_trace_moves_to_another_database_and_is_verified_there(
    anabranch: Command, database: str, trace: str, tmp_path: Path
) -> None:
    file, other = tmp_path / "trace.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    assert anabranch("export", trace, "-o", str(file), "--database", database).code == 0
    assert anabranch("import", str(file), "--database", other).out.strip() == trace
    assert asked(anabranch("verify", "--database", other, "--json")) == {
        "identical": 1,
        "differing": {},
        "without_run": [],
    }
    again = anabranch("import", str(file), "--database", other)
    assert again.code == 1
    assert "Traceback" not in again.err
    pruned = anabranch("prune", "--keep", "0", "--database", other)
    assert "removed 1 tasks" in pruned.out
    assert asked(anabranch("verify", "--database", other, "--json")) == {
        "identical": 0,
        "differing": {},
        "without_run": [],
    }


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("question", "How many?", " is damaged: question: "),
        ("outcome", "splendid", " is damaged: outcome: "),
        ("solution", {"answer": 72}, " is damaged: solution."),
        ("error", {"code": "x"}, " is damaged: error.message: "),
    ],
)
def test_a_task_that_no_listing_could_show_is_not_imported(
    anabranch: Command, database: str, trace: str, tmp_path: Path, member: str, value: Any, told: str
) -> None:
    file, other = tmp_path / "trace.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    anabranch("export", trace, "-o", str(file), "--database", database)
    header, *lines = file.read_text().split("\n")
    changed = json.loads(header)
    changed["task"][member] = value
    file.write_text("\n".join([json.dumps(changed), *lines]))
    done = anabranch("import", str(file), "--database", other)
    assert (done.code, asked(anabranch("traces", "--database", other, "--json"))) == (1, [])
    assert "line 1: task " in done.err
    assert told in done.err


def test_texts_with_separators_of_lines_move_too(
    anabranch: Command, server: str, database: str, tmp_path: Path
) -> None:
    query = "How many clips\u2028are\x85these?"
    made = anabranch("solve", query, "-p", "vote", "--engine", server, "--database", database, "--json")
    trace = asked(made)["trace_id"]
    file, other = tmp_path / "trace.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    assert anabranch("export", trace, "-o", str(file), "--database", database).code == 0
    done = anabranch("import", str(file), "--database", other)
    assert (done.code, done.out.strip()) == (0, trace), done.err


def test_verify_goes_on_after_damage_and_leaves_out_what_never_ran(
    anabranch: Command, server: str, tmp_path: Path
) -> None:
    file = tmp_path / "damaged.db"
    where = ("--database", f"sqlite:///{file}")
    ids = []
    for number in range(4):
        query = f"How many clips are these? {'again ' * 20}{number}"
        ids.append(
            asked(anabranch("solve", query, "-p", "vote", "--engine", server, *where, "--json"))["trace_id"]
        )
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        key = "task_key = (SELECT key FROM tasks WHERE id = ?)"
        database.execute(f"UPDATE events SET data = '{{' WHERE seq = 2 AND {key}", ids[:1])
        database.execute(f"DELETE FROM events WHERE seq = 1 AND {key}", ids[1:2])
        database.execute(f"DELETE FROM events WHERE {key}", ids[2:3])
        database.execute("UPDATE tasks SET status = 'failed' WHERE id = ?", ids[2:3])
    done = anabranch("verify", *where, "--json")
    told = done.json
    assert (done.code, told["identical"], told["without_run"]) == (1, 1, ids[2:3])
    assert set(told["differing"]) == set(ids[:2])
    assert f"task {ids[0]}: event 2 (node_added) cannot be read" in told["differing"][ids[0]]
    assert "event 1 is missing" in told["differing"][ids[1]]
    done = anabranch("verify", ids[2], "nothing", ids[3], *where)
    assert done.code == 1
    assert "1 identical, 2 different" in done.out


def test_a_trace_that_was_changed_by_hand_does_not_verify(
    anabranch: Command, database: str, trace: str, tmp_path: Path
) -> None:
    file, other = tmp_path / "trace.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    anabranch("export", trace, "-o", str(file), "--database", database)
    file.write_text(file.read_text().replace("boxed{96}", "boxed{69}").replace("boxed{72}", "boxed{27}"))
    anabranch("import", str(file), "--database", other)
    done = anabranch("verify", trace, "--database", other)
    assert done.code == 1
    assert "(divergence)" in done.out


def test_spans_and_pictures_come_out(anabranch: Command, database: str, trace: str) -> None:
    spans = asked(anabranch("export", trace, "-f", "otel", "--database", database))
    assert (
        len(spans["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 1 + 1 + 1 + 5
    )  # the run, its planner, the vote and its branches
    assert QUERY not in json.dumps(spans)
    assert QUERY in anabranch("export", trace, "-f", "otel", "--content", "--database", database).out
    assert anabranch("export", trace, "-f", "svg", "--database", database).out.startswith("<svg")


def test_recorded_branches_are_imported(anabranch: Command, tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    branches = [[["1"], 900, "7"], [[], 100, "7"]]
    file.write_text(json.dumps([{"question": "How many?", "each_branch": branches}]))
    where = ("--database", f"sqlite:///{tmp_path / 'r.db'}")
    done = anabranch("import", str(file), *where)
    assert (done.code, len(done.out.split())) == (0, 1), done.err
    theirs = anabranch("import", str(file), "--tenant", "acme", *where).out.strip()
    [task] = asked(anabranch("traces", "--tenant", "acme", *where, "--json"))
    assert task["id"] == theirs != done.out.strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prune",), "give --older-than, --keep or --max-bytes"),
        (("prune", "--older-than", "soon"), "'soon' is not a span of time"),
        (("import", "/does/not/exist"), "cannot be read"),
    ],
)
def test_bad_usage_is_told(
    anabranch: Command, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = anabranch(*arguments, "--database", f"sqlite:///{tmp_path / 'x.db'}")
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("directory", "it is not a regular file but a directory"),
        ("pipe", "it is not a regular file but a pipe"),
        ("device", "it is not a regular file but a device"),
        ("gzip", "line 1 is not UTF-8: invalid start byte; it is compressed, gunzip it first"),
        ("mark", "line 1 begins with a byte order mark"),
        ("long", "line 1 is longer than 500 bytes"),
        ("large", "and may have at most 2,000"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_name(
    anabranch: Command, database: str, tmp_path: Path, kind: str, told: str
) -> None:
    file = tmp_path / "given"
    match kind:
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")
        case "gzip":
            file.write_bytes(gzip.compress(b"{}"))
        case "mark":
            file.write_text("{}", "utf-8-sig")
        case "long":
            file.write_text("x" * 1000)
        case "large":
            file.write_text("x\n" * 1001)
    limits = ("--max-line", "500", "--max-bytes", "2000")
    done = anabranch("import", str(file), *limits, "--database", database)
    assert done.code != 0
    assert f"{file}" in done.err
    assert told in done.err
    assert done.err.count("\n") == 1
