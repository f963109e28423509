"""The tools of a process: installed, named by the settings, given by the caller."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from anabranch import Answer, Client, Question, Run, planner
from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.settings import Settings
from orchestrator.toolbox import build_toolbox, with_servers
from tests.workers.tools.nli_export import export
from tests.workers.tools.samples import area
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool
from workers.tools.toolbox import Toolbox


async def test_the_entailment_model_of_the_settings_is_a_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANABRANCH_NLI", str(export(tmp_path)))
    toolbox = await asyncio.to_thread(lambda: build_toolbox(Settings()))
    assert await toolbox.find("entailment").invoke(["a small dog", "a dog"]) == "entailment"


def test_a_tool_of_the_caller_wins() -> None:
    @tool
    def calculator(expression: str) -> str:
        """Say nothing but zero."""
        return "0"

    assert build_toolbox(Settings(), [calculator])["calculator"] is calculator
    assert "entailment" not in build_toolbox(Settings())


def test_a_model_that_is_nowhere_is_told_at_the_start() -> None:
    with pytest.raises(Unavailable, match="no entailment model is at '/nowhere'") as failure:
        build_toolbox(Settings(nli="/nowhere"))
    assert failure.value.code == "model_unavailable"


def test_http_tools_of_the_settings_are_tools() -> None:
    declared = '[{"name": "look", "url": "https://example.org/", "description": "Look."}]'
    assert build_toolbox(Settings(http_tools=declared))["look"].description == "Look."
    for wrong, told in {"[{}]": "0.name", "[": "not JSON", "/nowhere.json": "cannot be read"}.items():
        with pytest.raises(InvalidRequest, match=f"^ANABRANCH_HTTP_TOOLS: .*{told}"):
            build_toolbox(Settings(http_tools=wrong))


def servers(*arguments: str) -> Settings:
    script = Path(__file__).parents[1] / "workers/tools/mcp/odd.py"
    declared = {"command": sys.executable, "args": [str(script), *arguments]}
    return Settings(mcp_servers=json.dumps({"mcpServers": {"odd": declared}}))


async def test_the_tools_of_mcp_servers_are_offered_beside_the_own() -> None:
    pytest.importorskip("mcp")
    offered: list[Toolbox] = []
    own = Toolbox([area])
    async with with_servers(servers("plain"), own, offered.append):
        assert list(offered[0]) == ["area", "look", "add", "see_it"]
        pid = int(str(await offered[0]["look"].invoke([])))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    async with with_servers(Settings(), own, offered.append):
        assert len(offered) == 1


async def test_servers_that_cannot_be_had_are_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, told in {"{}": "mcpServers", "/nowhere.json": "cannot be read"}.items():
        with pytest.raises(InvalidRequest, match=f"^ANABRANCH_MCP_SERVERS: .*{told}"):
            async with with_servers(Settings(mcp_servers=given), Toolbox(), print):
                pass
    with pytest.raises(Unavailable, match=r"the MCP server odd is not there: .*no such moon") as failure:
        async with with_servers(servers("crash"), Toolbox(), print):
            pass
    assert failure.value.code == "tool_unavailable"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"need the extra 'mcp': pip install 'anabranch\[mcp\]'"):
        async with with_servers(servers("plain"), Toolbox(), print):
            pass


def test_a_run_calls_the_tools_of_an_mcp_server_and_replays_without_it(tmp_path: Path) -> None:
    pytest.importorskip("mcp")

    @planner("looking")
    async def looking(run: Run, question: Question) -> Answer:
        """Look."""
        return Answer(str(await run.tool("look", {})))

    log = tmp_path / "log"
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    declared = servers("dying once", str(log)).mcp_servers
    with Client(engine=Simulator("x"), database=url, planners=[looking], mcp_servers=declared) as client:
        solution = client.solve("Which?", planner="looking")
        assert str(solution.answer).isdecimal()
    with Client(engine=Simulator("x"), database=url, planners=[looking]) as client:
        assert client.replay(solution.trace_id).events > 0
