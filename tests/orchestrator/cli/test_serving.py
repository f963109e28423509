"""``anabranch serve`` as a real process: how it ends, and what it says while it cannot work."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.cli.test_commands import command, curl, started

ROOT = Path(__file__).parents[3]


@dataclass
class Serving:
    """A service in a process of its own, with the planners of ``odd_service``."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    def submit(self, planner: str, query: str = "?", **options: Any) -> str:
        body = {"query": query, "planner": planner, "options": options}
        return str(curl(f"{self.url}/v1/tasks", body)["id"])

    def status(self, task_id: str) -> str:
        return str(curl(f"{self.url}/v1/tasks/{task_id}")["status"])

    def until(self, task_id: str, *statuses: str, seconds: float = 60.0) -> str:
        return str(wait_until(lambda: (found := self.status(task_id)) in statuses and found, seconds))

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            self.process.send_signal(number)

    def end(self, seconds: float = 60.0) -> int:
        code = self.process.wait(timeout=seconds)
        for thread in threading.enumerate():
            if thread.name == "reading what a service says":
                thread.join(timeout=10)
        return code

    @property
    def said(self) -> str:
        return "".join(self.lines)


def wait_until(condition: Any, seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)
    return found


@contextmanager
def serving(database: str, **environment: str) -> Iterator[Serving]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ANABRANCH_LOG_FORMAT": "json",
        "ANABRANCH_LOG_LEVEL": "info",
        **environment,
    }
    arguments = ["serve", "--port", "0", "--database", database]
    with started(
        [sys.executable, "-m", "tests.orchestrator.cli.odd_service", *arguments],
        stderr=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    ) as process:
        assert process.stderr is not None
        one = Serving(process, "")
        for line in process.stderr:
            one.lines.append(line)
            if line.startswith("listening on "):
                one.url = line.removeprefix("listening on ").strip()
                break
        assert one.url, one.said
        reading = threading.Thread(
            target=lambda: one.lines.extend(process.stderr or ()),
            name="reading what a service says",
            daemon=True,
        )
        reading.start()
        yield one


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'serving.db'}"


def stored(database: str, task_id: str) -> str:
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        ((status,),) = connection.execute("SELECT status FROM tasks WHERE id = ?", [task_id])
    return str(status)


def test_two_signals_at_once_do_not_wait_for_the_grace_time(database: str) -> None:
    with serving(database, ANABRANCH_GRACE_SECONDS="300") as service:
        task = service.submit("asking", "slow")
        service.until(task, "running")
        service.signal(signal.SIGTERM, signal.SIGINT)
        assert service.end() == 0
    assert stored(database, task) == "queued"


def test_a_tool_that_hangs_holds_up_neither_heartbeats_nor_the_end(database: str) -> None:
    lease = {"ANABRANCH_LEASE_SECONDS": "3", "ANABRANCH_GRACE_SECONDS": "0.5"}
    with serving(database, **lease) as service:
        task = service.submit("using", tool="sleep")
        service.until(task, "running")
        time.sleep(5)  # longer than the lease: it would be taken over
        assert service.status(task) == "running"
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("SELECT attempts, lease_fence FROM tasks").fetchall() == [(1, 1)]
        service.signal(signal.SIGTERM)
        assert service.end() == 0
    assert stored(database, task) == "queued"
    assert "does not end by itself" not in service.said


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("queue", "the queue has ended: LookupError: on purpose"),
        ("store", "the store has failed: on purpose"),
        ("cancelling", "nobody follows requests to cancel tasks any more"),
        ("watchdog", "the watchdog's thread has ended"),
    ],
)
def test_a_service_that_can_work_on_nothing_more_ends_and_says_why(
    database: str, broken: str, says: str
) -> None:
    with serving(database, BREAK=broken) as service:
        if broken == "queue":
            service.submit("asking")
        assert service.end() == 1
    (line,) = [line for line in service.lines if "can work on nothing more" in line]
    assert json.loads(line)["why"] == says
    assert f"error [unavailable]: this process must be started again: {says}" in service.said


def test_a_planner_that_never_yields_is_named_and_its_process_ends(database: str) -> None:
    """Where nothing can interrupt it: what it holds is taken over when the lease has lapsed anyway."""
    quick = {"ANABRANCH_STUCK_SECONDS": "0.5", "ANABRANCH_LEASE_SECONDS": "2"}
    with serving(database, **quick) as service:
        task = service.submit("using", tool="block")
        assert service.end() == 70
    told = [json.loads(line) for line in service.lines if line.startswith("{")]
    (blocked,) = [line for line in told if line["event"] == "the event loop is blocked"]
    assert "odd_service.py" in blocked["stack"]
    assert "time.sleep(seconds)" in blocked["stack"]
    (last,) = [line for line in told if "this process ends" in line["event"]]
    assert last["level"] == "critical"
    assert stored(database, task) == "running"  # until its lease is found to have lapsed


@pytest.mark.parametrize("name", ["spinning", "sleeping"])
def test_a_planner_that_does_not_yield_is_ended_and_the_next_task_runs(database: str, name: str) -> None:
    with serving(database, ANABRANCH_STUCK_SECONDS="0.5", ANABRANCH_LEASE_SECONDS="20") as service:
        task = service.submit(name)
        assert service.until(task, "succeeded", "failed", "dead") == "failed"
        assert curl(f"{service.url}/v1/tasks/{task}")["error"]["code"] == "planner_stuck"
        following = service.submit("asking")
        assert service.until(following, "succeeded", "failed") == "succeeded"
    told = [json.loads(line) for line in service.lines if line.startswith("{")]
    (blocked,) = [line for line in told if line["event"] == "the event loop is blocked"]
    assert name in blocked["by"]


def test_a_block_that_ends_is_told_by_the_health_for_a_while(database: str) -> None:
    quick = {"ANABRANCH_STUCK_SECONDS": "1", "ANABRANCH_LEASE_SECONDS": "30"}
    with serving(database, **quick) as service:
        assert curl(f"{service.url}/healthz")["status"] == "ok"
        task = service.submit("using", tool="block", seconds=2.5)
        health = wait_until(lambda: (found := curl(f"{service.url}/healthz"))["status"] != "ok" and found)
        assert not health["loop"]["ok"]
        assert re.search(r"blocked for [\d.]+ s or more by .*odd_service.py:\d+", health["loop"]["detail"])
        assert curl(f"{service.url}/livez") == {"ok": True, "detail": ""}
        wait_until(lambda: curl(f"{service.url}/healthz")["status"] == "ok")
        assert service.until(task, "succeeded", "failed") == "succeeded"


def test_a_process_that_was_stopped_is_not_taken_for_blocked(database: str) -> None:
    quick = {"ANABRANCH_STUCK_SECONDS": "2", "ANABRANCH_LEASE_SECONDS": "1"}
    with serving(database, **quick) as service:
        service.signal(signal.SIGSTOP)
        time.sleep(6)
        service.signal(signal.SIGCONT)
        health = curl(f"{service.url}/healthz")
        assert health["loop"] == {"ok": True, "detail": ""}
        service.signal(signal.SIGTERM)
        assert service.end() == 0
    assert "blocked" not in service.said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_engine_starts_ends_the_start(database: str, number: int, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        arguments = command("serve", "--port", "0", "--engine", url, "--database", database)
        with started(arguments, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(number)
                assert process.wait(timeout=60) == code
            assert process.stderr is not None
            assert process.stderr.read() == ""


@pytest.mark.parametrize("what", [["solve", "2+2"], ["serve", "--port", "0"]])
def test_a_signal_while_a_server_of_tools_starts_leaves_nothing_behind(
    what: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("mcp")
    pid = tmp_path / "pid"
    write = f"import os, time; open({str(tmp_path / 'new')!r}, 'w').write(str(os.getpid())); "
    script = f"{write} os.rename({str(tmp_path / 'new')!r}, {str(pid)!r}); time.sleep(3600)"
    servers = json.dumps({"mcpServers": {"silent": {"command": sys.executable, "args": ["-c", script]}}})
    engine = ["--engine", "http://127.0.0.1:9/v1", "--model", "m", "--database", "memory", "--mcp", servers]
    with started(command(*what, *engine), stderr=subprocess.PIPE) as process:
        wait_until(pid.exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_signal_while_the_database_is_opened_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    url = f"sqlite:///{path}"
    arguments = command("serve", "--port", "0", "--engine", "http://127.0.0.1:9/v1", "--database", url)
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("PRAGMA journal_mode=WAL")
        lock.execute("BEGIN EXCLUSIVE")
        with started(arguments, stderr=subprocess.PIPE) as process:
            wait_until(lambda: opens(process.pid, path))
            time.sleep(0.3)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 143
            assert time.monotonic() - began < 25  # it would wait for the lock for half a minute


def opens(pid: int, path: Path) -> bool:
    """Whether the process has the file open."""
    files = Path(f"/proc/{pid}/fd")
    found = set()
    for each in files.iterdir():
        try:
            found.add(os.readlink(each))
        except OSError:  # closed meanwhile
            continue
    return str(path) in found
