"""``anabranch workers``, against a service and against what is none."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.orchestrator.cli.test_commands import anabranch, command, curl, server, started

__all__ = ["anabranch", "server"]


@pytest.fixture(scope="module")
def service(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a service with one replica that works and one that never did."""
    nothing = str(tmp_path_factory.mktemp("calibrations"))
    engine = f"{server},large=http://127.0.0.1:9/v1"
    with started(
        command("serve", "--port", "0", "--engine", engine, "--database", "memory"),
        stderr=subprocess.PIPE,
        env={**os.environ, "ANABRANCH_LOG_LEVEL": "error", "ANABRANCH_CALIBRATION": nothing},
    ) as process:
        assert process.stderr is not None
        listening = re.fullmatch(r"listening on (\S+)\n", process.stderr.readline())
        assert listening is not None
        yield listening.group(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_workers_of_a_service_are_shown(service: str, anabranch: Any) -> None:
    assert curl(f"{service}/healthz")["status"] == "ok"  # branches have somewhere to go
    curl(f"{service}/v1/tasks?wait=60", {"query": "How many clips? " * 20, "planner": "direct"})
    while True:
        told = anabranch("workers", "--url", service, "--json").json
        if "starting" not in [one["state"] for one in told["replicas"]]:
            break
    assert [one["state"] for one in told["replicas"]] == ["up", "down"]
    assert told["replicas"][0]["finished"] == 1
    shown = anabranch("workers", "--url", f"{service}/").out
    head, _, columns, up, down, reason = shown.splitlines()
    assert re.match(r"1 of 2 up · 0 calls running, 0 waiting · 0 families · prefix hits [\d.]+%", head)
    assert columns.split()[:5] == ["worker", "model", "roles", "state", "running"]
    assert re.match(r"127.0.0.1:\d+ +simulator +all others +up +0 of 64 ", up)
    assert re.match(r"127.0.0.1:9 +large +down ", down)
    assert "127.0.0.1:9: cannot be reached" in reason


def test_watching_goes_on_until_it_is_stopped(service: str) -> None:
    with started(
        command("workers", "--url", service, "--watch", "--every", "0.1", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert all(json.loads(line)["families"] == 0 for line in lines)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""


def test_a_terminal_is_drawn_again_in_place(service: str) -> None:
    master, slave = os.openpty()
    with started(
        command("workers", "--url", service, "--watch", "--every", "0.1"),
        stdout=slave,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
    ) as process:
        seen, deadline = b"", time.monotonic() + 60
        while seen.count(b"1 of 2 up") < 3 and time.monotonic() < deadline:
            if select.select([master], [], [], 1.0)[0]:
                seen += os.read(master, 65536)
        process.send_signal(signal.SIGINT)
        while (
            process.poll() is None and time.monotonic() < deadline + 30
        ):  # it may have to draw before it ends
            if select.select([master], [], [], 0.1)[0]:
                os.read(master, 65536)
        assert process.poll() == 130
    os.close(slave)
    os.close(master)
    assert seen.count(b"1 of 2 up") >= 3
    assert b"\x1b[1A" in seen  # the cursor goes up


def test_without_a_service_it_is_said_what_to_do(server: str, anabranch: Any) -> None:
    done = anabranch("workers", "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert done.err.startswith("error [no_service]: no service answers at http://127.0.0.1:9 (")
    assert "`anabranch serve`" in done.err
    assert "--url" in done.err
    done = anabranch("workers", "--url", server)
    assert done.code == 1
    assert "is not a service of this version: status 404" in done.err
    for url in ("localhost:8080", "http://", "https:/x", "http://127.0.0.1:99999"):
        done = anabranch("workers", "--url", url)
        assert done.code == 2
        assert "write it like http://127.0.0.1:8080" in done.err
