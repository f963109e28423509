"""The rounds of a cascade, replayed over made-up branches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import rounds
from benchmarks.replay import Problem

AGREEING = Problem("sure", 0, (0,) * 8, (10,) * 8, ((),) * 8, 500)
TORN = Problem("torn", 0, (0, 1) * 4, (10, 20) * 4, ((),) * 8, 500)
ALONE = Problem("alone", 0, tuple(range(8)), (10,) * 8, ((),) * 8, 500)


def test_a_round_passes_if_its_branches_agree() -> None:
    (sure,) = rounds.rounds([AGREEING], "fixed", 8, 0.3, 1)
    assert (sure.unsure, sure.passes, sure.split, sure.right, sure.total) == (False, True, False, True, 80)
    torn, alone = rounds.rounds([TORN, ALONE], "fixed", 8, 0.3, 1)
    assert (torn.unsure, torn.passes, torn.split, torn.sequential) == (True, False, True, 20)
    assert (alone.unsure, alone.passes, alone.split) == (True, False, True)


def test_a_rule_that_stops_on_agreement_lets_more_pass() -> None:
    def passing(rule: str) -> int:
        return sum(each.passes for each in rounds.rounds([TORN], rule, 8, 0.3, 50))

    assert passing("fixed") == 0 < passing("beta:0.7")


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branches: list[list[object]] = [[[], 10, answer] for answer in ("7", "7", "8", "7", "7")]
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps([{"gold_answer": "7", "probe_freq": 500, "each_branch": branches}]))
    rounds.main(["--traces", str(path), "--widths", "5", "--times", "1"])
    header, fixed, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["n", "rule", "unsure"]
    assert fixed.split() == ["5", "fixed", "-", "0.0", "-", "100.0", "0.0", "-", "0.0", "0.1"]
