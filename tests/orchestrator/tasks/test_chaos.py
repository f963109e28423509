"""Random requests, crashes and slow databases on virtual time: tasks end, once, and replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrator.tasks.chaos import Clock


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_tasks_end_once_and_replay(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch).run(seed, f"sqlite:///{tmp_path / 'chaos.db'}")
