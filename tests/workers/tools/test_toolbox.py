from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.workers.tools.samples import area, wait_for
from workers.errors import ToolError
from workers.tools.declaration import tool
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox


async def test_a_toolbox_finds_and_invokes_by_name() -> None:
    box = Toolbox([area, wait_for])
    assert list(box) == ["area", "wait"]
    assert box["area"] is area
    assert len(box) == 2
    assert await box.find("area").invoke([2]) == "2 m²"
    with pytest.raises(ToolError, match=r"there is no tool 'aera', only area, wait"):
        await box.find("aera").invoke([2])
    with pytest.raises(ToolError, match="only none at all"):
        Toolbox().find("x")
    with pytest.raises(ValueError, match="two tools are named 'area'"):
        Toolbox([area, area])


async def test_a_toolbox_takes_more_tools_and_the_new_one_wins() -> None:
    @tool(name="area")
    def other() -> str:
        """Be another."""
        return "other"

    box = Toolbox([area])
    more = box.with_tools(wait_for, other)
    assert list(more) == ["area", "wait"]
    assert await more.find("area").invoke([]) == "other"
    assert box["area"] is area


async def test_a_described_toolbox_stands_for_the_tools_that_a_journal_tells_of() -> None:
    told = json.loads(json.dumps(Toolbox([area, wait_for]).describe()))
    assert [entry["name"] for entry in told] == ["area", "wait"]
    assert (told[1]["description"], told[1]["side_effects"]) == ("Wait.", True)
    told[0]["description"] = "as it was then"
    told[0]["side_effects"] = True
    box = Toolbox([area]).as_described(told)
    assert (box["area"].description, box["area"].side_effects) == ("as it was then", True)
    assert await box.find("area").invoke([2]) == "2 m²"
    assert box["wait"].schema == wait_for.schema
    for arguments in ([1], {"seconds": 1}, {}):
        with pytest.raises(ToolError, match="the tool wait is not installed in this process"):
            await box.find("wait").invoke(arguments)


def package(directory: Path, entries: str, source: str) -> None:
    """A package that is installed, as far as Python can tell."""
    (directory / "their_tools.py").write_text(source)
    info = directory / "their_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[anabranch.tools]\n{entries}\n")


def installed(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Toolbox:
    monkeypatch.syspath_prepend(directory)
    monkeypatch.delitem(sys.modules, "their_tools", raising=False)
    return Toolbox.installed()


SOURCE = '''
from workers.tools.declaration import tool

@tool
def double(x: int) -> int:
    """Double."""
    return 2 * x

plain = 7
'''


async def test_installed_packages_offer_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "double = their_tools:double", SOURCE)
    box = await asyncio.to_thread(installed, monkeypatch, tmp_path)
    assert isinstance(box["double"], Tool)
    assert await box.find("double").invoke({"x": 21}) == 42


@pytest.mark.parametrize(
    ("entries", "source", "message"),
    [
        ("plain = their_tools:plain", SOURCE, "the entry point plain of anabranch.tools is 7"),
        ("gone = their_tools:gone", SOURCE, "the tool gone cannot be imported: AttributeError"),
        ("double = their_tools:double", "import no_such_module", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: str, source: str, message: str
) -> None:
    package(tmp_path, entries, source)
    with pytest.raises(ToolError, match=message):
        installed(monkeypatch, tmp_path)


def test_description_tells_of_a_key_only_where_there_is_one() -> None:
    """Journals that were written before there were keys compare equal."""

    @tool(side_effects=True)
    def pay(idempotency_key: str) -> None:
        """Pay."""

    described = Toolbox([area, pay]).describe()
    assert [entry.get("takes_key") for entry in described] == [None, True]
    assert "takes_key" not in described[0]
    assert Toolbox().as_described(described)["pay"].takes_key


def test_examples_are_described_and_limits_are_those_of_this_process() -> None:
    @tool(concurrency=2, rate="5/second", exclusive="door", retries=1, examples=["look()"])
    def look() -> None:
        """Look."""

    plain, described = Toolbox([area, look]).describe()
    assert set(plain) == {"name", "description", "schema", "side_effects"}
    assert set(described) == {*plain, "examples"}
    assert described["examples"] == ["look()"]
    box = Toolbox([look]).as_described([{**described, "examples": ["look()  "]}])
    assert (box["look"].limits, box["look"].examples) == (look.limits, ("look()  ",))
    assert Toolbox().as_described([described]).describe() == [described]
