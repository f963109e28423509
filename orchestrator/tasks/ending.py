"""How a task ends, from the result of its run or from what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from orchestrator.errors import Failure
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.tasks.requests import abstain_below_of
from orchestrator.tasks.solution import Calibrated, Timings, solution_of
from storage.tasks import Task, TaskStatus

_STATUS = {
    RunOutcome.ANSWERED: TaskStatus.SUCCEEDED,
    RunOutcome.UNDECIDED: TaskStatus.SUCCEEDED,
    RunOutcome.ABSTAINED: TaskStatus.SUCCEEDED,
    RunOutcome.LIMITED: TaskStatus.SUCCEEDED,
    RunOutcome.FAILED: TaskStatus.FAILED,
    RunOutcome.CANCELLED: TaskStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What is stored at the end of a task; ``solution`` and ``error`` are JSON."""

    status: TaskStatus
    outcome: RunOutcome
    solution: dict[str, Any] | None = None
    error: dict[str, str] | None = None


def ending_of(result: Result, task: Task, *, timings: Timings, sureness: Calibrated | str) -> Ending:
    """How a task ends whose run has ended; one that reached a bound without an answer has failed.

    An answer abstains that is less likely to be right than the task asks for, or not known to be as likely,
    as one that is undecided.
    That is a judgement about the run: its journal says what it came to, and replays the same.

    Raises:
        ValidationError: the answer is not made as an answer must be.
    """
    if result.answer is not None and (why := _unsure(result, task, sureness)):
        answer = replace(result.answer, undecided=why)
        result = replace(result, outcome=RunOutcome.ABSTAINED, answer=answer)
    solution = solution_of(
        result,
        question=str(task.question.get("query", "")),
        planner=task.planner,
        trace_id=task.id,
        timings=timings,
        sureness=sureness,
    )
    return Ending(
        TaskStatus.FAILED if result.failure is not None else _STATUS[result.outcome],
        result.outcome,
        None if solution is None else solution.model_dump(mode="json"),
        None if result.failure is None else _error(result.failure),
    )


def _unsure(result: Result, task: Task, sureness: Calibrated | str) -> str:
    """Why an answer is less sure than the task asks for; empty if it is sure enough, or is none anyway."""
    below = abstain_below_of(task)
    if below is None or result.answer is None:
        return ""
    if result.outcome is RunOutcome.UNDECIDED:
        return result.answer.undecided or str(sureness)
    if result.outcome not in (RunOutcome.ANSWERED, RunOutcome.LIMITED):
        return ""
    if isinstance(sureness, str):
        return f"how often answers like this are right is not known: {sureness}"
    if sureness.probability >= below:
        return ""
    likely = f"about {100 * sureness.probability:.3g} % likely to be right, below {100 * below:g} %"
    return f"{sureness}; this one is {likely}"


def failed(failure: Failure) -> Ending:
    """The end of a task without a result."""
    return Ending(TaskStatus.FAILED, RunOutcome.FAILED, error=_error(failure))


def _error(failure: Failure) -> dict[str, str]:
    return {"code": failure.code, "message": failure.message}
