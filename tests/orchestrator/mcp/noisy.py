"""``anabranch mcp`` with a planner that writes to standard output in every way there is, and reads input."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import AbstractAsyncContextManager
from typing import Any

from orchestrator.cli import app, solving
from orchestrator.opening import opened_service
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.settings import Settings
from orchestrator.tasks.service import Service
from tests.orchestrator.api.conftest import PLANNERS
from tests.orchestrator.mcp.conftest import ANSWERS
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox


@planner("noisy")
async def noisy(run: Run, question: Question) -> Answer:
    """Say it loud."""
    print("by print")
    sys.stdout.flush()
    os.write(1, b"by a file descriptor\n")
    subprocess.run(["echo", "by a process"], check=True)  # noqa: ASYNC221 - on purpose
    warnings.warn("by a warning", stacklevel=1)
    return Answer(f"read {sys.stdin.read()!r}")


def opened(settings: Settings, toolbox: Toolbox, on_progress: Any) -> AbstractAsyncContextManager[Service]:
    """A service with the planner of this module."""
    planners = {**PLANNERS, "noisy": noisy}
    return opened_service(settings, toolbox, engine=Simulator(ANSWERS), planners=planners)


solving.opened = opened  # type: ignore[assignment]
sys.argv[0] = "anabranch"
app.main()
