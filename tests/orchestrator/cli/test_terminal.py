"""What commands write, as processes on a terminal: text from elsewhere can neither steer nor forge."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from orchestrator.cli.terminal import Terminal
from storage.events import Event, EventType
from storage.opening import open_store
from tests.orchestrator.cli.test_commands import Done, anabranch, command, server, shell
from tests.storage.journals import TASK, chain, nested

__all__ = ["anabranch", "server"]

HOSTILE = "A\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e[red]b[/red] :smile: \\[x]\\\nerror [forged]: C\rD"
STEERING = re.compile("\x1b\\]0|\x1b\\[2J|[\x07\x7f\x80-\x9f\u202e]|\rD")
ANABRANCH = Callable[..., Done]


def hostile() -> list[Event]:
    """A journal in which every text is hostile."""
    events = chain(2)
    changes: dict[int, dict[str, Any]] = {
        0: {"planner": HOSTILE},
        1: {"label": HOSTILE, "kind": f"kind{HOSTILE}"},
        2: {"value": {"text": HOSTILE, "finish_reason": HOSTILE}},
        3: {"label": HOSTILE},
        4: {"outcome": "failed", "value": None, "error": {"code": HOSTILE, "message": HOSTILE}},
        5: {"answer": {"text": HOSTILE}},
    }
    told = [replace(event, data={**event.data, **changes[event.seq]}) for event in events]
    said = {"by": HOSTILE, "verdict": HOSTILE, "saw": {HOSTILE: HOSTILE}}
    decision = Event(5, EventType.DECISION, "", 5.0, said)
    return [*told[:5], decision, replace(told[5], seq=6)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'hostile.db'}"
    named = replace(TASK, planner=HOSTILE, tenant=HOSTILE, question={"query": HOSTILE})
    task = replace(named, outcome="answered", created_at=1e18, started_at=1.0)

    async def make() -> None:
        async with await open_store(url) as store:
            await store.restore(task, hostile())
            await store.restore(replace(task, id="other", idempotency_key=HOSTILE), hostile())

    asyncio.run(make())
    return url


def on_terminal(*arguments: str) -> tuple[int, str]:
    """What a command writes to a terminal of 200 columns, and its exit code."""
    ours, theirs = pty.openpty()
    settings = {"PYTHONPATH": str(Path(__file__).parents[3]), "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **settings}
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 1 << 16):
                written += piece
        except OSError:  # the other side was closed
            pass
        finally:
            os.close(ours)
    return process.returncode, written.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", TASK.id),
        ("trace", TASK.id, "--json"),
        ("traces",),
        ("replay", TASK.id),
        ("replay", HOSTILE),
        ("verify",),
        ("diff", TASK.id, "other"),
        ("export", TASK.id),
        ("export", TASK.id, "-f", "otel", "--content"),
    ],
    ids=" ".join,
)
def test_nothing_in_a_database_steers_a_terminal(database: str, arguments: tuple[str, ...]) -> None:
    code, written = on_terminal(*arguments, "--database", database)
    assert (code != 0) == (arguments[0] in ("replay", "verify"))
    assert STEERING.search(written) is None
    assert not re.search(r"^error \[forged\]", written, re.MULTILINE)
    assert "Traceback" not in written


def test_a_trace_shows_its_texts_as_they_are(database: str) -> None:
    _, written = on_terminal("trace", TASK.id, "--database", database)
    plain = re.sub("\x1b\\[[0-9;]*m", "", written)
    assert r"A\x1b]0;owned\x07\x1b[2J" in plain
    assert "[red]b[/red] :smile:" in plain


def test_json_is_exact(anabranch: ANABRANCH, database: str) -> None:
    told = anabranch("trace", TASK.id, "--database", database, "--json")
    assert told.json["nodes"][0]["label"] == HOSTILE
    assert STEERING.search(told.out) is None


def test_an_export_is_exact_in_a_file(database: str, tmp_path: Path) -> None:
    file, picture = tmp_path / "trace.jsonl", tmp_path / "trace.svg"
    assert shell("export", TASK.id, "-o", str(file), "--database", database).code == 0
    assert json.loads(file.read_text().split("\n")[2])["data"]["label"] == HOSTILE
    assert shell("export", TASK.id, "-f", "svg", "-o", str(picture), "--database", database).code == 0
    ElementTree.parse(picture)


def test_nothing_that_an_engine_says_steers_the_live_view(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"": f"{HOSTILE} \\boxed{{{HOSTILE}}}"}))
    with subprocess.Popen(
        [sys.executable, "-m", "workers.engines.simulator", "--port", "0", "--answers", str(answers)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())
            assert url is not None
            code, written = on_terminal(
                *("solve", "?", "-p", "vote", "-o", "n=3", "--engine", url.group()),
                *("--database", f"sqlite:///{tmp_path / 'a.db'}"),
            )
        finally:
            process.kill()
    assert code == 0
    assert STEERING.search(written) is None
    assert not re.search(r"^error \[forged\]", written.split("trace ")[-1], re.MULTILINE)


def test_a_file_name_in_an_error_is_shown(anabranch: ANABRANCH, database: str, tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[2Jb\nerror [forged]: c.jsonl"
    file.write_text("{")
    done = anabranch("import", str(file), "--database", database)
    assert done.code != 0
    assert STEERING.search(done.err) is None
    assert not re.search(r"^error \[forged\]", done.err, re.MULTILINE)


def test_a_console_shows_what_nobody_thought_of(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().print("a\x1b[2Jb :smile:")
    assert capsys.readouterr().out == "a\\x1b[2Jb :smile:\n"


def test_scopes_nested_thousands_deep_are_shown(anabranch: ANABRANCH, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep.db'}"

    async def make() -> None:
        async with await open_store(url) as store:
            await store.restore(TASK, nested(1200))

    asyncio.run(make())
    for arguments in (("trace", TASK.id), ("diff", TASK.id, TASK.id), ("export", TASK.id, "-f", "svg")):
        done = anabranch(*arguments, "--database", url)
        assert (done.code, done.err) == (0, "")
    assert anabranch("trace", TASK.id, "--json", "--database", url).out.count('"children":[') == 1200
