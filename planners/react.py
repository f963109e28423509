"""A sequential tool agent (a stand-in until the planner is there)."""

from __future__ import annotations

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from planners.direct import direct


@planner("react")
async def react(run: Run, question: Question) -> Answer:
    """Ask plainly."""
    return await direct(run, question)
