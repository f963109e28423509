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


def test_a_search_ends_with_the_round_that_agrees() -> None:
    (sure,) = rounds.searches([AGREEING], "seat:0.3,rounds=2", 4, 1)
    assert (sure.rounds, sure.right, sure.pooled, sure.total, sure.sequential) == (1, True, True, 40, 10)
    assert (sure.at_once, sure.at_once_total, sure.at_once_sequential) == (True, 80, 10)


def test_a_search_that_never_agrees_recalls_the_most_certain_round() -> None:
    """Of eight answers that are right in seven, one round has a wrong one: the other is recalled."""
    nearly = Problem("nearly", 0, (1, *[0] * 7), (10,) * 8, ((),) * 8, 500)
    for each in rounds.searches([nearly, ALONE], "seat_secretary:rounds=2", 4, 20):
        assert each.rounds == 2
        assert each.total == each.at_once_total == 80
    assert all(each.right for each in rounds.searches([nearly], "seat_secretary:rounds=2", 4, 20))


def test_rounds_of_branches_that_saw_nothing_may_turn_against_each_other() -> None:
    """Three of the first four branches say what is right, and all of the second four what is wrong."""
    turning = Problem("turning", 0, (0,) * 3 + (1,) * 5, (10,) * 8, ((),) * 8, 500)
    collapsed = [each for each in rounds.searches([turning], "seat:0.1,rounds=2", 4, 200) if each.collapsed]
    assert collapsed
    assert all(each.right and not each.pooled and each.rounds == 2 for each in collapsed)


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branches: list[list[object]] = [[[], 10, answer] for answer in ("7", "7", "8", "7", "7")]
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps([{"gold_answer": "7", "probe_freq": 500, "each_branch": branches}]))
    rounds.main(["--traces", str(path), "--widths", "5", "--times", "1", "--between", "seat:0.3,rounds=1"])
    header, fixed, *_, search = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["n", "rule", "unsure"]
    assert fixed.split() == ["5", "fixed", "-", "0.0", "-", "100.0", "0.0", "-", "0.0", "0.1"]
    assert search.split()[:6] == ["5", "seat:0.3,rounds=1", "1.00", "0.0", "100.0", "100.0"]
