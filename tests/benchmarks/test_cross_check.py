"""Estimators that differ are named, and the real peers agree with ours where they are installed."""

from __future__ import annotations

import random
from pathlib import Path

import platformdirs
import pytest

from benchmarks import cross_check


def test_a_difference_fails_the_check_of_its_estimator_alone() -> None:
    mine = [cross_check.ours(cross_check.case(random.Random(seed))) for seed in range(3)]
    same = [{name: value or 0.0 for name, value in each.items()} for each in mine]
    assert all(check.passed for check in cross_check.compare(mine, same))
    same[1]["kernel"] += 1e-8
    mine[2]["chao1"] = None
    failed = [check.name for check in cross_check.compare(mine, same) if not check.passed]
    assert failed == ["chao1", "kernel"]


@pytest.mark.slow
def test_the_peers_agree(capsys: pytest.CaptureFixture[str]) -> None:
    installed = Path(platformdirs.user_cache_dir("anabranch")) / "peers" / "entropy" / "installed"
    if not installed.exists() or installed.read_text() != " ".join(cross_check.PEERS):
        pytest.skip("the peers are not installed; python -m benchmarks.cross_check does it")
    assert cross_check.main(["--cases", "50", "--seed", "2"]) == 0
    assert capsys.readouterr().out.count("ok  ") == 8
