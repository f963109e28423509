from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
import textwrap
from pathlib import Path

import aiohttp
import pytest

from workers.calls import Call, Prompt, Segment
from workers.engines.vllm.launch import Option, Place
from workers.engines.vllm.machine import free_port, visible_gpus
from workers.engines.vllm.server import VLLMServer, one_each
from workers.engines.vllm.supervision import Starting
from workers.errors import EngineUnavailable, ModelUnavailable

STUB = """
import http.server, json, os, socketserver, subprocess, sys, time
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
mode = os.environ.get("STUB_MODE", "")
print("stub says hello", flush=True)
if mode == "broken":
    print("(EngineCore pid=1) ValueError: the weights are missing", flush=True)
    for line in range(60):
        print("further line", line, flush=True)
    sys.exit(3)
if mode == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
# A child that holds the log open, as the engine core does.
child = subprocess.Popen(["sleep", "600"])
print("child", child.pid, flush=True)
for _ in range(500):
    print('INFO:     127.0.0.1:55290 - "GET /metrics HTTP/1.1" 200 OK', flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def refused(self):
        key = os.environ.get("VLLM_API_KEY")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if key and self.path.startswith("/v1") and given != key:
            self.answer(json.dumps({"error": "Unauthorized"}), 401)
            return True
    def answer(self, body, status=200):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/health":
            self.answer("", 503 if mode == "never" else 200)
        elif self.refused():
            pass
        elif self.path == "/v1/models":
            model = {"id": options["--served-model-name"], "max_model_len": 64}
            self.answer(json.dumps({"object": "list", "data": [model]}))
        else:
            self.answer("{}", 404)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.refused() or self.answer(json.dumps({"error": {"message": "not here"}}), 400)

class Local(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    def get_request(self):
        return super().get_request()[0], ("local", 0)
    def handle_error(self, *args): pass  # who asked has left

if "--uds" in options:
    assert not {"--host", "--port"} & set(options)
    Local(options["--uds"], Handler).serve_forever()
http.server.ThreadingHTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that runs the stub whatever it is told to run."""
    stub = tmp_path / "stub.py"
    stub.write_text(STUB)
    python = tmp_path / "python"
    python.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        shift 2
        [ $# -gt 0 ] || exit ${{STUB_NO_SOCKETS:-0}}
        exec {sys.executable} {stub} "$@"
        """)
    )
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    return python


# Flags have no value: the stub reads pairs.
PAIRS: dict[str, Option] = {"enable_prompt_tokens_details": None, "enforce_eager": None}


def server(
    python: Path,
    mode: str = "",
    given: dict[str, Option] | None = None,
    environment: dict[str, str] | None = None,
    **options: object,
) -> VLLMServer:
    return VLLMServer(
        "model",
        python=python,
        environment={"STUB_MODE": mode} | (environment or {}),
        options=PAIRS | (given or {}),
        kv_events=False,
        **options,  # type: ignore[arg-type]
    )


def place_of(one: VLLMServer) -> Place:
    place = one._supervision._place
    assert place is not None
    return place


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> bool:
    """Whether the process ends within a minute: a kill takes effect when the turn of the process comes."""
    for _ in range(6000):
        if not await asyncio.to_thread(alive, pid):
            return True
        await asyncio.sleep(0.01)
    return False


def child_of(one: VLLMServer) -> int:
    line = next(line for line in one.last_lines().splitlines() if line.startswith("child"))
    return int(line.split()[1])


async def healthy(one: VLLMServer) -> None:
    async with asyncio.timeout(90):
        while True:
            if (await one.health()).ok:
                return
            await asyncio.sleep(0.02)


async def started(one: VLLMServer) -> None:
    """Start it; the stub cannot complete anything, so the probe of its capabilities fails afterwards."""
    with pytest.raises(Exception, match="not here"):
        await one.capabilities()
    assert (await one.health()).ok


async def test_it_starts_and_stops_with_all_its_processes(python: Path) -> None:
    one = server(python)
    await started(one)
    pid, child = one.pid, child_of(one)
    assert pid is not None
    assert await asyncio.to_thread(alive, child)
    await one.close()
    assert one.pid is None
    assert await gone(pid)
    assert await gone(child)
    assert "stub says hello" in one.last_lines(), "not only what was asked of it all the time"
    assert not (await one.health()).ok
    with pytest.raises(EngineUnavailable, match="was closed"):
        await one.capabilities()
    await one.close()


async def test_the_log_explains_a_failed_start(python: Path) -> None:
    one = server(python, "broken")
    with pytest.raises(EngineUnavailable) as caught:
        await one.capabilities()
    assert "status 3" in str(caught.value)
    assert "ValueError: the weights are missing" in str(caught.value)
    assert "further line 59" in str(caught.value)
    assert "further line 20" not in str(caught.value)
    await one.close()


async def test_a_start_that_takes_too_long_is_given_up(python: Path) -> None:
    seen: list[Starting] = []
    one = server(python, "never", start_seconds=1.5, on_progress=seen.append)
    with pytest.raises(EngineUnavailable, match=r"did not start within 1\.5 s"):
        await one.capabilities()
    assert {each.server for each in seen} == {"vllm"}
    assert one.pid is None
    await one.close()


async def test_whoever_follows_a_start_may_fail(python: Path) -> None:
    def break_down(starting: Starting) -> None:
        raise ZeroDivisionError("a bug")

    one = server(python, "never", on_progress=break_down)
    with pytest.raises(EngineUnavailable, match="its supervision failed: ZeroDivisionError: a bug"):
        await one.capabilities()
    assert one.pid is None
    assert not (await one.health()).ok
    await one.close()


async def test_a_server_that_was_killed_comes_back(python: Path) -> None:
    one = server(python)
    await started(one)
    pid, child = one.pid, child_of(one)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    call = Call(Prompt((Segment("user", "hello"),)))
    async with asyncio.timeout(60):
        while True:
            if not (await one.health()).ok:
                break
            await asyncio.sleep(0.01)
    with pytest.raises(EngineUnavailable):
        await anext(one.generate(call))
    await healthy(one)
    assert one.pid not in (None, pid)
    assert await gone(child)
    await one.close()


async def test_a_server_that_does_not_stop_is_killed(python: Path) -> None:
    one = server(python, "deaf", stop_seconds=0.3)
    await started(one)
    pid = one.pid
    assert pid is not None
    async with asyncio.timeout(60):
        await one.close()
    assert await gone(pid)


async def test_a_draining_server_takes_no_more_calls(python: Path) -> None:
    one = server(python)
    await started(one)
    await one.drain()
    with pytest.raises(EngineUnavailable, match="being stopped"):
        await anext(one.generate(Call(Prompt((Segment("user", "hello"),)))))
    assert one.pid is not None
    await one.close()


async def test_closing_while_it_starts(python: Path) -> None:
    one = server(python, "never")
    starting = asyncio.create_task(one.capabilities())
    await asyncio.sleep(0.5)
    await one.close()
    with pytest.raises(EngineUnavailable):
        await starting
    assert one.pid is None


async def test_callers_share_one_start_and_one_may_leave(python: Path) -> None:
    one = server(python)
    first = asyncio.create_task(one.capabilities())
    second = asyncio.create_task(one.capabilities())
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(Exception, match="not here"):
        await second
    assert (await one.health()).ok
    await one.close()


async def test_a_server_needs_an_interpreter_that_exists(tmp_path: Path) -> None:
    one = VLLMServer("model", python=tmp_path / "nothing", kv_events=False)
    with pytest.raises(EngineUnavailable, match="cannot be started"):
        await one.capabilities()
    await one.close()


async def test_a_port_that_was_asked_for_is_where_the_server_is(python: Path) -> None:
    port = free_port()
    one = server(python, given={"port": port})
    await started(one)
    engine = one._supervision.engine
    assert engine is not None
    assert engine._openai.root.port == port
    await one.close()


async def status(place: Place, key: str | None) -> int:
    """What the server answers to somebody who has this key."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.UnixConnector(str(place.socket)) if place.socket else aiohttp.TCPConnector()
    url = f"http://127.0.0.1:{place.port}/v1/models"
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers=headers) as response,
    ):
        return response.status


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


async def test_it_listens_where_only_this_user_can_reach_it(python: Path) -> None:
    one = server(python)
    await started(one)
    path = place_of(one).socket
    assert path is not None
    assert await status(place_of(one), None) == 200
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await one.close()
    assert not path.parent.exists()


async def test_a_vllm_without_sockets_gets_a_port_and_a_key_that_nobody_sees(python: Path) -> None:
    one = server(python, environment={"STUB_NO_SOCKETS": "1"})
    await started(one)
    place, pid = place_of(one), one.pid
    assert place.socket is None
    assert pid is not None
    assert len(place.key) > 30
    assert await status(place, None) == 401
    assert await status(place, "guessed") == 401
    assert await status(place, place.key) == 200
    assert place.key not in await asyncio.to_thread(command_line, pid)
    os.kill(pid, signal.SIGKILL)
    await gone(pid)
    async with asyncio.timeout(90):
        while one.pid in (None, pid):  # noqa: ASYNC110 - the server is observed from outside
            await asyncio.sleep(0.02)
    await healthy(one)
    assert place_of(one).key not in ("", place.key)
    await one.close()


@pytest.mark.parametrize("name", ["port", "--port", "host"])
async def test_a_port_that_was_asked_for_has_a_key_all_the_same(python: Path, name: str) -> None:
    one = server(python, given={name: "127.0.0.1" if name == "host" else free_port()})
    await started(one)
    assert await status(place_of(one), None) == 401
    await one.close()


async def test_a_key_that_was_given_is_the_key(python: Path) -> None:
    given: dict[str, Option] = {"port": free_port(), "api-key": "the-key-that-was-given"}
    one = server(python, given=given)
    await started(one)
    pid = one.pid
    assert pid is not None
    assert await status(place_of(one), "the-key-that-was-given") == 200
    assert "the-key" not in await asyncio.to_thread(command_line, pid)
    await one.close()


async def test_a_socket_that_a_dead_server_left_is_replaced(python: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    one = server(python, given={"uds": str(path)})
    await started(one)
    assert place_of(one).socket == path
    await one.close()


async def test_where_paths_are_too_long_for_sockets_there_is_a_port_with_a_key(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.vllm.supervision._SOCKET_BYTES", 20)
    one = server(python)
    await started(one)
    assert place_of(one).socket is None
    assert await status(place_of(one), None) == 401
    assert one._supervision.endpoints() is None
    await one.close()


async def test_a_long_path_for_temporary_files_is_not_used_for_sockets(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    await asyncio.to_thread(long.mkdir)
    monkeypatch.setattr("tempfile.tempdir", str(long))
    one = server(python)
    await started(one)
    assert len(str(place_of(one).socket)) < 100
    assert await status(place_of(one), None) == 200
    await one.close()


async def test_without_a_model_the_error_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("workers.engines.vllm.launch.default_directory", lambda: tmp_path)
    one = VLLMServer(python=Path(sys.executable), kv_events=False)
    with pytest.raises(ModelUnavailable, match="no model was named"):
        await one.capabilities()
    await one.close()


def test_one_server_for_each_group_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert visible_gpus() == ("0", "1", "2", "3", "4")
    assert [one._supervision.recipe.gpus for one in one_each("m", tensor_parallel_size=2)] == [
        ("0", "1"),
        ("2", "3"),
    ]
    assert len(one_each("m")) == 5
    with pytest.raises(EngineUnavailable, match="8 GPUs"):
        one_each("m", tensor_parallel_size=8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [one._supervision.recipe.gpus for one in one_each("m")] == [()]


async def test_a_server_that_is_closed_once_more_while_it_stops_is_killed(python: Path) -> None:
    one = server(python, "deaf", stop_seconds=600.0)
    await started(one)
    pid, child = one.pid, child_of(one)
    assert pid is not None
    process = one._supervision._process
    assert process is not None
    first = asyncio.create_task(one.close())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(90):
        await asyncio.gather(first, one.close())
    assert process.returncode is not None, "its transport would be closed by whatever test comes next"
    assert await gone(pid)
    assert await gone(child)


async def test_a_restart_without_a_free_descriptor_is_tried_again(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server(python)
    await started(one)
    pid, pipe, failed = one.pid, os.pipe, asyncio.Event()
    assert pid is not None

    def no_pipe() -> tuple[int, int]:
        monkeypatch.setattr(os, "pipe", pipe)
        failed.set()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_pipe)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(90):
        await failed.wait()
    await healthy(one)
    assert one.pid not in (None, pid)
    await one.close()
