"""All votes are held over the same branches, and synthesis is beside the majority at the same calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import synthesis
from orchestrator.voting.synthesis import CHOOSE
from workers.calls import Call
from workers.engines.simulator.engine import Simulator

LINES = (
    {"question": "Ann has 3 bags of 4 pens. How many pens has she?", "answer": "3 * 4 = 12\n#### 12"},
    {"question": "Tom is 5 years older than Bob, who is 4. How old is Tom?", "answer": "#### 9"},
)


def speaker(*branches: str, chosen: str) -> Simulator:
    """Says these to the branches of each question, and chooses one where it is asked to."""
    said: dict[str, list[str]] = {}

    def say(call: Call, _: Random) -> str:
        told = "".join(segment.text for segment in call.prompt.segments)
        if CHOOSE in told:
            return rf"\boxed{{{chosen}}}"
        return rf"So \boxed{{{said.setdefault(told, list(branches)).pop(0)}}}"

    return Simulator(say)


def run(tmp_path: Path, engine: Simulator, *more: str) -> tuple[int, list[dict[str, Any]]]:
    file, out = tmp_path / "test.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in LINES))
    options = ["--gsm8k", str(file), "--sets", "gsm8k", "--out", str(out), *more]
    code = synthesis.main(options, engine=engine)
    return code, [json.loads(line) for line in out.read_text().splitlines()]


def test_the_votes_share_their_branches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = speaker("9", "7", "8", "7", "8", chosen="9")
    code, runs = run(tmp_path, engine)
    assert code == 0
    assert engine.counters().started == 2 * (5 + 1)
    for each in runs:
        assert sorted(each["counts"]) == [1, 1, 2]
        assert (each["asked"], each["kept"]) == (True, False)
        assert each["answers"]["synthesis"] == "9"
    assert "in 2 of 2; it changed the answer in 2: 1 became right, 0 wrong." in capsys.readouterr().out
    assert run(tmp_path, speaker(chosen="9"))[0] == 0  # all of it is stored


def test_no_model_is_asked_where_one_answer_has_a_majority(tmp_path: Path) -> None:
    engine = speaker("9", "9", "9", "7", "8", chosen="7")
    code, runs = run(tmp_path, engine, "--json")
    assert engine.counters().started == 2 * 5
    assert [each["asked"] for each in runs] == [False, False]
    assert code == 0


@pytest.mark.parametrize(("ours", "passes"), [([True] * 9, True), ([True, False] * 9, False)])
def test_synthesis_fails_where_it_is_clearly_worse(ours: Sequence[bool], passes: bool) -> None:
    runs = [{"right": {"majority": True, "majority of one more": True, "synthesis": each}} for each in ours]
    assert all(each.passed is passes for each in synthesis.checks(runs))
