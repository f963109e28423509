"""``anabranch batch`` as a process: results, resumption, and what it says of wrong files."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.batching import _written
from orchestrator.errors import InvalidRequest
from tests.orchestrator.cli.test_commands import (
    Done,
    anabranch,
    command,
    server,
    shell,
    started,
)

__all__ = ["anabranch", "server"]


@pytest.fixture
def options(server: str, tmp_path: Path) -> tuple[str, ...]:
    return ("--planner", "direct", "--engine", server, "--database", f"sqlite:///{tmp_path / 'traces.db'}")


def written(path: Path, *lines: Any) -> str:
    path.write_text("".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines))
    return str(path)


def results(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_line_has_its_result_and_its_trace(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any
) -> None:
    file = written(
        tmp_path / "in.jsonl",
        {"query": "What about the context?", "id": "Zoë ✓", "label": {"right": 17}},
        {"query": "How many clips?", "planner": "vote", "options": {"n": 3}, "seed": 3},
        {"query": "What about the context?", "custom_id": 7},
    )
    out = tmp_path / "out.jsonl"
    done: Done = anabranch("batch", file, *options, "--out", str(out), "--carry", "label")
    assert (done.code, done.out) == (0, ""), done.err
    assert done.err.splitlines()[-1].endswith(f" tokens; written to {out}")
    given, planners = results(out.read_text()), ("direct", "vote", "direct")
    first, second, third = given
    assert [first["line"], second["line"], third["line"]] == [1, 2, 3]
    assert [first["id"], second["id"], third["id"]] == ["Zoë ✓", 2, 7]
    assert first["answer"] == "17"
    assert first["carried"] == {"label": {"right": 17}}
    assert second["confidence"] is not None
    assert second["tokens"]["completion"] > 0
    assert first["error"] is None
    assert len({each["trace_id"] for each in (first, second, third)}) == 3
    kept = {task["id"]: task["planner"] for task in stored(options, anabranch)}
    assert kept == {each["trace_id"]: planner for each, planner in zip(given, planners, strict=True)}
    assert not out.with_name("out.jsonl.part").exists()

    again = anabranch("batch", file, *options, "--out", str(out), "--carry", "label")
    assert "3 answered before, 0 tokens" in again.err
    assert results(out.read_text()) == [first, second, third]
    named = anabranch(
        "batch", file, *options, "--carry", "label", "--name", "once more", "--limit", "1", "-q"
    )
    assert named.err == ""
    [anew] = results(named.out)
    assert anew["trace_id"] != first["trace_id"]


def test_lines_of_openai_are_answered_too(options: tuple[str, ...], tmp_path: Path, anabranch: Any) -> None:
    asked = [{"role": "user", "content": "What about the context?"}]
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"model": "anabranch/direct", "messages": asked},
        "/v1/responses": {"model": "anabranch/direct", "input": "What about the context?"},
        "/v1/tasks": {"query": "What about the context?"},
    }
    lines = [
        {"custom_id": url, "method": "POST", "url": url, "body": body}
        for url, body in [*bodies.items(), ("/v1/completions", {"model": "anabranch/direct"})]
    ]
    file = written(tmp_path / "in.jsonl", *lines)
    first = results(anabranch("batch", file, *options).out)
    assert [(each["id"], each["answer"]) for each in first] == [
        *((url, "17") for url in bodies),
        ("/v1/completions", None),
    ]
    assert first[3]["error"]["message"].startswith("prompt: ")
    again = anabranch("batch", file, *options)
    assert "3 answered before" in again.err  # without a seed, too, a line stays the same
    assert results(again.out) == first


def test_wrong_lines_are_told_before_and_stop_no_others(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(
        b"\xef\xbb\xbf"
        + b"\r\n".join(
            [
                b'{"query": "What about the context?"}',
                b"{",
                b"",
                b'["query"]',
                b'{"query": "x", "query": "y"}',
                b'{"query": "\xff"}',
                b'{"id": "none"}',
                b'{"query": "x", "plannr": "vote"}',
                b'{"query": "x", "planner": "nobody"}',
                b'{"query": "x", "options": {"m": 1}}',
                b'{"query": "x", "webhook": {"url": "https://example.com"}}',
                b'{"query": "x", "id": []}',
                b'{"query": "x", "seed": NaN}',
                b'{"query": "' + b"x" * 3_000_000 + b'"}',
                b'{"custom_id": "a", "method": "POST", "url": "/v1/nothing", "body": {}}',
                b"[" * 100_000,
                b'{"query": "What about the context?"}',
            ]
        )
    )
    done = anabranch("batch", str(file), *options)
    assert done.code == 1
    found = {each["line"]: each for each in results(done.out)}
    assert [*found] == [number for number in range(1, 18) if number != 3]
    assert found.pop(1)["answer"] == found.pop(17)["answer"] == "17"
    assert {each["error"]["code"] for each in found.values()} == {"invalid_request", "unknown_planner"}
    said = {line: each["error"]["message"] for line, each in found.items()}
    assert said[2].startswith("it is not JSON")
    assert said[4] == "it is a JSON list; it must be an object"
    assert "'query' is given twice" in said[5]
    assert said[6].startswith("it is not UTF-8")
    assert (said[7], found[7]["id"]) == ("query: Field required", "none")
    assert said[8] == "plannr: there is no such field; `--carry plannr` repeats it in the result"
    assert "nobody" in said[9]
    assert said[11].startswith("webhook: a line cannot give it")
    assert said[12].startswith("id: it must be")
    assert "NaN" in said[13]
    assert "3000000 characters" in said[14]
    assert said[15].startswith("url: '/v1/nothing' cannot be asked in a batch")
    assert "nested too deeply" in said[16]
    assert f"line 2: {said[2]}" in done.err
    assert "4 more lines are wrong" in done.err


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("none.jsonl", None, "cannot be read"),
        ("empty.jsonl", "\n \r\n", "has no lines"),
        ("empty.csv", "", "has no lines"),
        ("header.csv", "query\n", "has no lines"),
        ("wide.jsonl", "{}\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("other.csv", "id;query\n1;x\n", "must have a column 'query', separated by commas; it is 'id;query'"),
        ("twice.csv", "query,query\nx,y\n", "has the column 'query' twice"),
        ("open.csv", 'query\n"x\ny\n', "line 2: it is not CSV"),
        ("latin.csv", "query\nZoë\n".encode("latin-1"), "utf-8"),
        ("same.jsonl", '{"query": "x", "id": 2}\n{"query": "y"}\n', "line 2: its id '2' is that of line 1"),
    ],
)
def test_a_file_that_is_none_is_refused(
    name: str, text: str | bytes | None, why: str, tmp_path: Path, anabranch: Any
) -> None:
    file, out = tmp_path / name, tmp_path / "out.jsonl"
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    done = anabranch("batch", str(file), "--engine", "http://127.0.0.1:1", "--database", "memory")
    assert done.code == 2
    assert why in done.err
    assert done.out == ""
    assert not out.exists()


def test_results_do_not_overwrite_the_questions(tmp_path: Path, anabranch: Any) -> None:
    file = written(tmp_path / "in.jsonl", {"query": "x"})
    done = anabranch("batch", file, "--out", file, "--database", "memory")
    assert done.code == 2
    assert "is the file of the questions" in done.err
    nowhere = anabranch("batch", file, "--out", str(tmp_path / "no" / "out"), "--database", "memory")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err


def test_csv_goes_in_and_out(options: tuple[str, ...], tmp_path: Path, anabranch: Any) -> None:
    file = tmp_path / "in.csv"
    file.write_bytes(
        "\ufeffid,query,options,seed,right\r\n"
        'a,"What about\r\nthe ""context"", dear?",,,17\r\n'
        ',How many clips?,"{""max_tokens"": 50}",3,72\r\n'
        "\r\n"
        "b,x,not json,,\r\n"
        "c,x,,,,too,many\r\n".encode()
    )
    out = tmp_path / "out.csv"
    done = anabranch("batch", str(file), *options, "--out", str(out), "--carry", "right")
    assert done.code == 1, done.err
    with out.open(newline="", encoding="utf-8") as text:
        first, second, third, fourth = csv.DictReader(text)
    assert (first["line"], first["id"], first["answer"]) == ("2", "a", "17")
    assert first["carried.right"] == "17"
    assert (second["line"], second["id"], second["carried.right"]) == ("4", "4", "72")
    assert int(second["tokens.completion"]) > 0
    assert (third["id"], third["error.code"]) == ("b", "invalid_request")
    assert third["error.message"].startswith("options: 'not json' is not JSON")
    assert fourth["error.message"].startswith("it has 7 cells, but the header 5")


def test_a_line_that_fails_is_tried_again_when_the_command_is(
    server: str, tmp_path: Path, anabranch: Any
) -> None:
    database = f"sqlite:///{tmp_path / 'traces.db'}"
    file = written(tmp_path / "in.jsonl", {"query": "slow", "budget": {"seconds": 0.01}}, {"query": "clips"})
    options = ("--engine", server, "--database", database, "--planner", "direct")
    first, fine = results((done := anabranch("batch", file, *options)).out)
    assert done.code == 1, done.err
    assert first["error"]["code"] == "budget_exhausted"
    assert first["trace_id"]
    again, same = results(anabranch("batch", file, *options).out)
    assert again["trace_id"] != first["trace_id"]
    assert same == fine


LINES = 10


@pytest.fixture
def many(tmp_path: Path) -> str:
    """More than what two at a time do at once; each takes a moment."""
    lines = [{"query": f"{number}: How many clips?", "id": f"q{number}"} for number in range(LINES)]
    return written(tmp_path / "many.jsonl", *lines, {"query": "slow", "options": {"max_tokens": 300}})


@pytest.fixture
def batch(many: str, options: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    out = ("--out", str(tmp_path / "out.jsonl"), "--concurrency", "2")
    return ("batch", many, *options, *out)


def until_written(tmp_path: Path, lines: int) -> None:
    part = tmp_path / "out.jsonl.part"
    for _ in range(1200):
        if part.exists() and len(part.read_bytes().splitlines()) >= lines:
            return
        time.sleep(0.05)
    pytest.fail("nothing was written")


async def test_two_commands_do_not_write_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    async with _written(out) as file:
        file.write("first\n")
        with pytest.raises(InvalidRequest, match="another command writes"):
            async with _written(out):
                pytest.fail("two write it")
    assert out.read_text() == "first\n"
    (tmp_path / "out.jsonl.part").write_text("what a killed command has left")
    async with _written(out) as file:
        file.write("second\n")
    assert out.read_text() == "second\n"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process held is free soon."""
    monkeypatch.setenv("ANABRANCH_LEASE_SECONDS", "2")


def stored(options: tuple[str, ...], anabranch: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = anabranch("traces", *options[-2:], "--limit", "200", "--json").json
    return found


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -9, id="SIGKILL"),
        pytest.param(signal.SIGINT, 130, id="SIGINT", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_the_same_command_goes_on_where_it_was_stopped(
    number: int,
    code: int,
    batch: tuple[str, ...],
    options: tuple[str, ...],
    soon: None,
    tmp_path: Path,
    anabranch: Any,
) -> None:
    with started(command(*batch), stderr=subprocess.PIPE) as process:
        until_written(tmp_path, 3)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    if number != signal.SIGKILL:
        assert "lines" in err
        assert err.rstrip().endswith("the same command goes on from here")
    assert not (tmp_path / "out.jsonl").exists()
    before = {task["id"]: task for task in stored(options, anabranch)}
    answered = {id for id, task in before.items() if task["status"] == "succeeded"}
    assert 3 <= len(answered) <= LINES

    done = shell(*batch)
    assert done.code == 0, done.err
    found = results((tmp_path / "out.jsonl").read_text())
    assert [each["line"] for each in found] == [*range(1, LINES + 2)]
    assert [each["id"] for each in found[:LINES]] == [f"q{each}" for each in range(LINES)]
    after = {task["id"]: task for task in stored(options, anabranch)}
    assert before.keys() <= after.keys()
    assert {
        each["trace_id"] for each in found
    } == after.keys()  # each line has one trace, and there is no other
    assert len(after) == LINES + 1
    assert {id: after[id]["finished_at"] for id in answered} == {
        id: before[id]["finished_at"] for id in answered
    }
    assert f"{len(answered)} answered before" in done.err


@pytest.mark.slow
def test_half_done_lines_go_on_from_their_journals(
    options: tuple[str, ...], tmp_path: Path, anabranch: Any
) -> None:
    file = written(tmp_path / "in.jsonl", {"query": "slow", "options": {"max_tokens": 600}})
    arguments = ("batch", file, *options)
    with started(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until_begun(tmp_path / "traces.db")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    [half] = stored(options, anabranch)
    assert half["status"] == "queued"
    [result] = results(shell(*arguments).out)
    assert result["trace_id"] == half["id"]


def until_begun(database: Path) -> None:
    """Wait until a call of the only task has begun and its journal says so."""
    for _ in range(1200):
        if database.exists():
            with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as opened:
                if opened.execute("SELECT count(*) FROM events WHERE type = 'node_added'").fetchone()[0]:
                    return
        time.sleep(0.05)
    pytest.fail("no call has begun")


def test_a_terminal_shows_a_bar(batch: tuple[str, ...], tmp_path: Path) -> None:
    text = b"".join(seen(command(*batch, "--limit", "4")))
    assert "━".encode() in text
    assert b"4 of 4 lines" in text


def seen(arguments: list[str]) -> Iterator[bytes]:
    """What a command writes to its terminal."""
    main, side = pty.openpty()
    with started(arguments, stderr=side, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}) as process:
        os.close(side)
        while True:
            try:
                yield os.read(main, 4096)
            except OSError:
                break
        process.wait(timeout=60)
    os.close(main)
