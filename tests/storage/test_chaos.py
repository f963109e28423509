"""The random scenarios of the service on a real server, at its own pace."""

from __future__ import annotations

import asyncio

import pytest

from tests.orchestrator.tasks.chaos import Scenario, drop_what_crashed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.timeout(600),
    # A process that crashes closes none of its connections.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_tasks_end_once_and_replay(seed: int, new_database_url: str) -> None:
    with asyncio.Runner() as runner:
        runner.run(Scenario(seed, new_database_url, scale=0.1).run())
    drop_what_crashed()
