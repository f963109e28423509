"""The commands with ``--url``, against a service in a process of its own with keys."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.cli.test_commands import anabranch, command, server, started, until_generating

__all__ = ["anabranch", "server"]


@dataclass(frozen=True)
class Elsewhere:
    """A service, its key in a file, and its database, where the same can be asked without it."""

    url: str
    key_file: str
    database: str

    @property
    def named(self) -> tuple[str, ...]:
        return ("--url", self.url, "--key-file", self.key_file)


@pytest.fixture(scope="module")
def elsewhere(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    database = f"sqlite:///{folder / 'traces.db'}"
    environment = {**os.environ, "ANABRANCH_LOG_LEVEL": "error", "ANABRANCH_CALIBRATION": str(folder)}
    created = command("keys", "create", "for tests", "--database", database)
    made = subprocess.run(created, capture_output=True, text=True, check=True, env=environment)
    key_file = folder / "key"
    key_file.write_text(made.stdout)
    with started(
        command("serve", "--port", "0", "--engine", server, "--database", database),
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stderr is not None
        listening = re.fullmatch(r"listening on (\S+)\n", process.stderr.readline())
        assert listening is not None
        yield Elsewhere(listening.group(1), str(key_file), database)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.fixture
def there(anabranch: Any, elsewhere: Elsewhere) -> Any:
    """Runs a command on the service elsewhere."""
    return lambda *arguments: anabranch(*elsewhere.named, *arguments)


@pytest.fixture
def solved(there: Any) -> str:
    """The id of a vote."""
    done = there("solve", "How many clips?", "-p", "vote", "-o", "n=5", "--seed", "3", "--json")
    assert (done.code, done.err) == (0, "")
    return str(done.json["trace_id"])


def test_a_question_is_solved_and_shown(there: Any) -> None:
    done = there("solve", "How many clips?", "-p", "vote", "-o", "n=5", "-o", "rule=fixed")
    assert done.code == 0, done.err
    assert "72" in done.out
    failed = there("solve", "How many clips?", "-p", "vote", "-o", "n=many", "--json")
    assert failed.code == 2
    assert failed.json["error"]["code"] == "invalid_request"


def test_what_is_stored_is_shown_as_from_its_database(
    there: Any, anabranch: Any, elsewhere: Elsewhere, solved: str
) -> None:
    def here(*arguments: str) -> Any:
        return anabranch(*arguments, "--database", elsewhere.database)

    for asked in (
        ("trace", solved),
        ("traces", "--limit", "3"),
        ("traces", "--status", "succeeded", "--json"),
        ("diff", solved, solved),
        ("diff", solved, solved, "--json"),
        ("fork", solved, "--at", "0", "-c", "rule=beta:0.6", "--what-if"),
        ("export", solved),
        ("export", solved, "--format", "svg"),
        ("trace", "nothing"),
        ("requeue", solved),
    ):
        said, expected = there(*asked), here(*asked)
        assert (said.code, said.out) == (expected.code, expected.out), asked
        assert bool(said.err) == bool(expected.err), asked
    replayed = there("replay", solved, "--json").json
    assert {**replayed, "seconds": 0} == {**here("replay", solved, "--json").json, "seconds": 0}
    traces = (there("trace", solved, "--json").json, here("trace", solved, "--json").json)
    assert traces[0] == traces[1]


def test_a_run_is_forked_there(there: Any, solved: str) -> None:
    done = there("fork", solved, "--at", "0.1", "-c", "value=It is \\boxed{5}", "--json")
    assert done.code == 0, done.err
    forked = done.json["solution"]["trace_id"]
    assert there("trace", forked, "--json").json["task"]["parent_id"] == solved


def test_a_trace_is_carried_to_it_and_from_it(
    there: Any, anabranch: Any, elsewhere: Elsewhere, solved: str, tmp_path: Path
) -> None:
    file, database = tmp_path / "trace.jsonl", f"sqlite:///{tmp_path / 'own.db'}"
    assert there("export", solved, "-o", str(file)).code == 0
    assert anabranch("import", str(file), "--database", database).out == f"{solved}\n"
    taken = there("import", str(file))
    assert taken.code == 1
    assert f"{file}: " in taken.err
    assert "[task_exists]" in taken.err
    broken = tmp_path / "broken.jsonl"
    broken.write_text(file.read_text()[:-20])
    assert "[archive_error]" in there("import", str(broken)).err


def test_workers_are_those_of_the_same_service(there: Any) -> None:
    assert there("workers", "--json").json["replicas"][0]["state"] == "up"


REASONS = {
    ("prune", "--keep", "1"): "up to who runs the service",
    ("check",): "reads a database",
    ("backup", "copy.db"): "copies a database",
    ("verify",): "replay ID",
    ("estimate",): "runs in a database",
    ("calibrate", "x.jsonl"): "calibration",
    ("keys", "list"): "in the database of a service",
    ("serve",): "--host and --port",
    ("models",): "of this machine",
    ("planners",): "installed here",
}


@pytest.mark.parametrize("asked", REASONS, ids=lambda asked: asked[0])
def test_what_does_not_work_elsewhere_says_why(anabranch: Any, asked: tuple[str, ...]) -> None:
    done = anabranch("--url", "http://127.0.0.1:9", *asked)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error [invalid_request]: --url: ")
    assert REASONS[asked] in done.err


@pytest.mark.parametrize(
    "asked", [("prune", "--keep", "1"), ("check",), ("keys", "list")], ids=lambda a: a[0]
)
def test_no_command_works_on_another_database_than_meant(
    anabranch: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ANABRANCH_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANABRANCH_DATABASE", f"sqlite:///{tmp_path / 'mine.db'}")
    refused = anabranch(*asked)
    assert refused.code == 2
    assert "ANABRANCH_URL names a service elsewhere" in refused.err
    assert anabranch("traces", "--database", "memory").code == 0  # what is given counts more


def test_options_that_do_not_go_together_are_told(anabranch: Any, tmp_path: Path) -> None:
    url = ("--url", "http://127.0.0.1:9")
    for asked, says in (
        ((*url, "traces", "--database", "memory"), "--url asks a service elsewhere, and --database"),
        ((*url, "solve", "x", "--engine", "http://127.0.0.1:9"), "--engine"),
        ((*url, "solve", "x", "--tool", "math:sqrt"), "has its own tools"),
        ((*url, "replay", "x", "--pace", "2"), "--pace"),
        ((*url, "--key", "a", "--key-file", "b", "traces"), "one or the other"),
        ((*url, "--key-file", str(tmp_path / "none"), "traces"), "cannot be read"),
        (("--key", "a", "traces"), "give its --url too"),
        (("--url", "http://service.example", "--key", "anb_x", "traces"), "plain HTTP"),
        (("--url", "service.example", "traces"), "is not the URL of a service"),
    ):
        done = anabranch(*asked)
        assert done.code == 2, asked
        assert says in done.err, asked
        assert "anb_x" not in done.err


def test_a_wrong_key_is_told(anabranch: Any, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_URL", elsewhere.url)
    monkeypatch.setenv("ANABRANCH_KEY", "anb_wrong")
    done = anabranch("traces")
    assert done.code == 1
    assert done.err.startswith("error [unauthorized]: ")


def test_ctrl_c_cancels_the_task_there(there: Any, elsewhere: Elsewhere, server: str) -> None:
    solving = command(*elsewhere.named, "solve", "very slow", "-p", "direct")
    with started(solving, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until_generating(server)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    trace = re.search(r"the work so far is in trace (\w+)", err)
    assert trace is not None
    said = json.loads(there("traces", "--limit", "1", "--json").out)
    assert (said[0]["id"], said[0]["cancel_requested"]) == (trace.group(1), True)
