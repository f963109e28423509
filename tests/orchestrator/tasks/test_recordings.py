"""Recorded branches become traces that replay and answer what-ifs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest, Unknown
from orchestrator.runtime.change import Change
from orchestrator.tasks.recordings import import_recordings, read_recordings
from orchestrator.tasks.service import Service
from storage.opening import open_store
from workers.engines.simulator.engine import Simulator

BRANCHES = [
    [["1"], 900, "7"],
    [[], 100, "5"],
    [[], 300, "7"],
    [[], 200, "7"],
    [[], 5000, "ERR"],
    [[], 400, "7"],
]
TOKENS = [900, 100, 300, 200, 5000, 400]


def write(path: Path, problems: Any) -> Path:
    path.write_text(json.dumps(problems))
    return path


async def test_recorded_branches_arrive_by_length_and_can_be_judged_by_another_rule(tmp_path: Path) -> None:
    file = write(
        tmp_path / "r.json", [{"question": "How many?", "gold_answer": "7", "each_branch": BRANCHES}]
    )
    async with await open_store("memory") as store:
        problems = await asyncio.to_thread(read_recordings, file)
        (solution,) = await import_recordings(store, problems)
        assert solution.answer == "7"
        assert [(c.claim, c.count) for c in solution.clusters] == [("7", 4), ("5", 1)]
        assert solution.usage.completion == sum(TOKENS)
        service = Service(store, Simulator("unused"))
        await service.replay(solution.trace_id)
        stopped = await service.counterfactual(
            solution.trace_id, at="0", change=Change(rule="beta:threshold=0.8,width=6")
        )
        assert stopped.tokens == 100 + 200 + 300 + 400
        with pytest.raises(Unknown):
            await service.counterfactual(solution.trace_id, at="0", change=Change(rule="fixed:7"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a list of recorded problems"),
        ([{"question": "?"}], "each_branch: Field required"),
        ([{"question": " ", "each_branch": BRANCHES}], "question"),
        ([{"question": "?", "each_branch": []}], "at least 1"),
        ([{"question": "?", "each_branch": [[[], -1, "x"]]}], "greater than or equal to 0"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    file = tmp_path / "r.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InvalidRequest, match=message):
        read_recordings(file)
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        read_recordings(tmp_path / "missing")
