"""The tools of a process: installed, named by the settings, given by the caller."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestrator.errors import Unavailable
from orchestrator.settings import Settings
from orchestrator.toolbox import build_toolbox
from tests.workers.tools.nli_export import export
from workers.tools.declaration import tool


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
