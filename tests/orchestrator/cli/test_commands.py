"""The command line: the main paths as real processes, the rest through :func:`orchestrator.cli.app.main`."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from orchestrator.cli import app as cli
from orchestrator.consensus.stopping import DEFAULT_RULE
from tests.real_model import SMALL
from workers.models.catalogue import DEFAULT_MODEL

ANSWERS = {
    "clips": {"So it is \\boxed{72}": 9, "Hence \\boxed{96}": 1},
    "slow": "word " * 50_000,
    "very slow": "word " * 50_000,
    "context": "Answer: 17",
    "": "ok",  # whatever the client finds out about the server
}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator.cli", *arguments]


def shell(*arguments: str, cwd: Path | None = None, stdin: str = "", **environment: str) -> Done:
    """Run ``anabranch`` as a process."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=1500,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
    )
    return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the test, however that ends."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def until_generating(server: str) -> None:
    """Wait until the simulator has a call under way."""
    for _ in range(600):
        told = subprocess.run(
            ["curl", "-sS", server.replace("/v1", "/metrics")], capture_output=True, text=True, timeout=60
        )
        if re.search(r"^vllm:num_requests_running [1-9]", told.stdout, re.MULTILINE):
            return
        time.sleep(0.1)
    pytest.fail("no call is under way")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a simulator in a process of its own."""
    answers = tmp_path_factory.mktemp("answers") / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    options = ["--port", "0", "--answers", str(answers), "--decode-rate", "200"]
    with started(
        [sys.executable, "-m", "workers.engines.simulator", *options], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        yield url.group()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('traces') / 'traces.db'}"


@pytest.fixture(scope="module")
def solved(server: str, database: str) -> dict[str, Any]:
    """A solution, as ``solve --json`` prints it."""
    done = shell(
        *("solve", "How many clips?", "--planner", "vote", "--option", "n=5", "--seed", "3"),
        *("--engine", server, "--database", database, "--json"),
    )
    assert done.code == 0, done.err
    assert done.err == ""
    solution: dict[str, Any] = done.json
    return solution


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Done:
    """Run ``anabranch`` inside this process."""
    monkeypatch.setattr(sys, "argv", ["anabranch", *arguments])
    monkeypatch.setattr("orchestrator.logs.configure", lambda *_, **__: None)  # it would outlive the test
    logging_of_tests = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical"),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        structlog.configure(**logging_of_tests)
    captured = capsys.readouterr()
    return Done(int(ended.value.code or 0), captured.out, captured.err)


@pytest.fixture
def anabranch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(*arguments: str) -> Done:
        return run(capsys, monkeypatch, *arguments)

    return call


def test_solve_gives_one_json_object(solved: dict[str, Any]) -> None:
    assert solved["answer"] == "72"
    assert solved["outcome"] == "answered"
    assert solved["planner"] == "vote"
    assert 0.5 < solved["confidence"] <= 1
    assert solved["entropy"] is not None
    assert solved["clusters"][0]["claim"] == "72"
    assert solved["usage"]["calls"] >= 3
    assert solved["trace_id"]


def test_solve_prints_what_the_answer_rests_on(server: str, database: str, anabranch: Any) -> None:
    done = shell(
        *("solve", "-", "--planner", "vote", "--engine", server, "--database", database, "--verbose"),
        stdin="How many clips?\n",
    )
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "72"
    for words in ("confidence", "entropy", "completion tokens", "planner vote", "reasoning:\n  So it is"):
        assert words in done.out
    assert re.search(r"^ +█+ \d  72$", done.out, re.MULTILINE)
    trace_id = lines[-1].removeprefix("trace ")
    assert anabranch("trace", trace_id, "--database", database).code == 0


def test_without_verbose_solve_prints_the_answer_why_to_trust_it_and_the_trace(
    server: str, anabranch: Any
) -> None:
    asked = ("solve", "How many clips?", "-p", "vote", "-o", "n=3", "--seed", "3")
    done = anabranch(*asked, "--engine", server, "--database", "memory")
    assert re.fullmatch(r"72\n\n.*branches agree.*\ntrace \w+\n", done.out), done.out


def test_replay_takes_the_recorded_time_if_it_is_asked_to(
    anabranch: Any, solved: dict[str, Any], database: str
) -> None:
    done = anabranch("replay", solved["trace_id"], "--pace", "2", "--database", database, "--json")
    assert done.json["answer"] == solved["answer"]
    trace = anabranch("trace", solved["trace_id"], "--database", database, "--json").json
    settled = max(node["settled_at"] for node in trace["nodes"])
    assert done.json["seconds"] >= (settled - trace["started_at"]) / 2 - 0.02


def test_replay_gives_the_same_without_an_engine(
    solved: dict[str, Any], database: str, anabranch: Any
) -> None:
    done = anabranch("replay", solved["trace_id"], "--database", database, "--json")
    assert done.code == 0
    assert done.json["answer"] == solved["answer"]
    assert done.json["calls"] == 0
    assert done.json["events"] > 5
    told = anabranch("replay", solved["trace_id"], "--database", database)
    assert told.out.splitlines()[0] == "72"
    assert f"identical: {done.json['events']} events compared, 0 calls" in told.out


def test_a_divergence_is_a_failure(
    solved: dict[str, Any], database: str, anabranch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planners.vote.FREE", "Guess.")
    done = anabranch("replay", solved["trace_id"], "--database", database)
    assert done.code == 1
    assert done.err.startswith("error [divergence]: node 0.0 diverges")
    assert "Traceback" not in done.err


def test_trace_shows_the_tree(solved: dict[str, Any], database: str, anabranch: Any) -> None:
    done = anabranch("trace", solved["trace_id"], "--database", database)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "How many clips?"
    assert solved["trace_id"] in lines[1]
    assert any(re.search(r"0\S* vote ", line) for line in lines)
    branches = [line for line in lines if re.search(r"0\.\d\S* generate branch \d", line)]
    assert len(branches) == solved["usage"]["calls"]
    assert any("stop:" in line and "entropy" in line for line in lines)
    assert any("answer 72" in line for line in lines)
    assert re.search(r"critical path [\d.]+ s; [\d,]+ of [\d,]+ completion tokens, 1 in [\d.]+$", lines[-1])
    told = anabranch("trace", solved["trace_id"], "--database", database, "--json").json
    assert told["task"]["id"] == solved["trace_id"]
    assert told["nodes"][0]["kind"] == "vote"
    assert told["usage"]["completion_tokens"] == solved["usage"]["completion"]
    assert told["critical_path"]["tokens"]["ratio"] >= 1


def test_traces_lists_them(solved: dict[str, Any], database: str, anabranch: Any) -> None:
    done = anabranch("traces", "--database", database)
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if solved["trace_id"] in line]
    assert "succeeded" in line
    assert "How many clips?" in line
    listed = anabranch("traces", "--database", database, "--status", "succeeded", "--json").json
    assert solved["trace_id"] in [task["id"] for task in listed]
    assert anabranch("traces", "--database", database, "--status", "failed", "--json").json == []
    assert anabranch("traces", "--database", database, "--tenant", "nobody", "--json").json == []
    assert (
        "with that status or tenant" in anabranch("traces", "--database", database, "--tenant", "nobody").err
    )
    wrong = anabranch("traces", "--database", database, "--status", "asleep")
    assert wrong.code == 2
    assert "use one of queued, running" in wrong.err
    none = anabranch("traces", "--database", "memory")
    assert (none.code, none.out) == (0, "")


def test_everything_that_can_be_given_arrives(
    server: str, database: str, tmp_path: Path, anabranch: Any
) -> None:
    (tmp_path / "context.txt").write_text("This is the context.")
    done = anabranch(
        *("solve", "Which?", "--planner", "direct", "--context", f"@{tmp_path / 'context.txt'}"),
        *("--choice", "17", "--choice", "context", "--temperature", "0.3", "--top-p", "0.9"),
        *("--max-tokens", "50", "--seed", "5", "--tenant", "me", "--budget-tokens", "9000"),
        *("--budget-calls", "9", "--budget-depth", "3", "--budget-width", "7", "--budget-seconds", "60"),
        *("--budget-nodes", "500", "--priority", "batch", "--deadline", "1e9"),
        *("--engine", server, "--database", database, "--option", "temperature=0.1", "--json"),
    )
    assert done.code == 0, done.err
    told = anabranch("trace", done.json["trace_id"], "--database", database, "--json").json["task"]
    assert told["question"] == {
        "query": "Which?",
        "context": "This is the context.",
        "choices": ["17", "context"],
    }
    assert told["options"]["options"] == {"temperature": 0.1, "max_tokens": 50}
    assert told["options"]["sampling"] == {"temperature": 0.3, "top_p": 0.9, "max_tokens": 50}
    assert told["options"]["budget"] == {
        "tokens": 9000,
        "calls": 9,
        "depth": 3,
        "width": 7,
        "seconds": 60.0,
        "nodes": 500,
    }
    assert told["options"]["priority"] == told["priority"] == "batch"
    assert told["options"]["deadline"] == 1e9
    assert (told["seed"], told["tenant"]) == (5, "me")


def test_tools_are_found_in_the_working_directory(
    server: str, database: str, tmp_path: Path, anabranch: Any
) -> None:
    (tmp_path / "mytools.py").write_text("def double(x: int) -> int:\n    'Twice x.'\n    return 2 * x\n")
    arguments = ("solve", "clips", "-p", "direct", "--engine", server, "--database", database, "--json")
    done = shell(*arguments, "--tool", "mytools:double", cwd=tmp_path)
    assert done.code == 0, done.err
    told = anabranch("trace", done.json["trace_id"], "--database", database, "--json").json
    assert "double" in [tool["name"] for tool in told["header"]["tools"]]


@pytest.mark.parametrize(
    ("name", "says"),
    [("json", "module:attribute"), ("json:triple", "triple"), ("nothing:x", "nothing"), ("sys:path", "list")],
)
def test_a_tool_that_is_none_is_refused(anabranch: Any, name: str, says: str) -> None:
    done = anabranch("solve", "x", "--tool", name, "--database", "memory", "--json")
    assert done.code == 2
    assert says in done.err
    assert done.json["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["solve"], "QUERY"),
        (["solve", "x", "--colour", "blue"], "--colour"),
        (["solve", "x", "--seed", "many"], "--seed"),
        (["solve", ""], "query"),
        (["solve", "x", "--planner", "vot"], "did you mean vote?"),
        (["solve", "x", "--planner", "vote", "--option", "n"], "key=value"),
        (["solve", "x", "--planner", "vote", "--option", "n=0"], "n: "),
        (["solve", "x", "--planner", "vote", "--option", "m=1"], "m: "),
        (["solve", "x", "--temperature", "9"], "sampling.temperature"),
        (["solve", "x", "--priority", "high"], "'interactive' or 'batch'"),
        (["solve", "x", "--deadline", "soon"], "a number of seconds above 0, or a time"),
        (["solve", "x", "--deadline", "-1"], "deadline"),
        (["solve", "x", "--budget-tokens", "0"], "budget.tokens"),
        (["solve", "x", "--context", "@/nowhere/at/all"], "/nowhere/at/all"),
        (["solve", "x", "--engine", "magic"], "no engine is called 'magic'"),
        (["fly"], "fly"),
    ],
)
def test_bad_usage_is_told_in_a_line(anabranch: Any, arguments: Sequence[str], says: str) -> None:
    done = anabranch(*arguments, *(["--database", "memory"] if "x" in arguments else []))
    assert done.code == 2
    assert says in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_failed_task_says_its_code_and_trace(server: str, database: str, anabranch: Any) -> None:
    arguments = ("solve", "slow", "-p", "direct", "--engine", server, "--database", database)
    done = anabranch(*arguments, "--budget-seconds", "0.2")
    assert done.code == 1
    assert done.out == ""
    assert re.fullmatch(r"error \[budget_exhausted\]: .* limit of seconds .*\(trace \w+\)\n", done.err)
    told = anabranch(*arguments, "--budget-seconds", "0.2", "--json")
    assert told.code == 1
    assert told.json["error"]["code"] == "budget_exhausted"
    assert anabranch("trace", told.json["trace_id"], "--database", database).code == 0


def test_an_engine_that_is_not_there_is_an_error_in_a_line(database: str, anabranch: Any) -> None:
    done = anabranch(
        "solve", "x", "-p", "direct", "--engine", "http://127.0.0.1:9/v1", "--database", database
    )
    assert done.code == 1
    assert done.err.startswith("error [engine_unavailable]: ")
    assert done.err.count("\n") == 1


def test_a_database_that_is_not_there_is_an_error_in_a_line(tmp_path: Path, anabranch: Any) -> None:
    (tmp_path / "file").touch()
    done = anabranch("traces", "--database", f"sqlite:///{tmp_path / 'file' / 'x.db'}")
    assert done.code == 1
    assert done.err.startswith("error [storage_not_writable]: ")
    done = anabranch("traces", "--database", "magic://x")
    assert done.code == 1
    assert done.err.startswith("error [")


def test_unknown_traces_are_told(database: str, anabranch: Any) -> None:
    for name in ("trace", "replay"):
        done = anabranch(name, "nothing", "--database", database)
        assert done.code == 1
        assert done.err.startswith("error [task_not_found]: ")


def test_wrong_settings_are_told(anabranch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_CONCURRENCY", "none")
    done = anabranch("traces", "--database", "memory")
    assert done.code == 2
    assert "concurrency" in done.err
    done = anabranch("solve", "x", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "invalid_request"
    assert "concurrency" in done.json["error"]["message"]


def test_a_setting_that_is_not_valid_json_is_told(anabranch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_ENGINE_HEADERS", "{X-Key: hush}")
    done = anabranch("traces", "--database", "memory")
    assert done.code == 2
    assert done.err.startswith("error [invalid_request]: settings (ANABRANCH_…): ")
    assert "engine_headers" in done.err
    assert "not valid JSON" in done.err
    assert "hush" not in done.err


def test_settings_that_cannot_be_read_are_told(
    anabranch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)
    done = anabranch("traces", "--database", "memory")
    assert done.code == 2
    assert done.err.startswith("error [invalid_request]: .env cannot be read: ")


def test_a_host_that_is_none_is_told(server: str) -> None:
    done = shell("serve", "--host", "not a host", "--port", "0", "--engine", server, "--database", "memory")
    assert done.code == 2
    assert done.err.startswith("error [invalid_request]: --host 'not a host': ")
    assert done.err.count("\n") == 1


def test_a_locale_without_the_characters_ends_nothing(server: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'traces.db'}"
    asked = ("solve", "Wie viele Füße, 日本?", "-p", "vote", "--engine", server, "--database", database)
    done = shell(*asked, PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ok\n")
    listed = shell("traces", "--json", "--database", database, PYTHONIOENCODING="latin-1")
    assert (listed.code, listed.err) == (0, "")
    assert listed.json[0]["question"]["query"] == "Wie viele Füße, 日本?"
    shown = shell("trace", listed.json[0]["id"], "--database", database, PYTHONIOENCODING="ascii")
    assert (shown.code, shown.err) == (0, "")
    assert r"F\xfc\xdfe, \u65e5\u672c?" in shown.out


def test_debug_shows_the_traceback(database: str) -> None:
    done = shell("--debug", "trace", "nothing", "--database", database)
    assert done.code == 1
    assert "Traceback" in done.err


def test_ctrl_c_cancels_the_task_and_says_so(server: str, database: str, anabranch: Any) -> None:
    arguments = ("solve", "very slow", "-p", "direct", "--engine", server, "--database", database)
    with started(
        command(*arguments, "--option", "max_tokens=100000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until_generating(server)
        running = anabranch("traces", "--status", "running", "--database", database, "--json").json
        assert [task["question"]["query"] for task in running] == ["very slow"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)  # by itself it would take four minutes
    assert process.returncode == 130
    assert out == ""
    said = re.search(r"^cancelled; the work so far is in trace (\w+)\n\Z", err, re.MULTILINE)
    assert said is not None, err
    (task,) = [
        task for task in shell("traces", "--database", database, "--json").json if task["id"] == said.group(1)
    ]
    assert task["status"] == "cancelled"


def test_a_solve_that_is_told_to_end_puts_its_task_back(server: str, database: str, anabranch: Any) -> None:
    arguments = ("solve", "slow", "-p", "direct", "--engine", server, "--database", database)
    with started(command(*arguments, "--option", "max_tokens=100000"), stderr=subprocess.PIPE) as process:
        until_generating(server)
        running = anabranch("traces", "--status", "running", "--database", database, "--json").json
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    said = re.search(
        r"^error \[handed_back\]: task (\w+) was put back into the queue for another process\n\Z",
        err,
        re.MULTILINE,
    )
    assert said is not None, err
    told = anabranch("traces", "--status", "queued", "--database", database, "--json").json
    assert said.group(1) in [task["id"] for task in told]
    put_back = anabranch("requeue", running[0]["id"], "--database", database)
    assert put_back.code == 0  # it is there already
    assert "is back in the queue" in put_back.err


def test_serve_works_and_drains(server: str, database: str, anabranch: Any) -> None:
    with started(
        command("serve", "--port", "0", "--engine", server, "--database", database), stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("listening on ").strip()
        health = curl(f"{url}/healthz")
        assert health["status"] == "ok"
        task = curl(f"{url}/v1/tasks?wait=50", {"query": "How many clips?", "planner": "direct"})
        assert task["status"] == "succeeded"
        wanted = {"query": "very slow", "planner": "direct", "options": {"max_tokens": 100_000}}
        slow = curl(f"{url}/v1/tasks", wanted)
        until_generating(server)
        assert curl(f"{url}/v1/tasks/{slow['id']}")["status"] == "running"
        process.send_signal(signal.SIGTERM)
        while curl(f"{url}/healthz")["status"] != "draining":
            time.sleep(0.1)
        assert process.poll() is None  # it lets the task go on
        process.send_signal(signal.SIGTERM)  # a second one is in a hurry
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""
    told = anabranch("traces", "--status", "queued", "--database", database, "--json").json
    assert slow["id"] in [task["id"] for task in told]


def curl(url: str, body: Any = None) -> Any:
    given = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    done = subprocess.run(["curl", "-sS", *given, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_models_and_planners_are_listed(anabranch: Any) -> None:
    models = anabranch("models", "--json").json
    assert [model["name"] for model in models if model["default"]] == [models[0]["name"]] == [DEFAULT_MODEL]
    assert f"{DEFAULT_MODEL} (default)" in anabranch("models").out
    planners = {planner["name"]: planner for planner in anabranch("planners", "--json").json}
    assert {"direct", "vote"} <= set(planners)
    assert planners["vote"]["options"]["n"]["default"] == 8
    told = anabranch("planners").out
    assert f"rule = null  (by default, the default when the run begins: now {DEFAULT_RULE})" in told
    assert "direct  Ask once." in told
    assert "    n = 8" in told


def test_help_is_there_at_once() -> None:
    """Heavy modules are imported by the commands that need them, so it costs little."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, orchestrator.cli.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"aiohttp", "sqlalchemy", "pydantic", "networkx", "asyncio", "structlog"}
    assert not heavy & set(loaded)
    assert min(_cpu_seconds("--help") for _ in range(3)) < 2.0  # a quarter of a second, where it was measured


def _cpu_seconds(*arguments: str) -> float:
    """What a command costs, which a loaded machine does not change."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shell(*arguments).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_the_embedded_engine_answers(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'real.db'}"
    done = shell(
        *("solve", "What is 17 + 25?", "--model", SMALL, "--planner", "vote", "--option", "n=3"),
        *("--seed", "1", "--option", "temperature=0", "--option", "max_tokens=200"),
        *("--database", database, "--json"),
    )
    assert done.code == 0, done.err
    assert done.json["answer"] == "42"
    assert done.json["usage"]["completion"] > 0
    again = shell("replay", done.json["trace_id"], "--database", database, "--json")
    assert again.code == 0, again.err
    assert (again.json["answer"], again.json["calls"]) == ("42", 0)
