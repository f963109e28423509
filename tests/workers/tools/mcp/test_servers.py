from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.workers.tools.samples import area
from workers.errors import ToolError, ToolUnavailable
from workers.tools.declaration import tool
from workers.tools.mcp import connection, pipes, servers, web
from workers.tools.mcp.declared import Declared
from workers.tools.mcp.servers import Servers
from workers.tools.toolbox import Toolbox

HERE = Path(__file__).parent
PATIENCE = 60.0


def piped(*arguments: str, script: str = "served.py", **more: Any) -> Declared:
    return Declared(command=sys.executable, args=(str(HERE / script), *arguments), **more)


def odd(kind: str, *arguments: str, **more: Any) -> Declared:
    return piped(kind, *arguments, script="odd.py", **more)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a server soon that does not end by itself, as those do not that are in the middle of a call."""
    monkeypatch.setattr(pipes, "ENDING_SECONDS", 0.4)
    for module in (pipes, web):
        monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)


@asynccontextmanager
async def running(own: Toolbox | None = None, **declared: Declared) -> AsyncIterator[list[Toolbox]]:
    """The toolboxes that the servers offer, one after the other."""
    offered: list[Toolbox] = []
    made = Servers(declared, own or Toolbox(), offered.append)
    try:
        await made.start()
        yield offered
    finally:
        await made.stop()


@pytest.fixture
def http_server() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A URL, and the processes that serve it, of which the last one runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun: list[subprocess.Popen[bytes]] = []
    serve(begun, port)
    try:
        yield f"http://127.0.0.1:{port}/mcp", begun
    finally:
        for process in begun:
            process.kill()
            process.wait()


def serve(begun: list[subprocess.Popen[bytes]], port: int) -> None:
    begun.append(subprocess.Popen([sys.executable, str(HERE / "served.py"), "http", str(port)]))
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


async def check_tools(box: Toolbox, tmp_path: Path) -> None:
    """What holds over either way to speak with a server."""
    assert await box["add"].invoke({"a": 1, "b": "2"}) == 3
    assert await box["add"].invoke([5]) == 6  # what is left out is the server's to fill in
    assert await box["weather"].invoke(["Rome"]) == {"city": "Rome", "temperature": "3 °C"}
    assert await box["text"].invoke([]) == "snow"
    assert await box["log_line"].invoke({"line": "a", "file": str(tmp_path / "log")}) is None
    assert (tmp_path / "log").read_text() == "a\n"
    assert await box["store"].invoke(["v"], key="k") == "v"
    many = await asyncio.gather(*(box["add"].invoke([n, 1]) for n in range(20)))
    assert many == list(range(1, 21))
    for wrong, told in {
        "weather": "argument 'unit' was given 'K', but input should be 'C' or 'F'",
        "fail": "fail failed: .*",
        "picture": r"picture returned image \(image/png\): only text and JSON can be passed on",
    }.items():
        with pytest.raises(ToolError, match=told):
            await box[wrong].invoke({"city": "Rome", "unit": "K"} if wrong == "weather" else {})
    with pytest.raises(ToolError, match="there is no argument 'c', only a, b"):
        await box["add"].invoke({"a": 1, "c": 2})
    cut = await box["big"].invoke([10_000], most=1_000)
    assert isinstance(cut, str)
    assert len(cut) < 1_000
    with pytest.raises(ToolError, match=r"is not there|did not answer|says"):  # more than a message may have
        await box["big"].invoke([1_100_000])
    assert await box["add"].invoke([1]) == 2


async def test_the_tools_of_a_process(tmp_path: Path) -> None:
    async with running(test=piped()) as offered:
        box = offered[0]
        assert box["add"].schema["properties"]["b"]["description"] == "the second"
        assert box["add"].parameters == ("a", "b")
        assert len(box["hostile"].description) == servers.LONGEST_DESCRIPTION
        effects = {name: (each.side_effects, each.takes_key, each.retries) for name, each in box.items()}
        assert effects["add"] == (False, False, 1)
        assert effects["log_line"] == (True, False, 0)
        assert effects["store"] == (True, True, 1)
        seen: Any = await box["environment"].invoke([])
        assert "PATH" in seen
        assert not {name for name in seen if name.startswith(("ANABRANCH", "PYTEST"))}
        await check_tools(box, tmp_path)


async def test_the_tools_of_a_server_over_http(
    tmp_path: Path, http_server: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    url, begun = http_server
    async with running(test=Declared(url=url, headers={"Authorization": "Bearer x"})) as offered:
        box = offered[0]
        await check_tools(box, tmp_path)
        begun[-1].kill()
        begun[-1].wait()
        with pytest.raises(ToolUnavailable, match="the MCP server test is not there"):
            await box["add"].invoke([1])
        await asyncio.to_thread(serve, begun, int(url.split(":")[2].partition("/")[0]))
        assert await until_there(box) == 2  # once it is back, so are its tools


async def until_there(box: Toolbox) -> object:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await box["add"].invoke([1])
            except ToolUnavailable:
                await asyncio.sleep(0.2)


async def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    async with running(test=odd("dying once", str(tmp_path / "log"))) as offered:
        look = offered[0]["look"]
        # It dies in the call, which is tried again, as the tool only reads.
        pids = [await look.invoke([]), await look.invoke([])]
        assert pids[0] == pids[1]
        assert (tmp_path / "log").read_text() == "called\n"
        os.kill(int(str(pids[0])), 9)
        while True:  # it may take a moment until it is seen to be gone
            try:
                assert await look.invoke([]) != pids[0]
                break
            except ToolUnavailable:
                pass


async def test_a_tool_with_side_effects_is_not_called_again_when_its_server_dies(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with running(test=odd("dying", str(log))) as offered:
        with pytest.raises(ToolUnavailable, match="the MCP server test is not there"):
            await offered[0]["look"].invoke([])
        assert log.read_text() == "called\n"


async def test_a_server_that_went_away_between_calls_is_started_again_for_the_next() -> None:
    async with running(test=odd("parting")) as offered:
        look = offered[0]["look"]
        assert look.side_effects
        first = int(str(await look.invoke([])))
        async with asyncio.timeout(PATIENCE):
            while is_there(first):  # noqa: ASYNC110 - it is a process
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert await look.invoke([]) != str(first)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_no_server_makes_itself_the_judge_of_answers() -> None:
    async with running(test=odd("judge")) as offered:
        assert sorted(offered[0]) == ["look", "test_entailment"]


async def test_an_argument_may_be_called_as_the_key_is() -> None:
    async with running(test=odd("keyed")) as offered:
        assert await offered[0]["look"].invoke({"idempotency_key": "k"}) == {"idempotency_key": "k"}


async def test_results_are_not_held_against_the_servers_own_patterns() -> None:
    async with running(test=odd("backtracking")) as offered:
        assert await offered[0]["look"].invoke([]) == {"x": "a" * 40 + "!"}


async def test_tools_that_change_are_offered_anew() -> None:
    async with running(test=piped()) as offered:
        assert "new" not in offered[0]
        await offered[0]["more"].invoke([])
        await offers(offered, "new")
        assert await offered[-1]["new"].invoke([]) == "new"
        assert "new" not in offered[0]  # what a run was given stays as it is
    async with running(test=odd("changing")) as offered:  # of the older protocol
        await offered[0]["look"].invoke([])
        await offers(offered, "new")
        assert "look" not in offered[-1]


async def offers(offered: list[Toolbox], name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while name not in offered[-1]:  # noqa: ASYNC110 - it is a list
            await asyncio.sleep(0.01)


async def test_names_that_clash_get_their_servers_name() -> None:
    @tool
    def add() -> str:
        """Add."""
        return "own"

    declared = {name: odd("plain", includeTools=["add", "see-it"]) for name in ("a", "b-c")}
    async with running(Toolbox([add, area]), **declared) as offered:
        box = offered[0]
        assert sorted(box) == sorted(["add", "area", "a_add", "b_c_add", "a_see_it", "b_c_see_it"])
        assert await box["add"].invoke([]) == "own"
        assert await box["a_add"].invoke([1]) != await box["b_c_add"].invoke([1])  # which are their pids


async def test_what_models_cannot_be_shown_is_left_out() -> None:
    async with running(test=odd("schemas")) as offered:
        assert sorted(offered[0]) == ["_1st", "any", "look", "odd_name_1"]
        assert offered[0]["any"].schema["properties"] == {"x": {}}
        assert await offered[0]["any"].invoke({"x": [1]})
        assert await offered[0]["odd_name_1"].invoke({"a": "x", "__class__": 1})
        assert offered[0]["look"].description == "look"
    async with running(test=odd("endless")) as offered:
        assert len(offered[0]) == connection.MOST_TOOLS


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("crash", r"Connection closed; it wrote: there is no such moon for \*\*\*"),
        ("silent", r"it took more than 0\.5 s"),
    ],
)
async def test_a_server_that_does_not_start_is_named_with_what_it_wrote(
    kind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "START_SECONDS", 0.5 if kind == "silent" else PATIENCE)
    with pytest.raises(ToolUnavailable, match=rf"the MCP server moon is not there: {told}") as failed:
        async with running(moon=odd(kind, env={"KEY": "secret-4711"})):
            pass
    assert "4711" not in str(failed.value)


async def test_a_server_that_is_still_starting_is_ended_at_once(tmp_path: Path) -> None:
    starting = asyncio.create_task(running(test=odd("silent", str(tmp_path / "pid"))).__aenter__())
    async with asyncio.timeout(PATIENCE):
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - it is a process
            await asyncio.sleep(0.02)
    begun = time.monotonic()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert time.monotonic() - begun < connection.START_SECONDS / 6
    assert not is_there(int((tmp_path / "pid").read_text()))


async def test_a_command_or_a_host_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolUnavailable, match=r"the MCP server moon is not there: .*no-such-command"):
        async with running(moon=Declared(command="no-such-command")):
            pass
    with pytest.raises(ToolUnavailable, match=r"the MCP server moon is not there: .*onnect"):
        async with running(moon=Declared(url="http://127.0.0.1:9/mcp")):
            pass


async def test_a_server_that_does_not_answer_is_started_again() -> None:
    async with running(test=odd("mute", timeout=0.3)) as offered:
        look = offered[0]["look"]
        for _ in range(connection._SILENT):
            with pytest.raises(ToolError, match=r"the MCP server test did not answer within 0\.3 s"):
                await look.invoke([])
        with pytest.raises(ToolError, match="did not answer"):  # not that it is gone
            await look.invoke([])


@pytest.mark.parametrize(
    ("kind", "told"),
    [("line", "the MCP server test is not there"), ("garbage", "the MCP server test is not there")],
)
async def test_a_server_that_writes_garbage_is_ended(kind: str, told: str) -> None:
    async with running(test=odd(kind)) as offered:
        with pytest.raises(ToolUnavailable, match=told):
            await offered[0]["look"].invoke([])


async def test_a_server_that_floods_its_standard_error_is_not_held_up() -> None:
    async with running(test=odd("stderr")) as offered:
        assert str(await offered[0]["look"].invoke([])).isdecimal()


async def test_a_server_that_does_not_end_is_killed() -> None:
    async with running(test=odd("stubborn")) as offered:
        pid = int(str(await offered[0]["look"].invoke([])))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_call_that_is_cancelled_leaves_the_connection_as_it_was() -> None:
    async with running(test=odd("slow")) as offered:
        look = offered[0]["look"]
        pid = await look.invoke([])
        call = asyncio.create_task(look.invoke([]))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await look.invoke([]) == pid
