"""What answers questions and keeps runs, as front doors see it: a service of this process or elsewhere."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.planning.planner import Planner
from orchestrator.runtime.change import Change
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.solution import Solution
from storage.archive import LIMITS, Limits
from storage.events import Event
from storage.tasks import Task, TaskStatus
from storage.trace import Trace


class TaskFilter(TypedDict, total=False):
    """Which tasks a list has; all that is given must hold. Times are in seconds since the epoch.

    ``created_from``, ``entropy_from`` and ``entropy_to`` belong to their ranges, ``created_before`` does not.
    ``text`` is what the question has somewhere in its first 4,000 characters, in any case.
    """

    status: TaskStatus | None
    planner: str | None
    tenant: str | None
    created_from: float | None
    created_before: float | None
    text: str | None
    entropy_from: float | None
    entropy_to: float | None


class Runs(ABC):
    """Stored runs: looked at, kept and moved. Every method may raise Unavailable, and where it takes the id
    of a task, TaskNotFound.
    """

    @abstractmethod
    async def task(self, task_id: str) -> Task:
        """The task as it stands."""

    @abstractmethod
    def tasks(self, *, limit: int | None = None, **wanted: Unpack[TaskFilter]) -> AsyncGenerator[Task, None]:
        """The tasks that are wanted, newest first, at most ``limit``; they are read page by page."""

    @abstractmethod
    async def trace(self, task_id: str) -> Trace:
        """The stored steps of a run, as a tree."""

    @abstractmethod
    async def replay(self, task_id: str) -> Replayed:
        """Repeat a run with no engine at all, and compare every event.

        Raises:
            Divergence: the run did something other than what was recorded.
            Conflict: the task has no complete run.
        """

    @abstractmethod
    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        """How the run would have gone with ``change`` at node ``at``, from its trace alone.

        Raises:
            Unknown: that would need tokens that were never generated.
            InvalidRequest: there is no such node, or it cannot be changed that way.
            Conflict: the task has no complete run.
        """

    @abstractmethod
    async def difference(self, before: str, after: str) -> TraceDifference:
        """How the runs of two tasks differ."""

    @abstractmethod
    def export(self, task_id: str) -> AsyncGenerator[str, None]:
        """The trace of a task that has ended as the lines of a file, each with its newline."""

    @abstractmethod
    async def import_(self, file: Path, *, tenant: str | None = None, limits: Limits = LIMITS) -> Task:
        """Store a trace that was exported, under its id; for the ``tenant``, if one is given.

        Raises:
            Unavailable: it is no trace, exceeds the limits, or its task is stored already.
            OSError: the file cannot be read.
        """

    @abstractmethod
    async def requeue(self, task_id: str) -> Task:
        """Put a dead task back into the queue; it goes on where its journal ends."""

    @abstractmethod
    async def delete(self, task_id: str) -> None:
        """Remove a task that has ended, with its journal."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A task that was begun, and what it yields: its events, and last its solution.

    Leaving ``items`` early cancels the task.
    """

    task: Task
    items: AsyncGenerator[Event | Progress | Solution, None]


class Solver(Runs):
    """Answers questions. What a request asks for may be refused as InvalidRequest, for want of room as
    Unavailable or as one of the errors of :mod:`orchestrator.access.refusals`.
    """

    @abstractmethod
    async def solve(self, request: TaskRequest) -> Solution:
        """Answer a question. Being cancelled cancels the task.

        Raises:
            TaskFailed: there is no answer.
        """

    @abstractmethod
    def stream(self, request: TaskRequest) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a solve as they happen, and finally its solution. Leaving early cancels the task."""

    @abstractmethod
    async def start(self, request: TaskRequest) -> Begun:
        """Begin to answer a question, and say under which id."""

    @abstractmethod
    async def submit(self, request: TaskRequest) -> Task:
        """Have a question answered without waiting for it."""

    @abstractmethod
    async def result(self, task_id: str) -> Solution:
        """The solution of a task, once it has ended. Raises TaskFailed if it ended without one."""

    @abstractmethod
    def follow(self, task_id: str, *, after: int = -1) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a task after number ``after``, and its solution; leaving does nothing to the task."""

    @abstractmethod
    async def cancel(self, task_id: str) -> Task:
        """Cancel a task; one that has ended stays as it is."""

    @abstractmethod
    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        """Run a stored task again with ``change`` at node ``at``, and wait for the answer.

        Raises:
            InvalidRequest: there is no such node, or it cannot be changed that way.
            TaskFailed: there is no answer.
        """

    @abstractmethod
    async def estimate(
        self, basis: Basis, *, rule: str = DEFAULT_RULE, widths: Sequence[int] = WIDTHS
    ) -> Estimate:
        """What votes of several widths would take, from stored runs.

        Raises:
            InvalidRequest: too few branches are stored, or the rule cannot be predicted.
        """

    @abstractmethod
    def add_planner(self, planner: Planner) -> None:
        """Know a planner by its name from now on.

        Raises:
            InvalidRequest: planners cannot be given to this solver.
        """

    @abstractmethod
    async def leave(self, callers: Collection[asyncio.Task[object]]) -> None:
        """Let the tasks of these callers end, who wait for something here: it is about to be closed."""
