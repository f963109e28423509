"""``anabranch mcp`` as a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from orchestrator.cli.assisting import check_together
from orchestrator.errors import InvalidRequest
from tests.orchestrator.cli.test_commands import command, server, shell, started, until_generating
from tests.orchestrator.mcp.conftest import text_of, until
from tests.orchestrator.mcp.test_pipes import INITIALIZE
from tests.real_model import SMALL

__all__ = ["server"]

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def at_pipes(*arguments: str, module: str = "orchestrator.cli", errlog: Any) -> Any:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", module, "mcp", *arguments], env=ENVIRONMENT
    )
    return stdio_client(parameters, errlog=errlog)


async def test_an_assistant_asks_over_pipes_on_which_there_is_nothing_else() -> None:
    with tempfile.TemporaryFile("w+") as errors:
        pipes = at_pipes("--database", "memory", module="tests.orchestrator.mcp.noisy", errlog=errors)
        async with Client(pipes) as client:
            found = await client.list_tools()
            assert [tool.name for tool in found.tools] == ["solve", "trace", "replay", "planners"]
            told: list[float] = []

            async def listen(progress: float, total: float | None, message: str | None) -> None:
                told.append(progress)

            vote = {"question": "How many clips?", "planner": "vote"}
            solved = await client.call_tool("solve", vote, progress_callback=listen)
            assert solved.structured_content["answer"] == "72"
            assert told == sorted(told)
            assert told
            replayed = await client.call_tool("replay", {"trace_id": solved.structured_content["trace_id"]})
            assert replayed.structured_content["identical"] is True
            noisy = await client.call_tool("solve", {"question": "?", "planner": "noisy"})
            assert noisy.structured_content["answer"] == "read ''"
            wrong = await client.call_tool("solve", {"question": "?", "planner": "nothing"})
            assert wrong.is_error
        errors.seek(0)
        said = errors.read()
    for way in ("by print", "by a file descriptor", "by a process", "by a warning"):
        assert way in said
    assert "Traceback" not in said


def message(method: str, number: int | None = None, **params: Any) -> str:
    numbered = {} if number is None else {"id": number}
    return json.dumps({"jsonrpc": "2.0", **numbered, "method": method, "params": params}) + "\n"


@pytest.mark.slow
def test_a_signal_ends_it_with_what_it_has_begun(server: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'traces.db'}"
    with started(
        command("mcp", "--engine", server, "--database", database),
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(message("initialize", 1, **INITIALIZE) + message("notifications/initialized"))
        asked = {"question": "slow", "planner": "direct"}
        process.stdin.write(message("tools/call", 2, name="solve", arguments=asked))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        until_generating(server)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err
    for line in out.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    until_idle(server)
    with closing(sqlite3.connect(tmp_path / "traces.db")) as connection:
        assert connection.execute("SELECT status FROM tasks").fetchall() == [("cancelled",)]


def until_idle(server: str) -> None:
    """Wait until the simulator has no call under way."""
    for _ in range(600):
        told = subprocess.run(
            ["curl", "-sS", server.replace("/v1", "/metrics")], capture_output=True, text=True, timeout=60
        )
        if re.search(r"^vllm:num_requests_running.* 0(\.0)?$", told.stdout, re.MULTILINE):
            return
    pytest.fail("a call is still under way")


@pytest.mark.slow
def test_http_is_served_until_a_signal_and_to_this_machine_alone(server: str) -> None:
    asked = ("mcp", "--http", "--port", "0", "--database", "memory", "--engine", server)
    everywhere = shell(*asked, "--host", "0.0.0.0")
    assert everywhere.code == 2
    assert "it has no keys" in everywhere.err
    with started(command(*asked), env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert re.fullmatch(r"listening on http://127\.0\.0\.1:\d+/mcp\n", line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_what_does_not_go_together_is_refused() -> None:
    done = shell("mcp", "--port", "8000")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error [invalid_request]: --port: pipes have nothing of that kind; add --http\n"
    with pytest.raises(InvalidRequest, match="--url: --http offers a service of this process"):
        check_together(http=True, listening={}, here={}, elsewhere={"url": "http://localhost"})
    with pytest.raises(InvalidRequest, match="--url asks a service elsewhere, and --mcp sets up"):
        check_together(http=False, listening={}, here={"mcp_servers": "{}"}, elsewhere={"url": "x"})


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ImportError('not here')")
    done = subprocess.run(
        command("mcp"),
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        input="",
        timeout=100,
    )
    assert done.returncode == 2
    assert "pip install 'anabranch[mcp]'" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.engine
async def test_a_real_model_answers_over_pipes_and_leaves_no_process_behind(tmp_path: Path) -> None:
    database, others = f"sqlite:///{tmp_path / 'traces.db'}", set(descendants(os.getpid()))
    with tempfile.TemporaryFile("w+") as errors:
        async with Client(at_pipes("--model", SMALL, "--database", database, errlog=errors)) as client:
            asked = {"question": "What is 6 * 7?", "planner": "vote", "options": {"n": 2, "max_tokens": 60}}
            solved = await client.call_tool("solve", asked, read_timeout_seconds=600)
            assert not solved.is_error, text_of(solved)
            assert solved.structured_content["tokens"]["completion"] > 0
            begun = set(descendants(os.getpid())) - others
            assert len(begun) >= 2, "the server, and its engine"
            replayed = await client.call_tool("replay", {"trace_id": solved.structured_content["trace_id"]})
            assert replayed.structured_content["identical"] is True
        await until(lambda: not any(map(lives, begun)))


def parents() -> dict[int, int]:
    """The parent of each process of this machine that has not ended."""
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """The processes that one has started, and those that they have."""
    found, below = parents(), {pid}
    while more := {child for child, parent in found.items() if parent in below} - below:
        below |= more
    return below - {pid}


def lives(pid: int) -> bool:
    """Whether a process has not ended."""
    return pid in parents()
