"""A service that is killed while a client waits, and started again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from yarl import URL

from anabranch import Client, Patience, Solution
from storage.tasks import TaskStatus
from tests.orchestrator.api.programs import process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_solve_survives_that_its_service_is_killed(tmp_path: Path) -> None:
    slow = ("--answer", "word " * 60 + "\\boxed{42}", "--decode-rate", "20")
    database = ("--database", f"sqlite:///{tmp_path / 'traces.db'}")
    solutions: list[Solution] = []
    with process("workers.engines.simulator", "--port", "0", *slow) as engine:
        serve = ("orchestrator.cli", "serve", "--engine", engine, *database, "--port")
        with process(*serve, "0", ANABRANCH_LEASE_SECONDS="1") as url:
            client = Client(url=url, patience=Patience(away=300.0))
            solving = threading.Thread(
                target=lambda: solutions.append(client.solve("What is 6 * 7?", planner="direct"))
            )
            solving.start()
            while not list(client.tasks(status=TaskStatus.RUNNING)):
                pass
        with process(*serve, str(URL(url).port), ANABRANCH_LEASE_SECONDS="1"):
            solving.join(timeout=300)
            tasks = list(client.tasks())
            client.close()
    assert [solution.answer for solution in solutions] == ["42"]
    assert [task.id for task in tasks] == [solutions[0].trace_id]
