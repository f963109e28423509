"""Stored runs looked at again: traces, replays, forks and what-ifs, as part of a service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from orchestrator.access.caller import Caller
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import translated
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.change import Change
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate, estimate
from orchestrator.tasks.hindsight.asking import Hindsight
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.solution import Solution, solution_of_task
from storage.store import Store
from storage.tasks import NewTask, Task
from storage.trace import Trace

T = TypeVar("T")


class Lookback(ABC):
    """The part of a service that is about runs which are stored."""

    def __init__(self, store: Store, find: FindPlanner, *, stuck_seconds: float) -> None:
        self.store = store
        self._find = find
        self._hindsight = Hindsight(store, find, stuck_seconds=stuck_seconds)

    @abstractmethod
    async def accept(self, new: NewTask, caller: Caller | None = None) -> Task:
        """Store a new task, for whoever has room to run it."""

    @abstractmethod
    async def run_new(self, new: NewTask, *, keep: bool = False) -> tuple[Task, bool]:
        """Run a new task here and now; returns the ended task, and whether it is the new one."""

    async def replay(self, task_id: str) -> Replayed:
        """Repeat a run over its journal, with no engine, and compare every event.

        Raises:
            Divergence: the run did something other than what was recorded.
            Conflict: the task has no complete run.
            UnknownPlanner, UnsupportedTrace: the run cannot be repeated by this version of the program.
            PlannerStuck: its planner went on and on without waiting for anything.
            TraceTooLarge: the journal is too large.
            TaskNotFound: there is no task with that id.
        """
        return await self._hindsight.replay(task_id)

    async def fork(self, task_id: str, *, at: str, change: Change) -> Solution:
        """Run a task again, here and now, with ``change`` at node ``at``; the rest is reused.

        The fork is a task of its own, with its own trace.

        Raises:
            InvalidRequest: there is no such node, or it cannot be changed that way.
            TaskNotFound: there is no task with that id.
            TaskFailed, Unavailable: as for ``solve``.
        """
        task, _ = await self.run_new(await self._forked(task_id, at, change, None))
        return solution_of(task)

    async def submit_fork(
        self,
        task_id: str,
        *,
        at: str,
        change: Change,
        key: str | None = None,
        caller: Caller | None = None,
        trace_parent: str | None = None,
    ) -> Task:
        """Accept a fork, for whoever has room to run it; ``key`` is its idempotency key.

        ``trace_parent`` is as for ``submit``.

        Raises:
            InvalidRequest, TaskNotFound: as for :meth:`fork`.
            TooManyTasks, QuotaExhausted: the key of the caller, or the tenant, has no room for it.
            Unavailable: the database cannot store it, or the key belongs to another request.
        """
        new = replace(await self._forked(task_id, at, change, key), trace_parent=trace_parent)
        return await self.accept(new, caller)

    async def _forked(self, task_id: str, at: str, change: Change, key: str | None) -> NewTask:
        with translated():
            parent = await self.store.get(task_id)
        await self._hindsight.check_change(task_id, at, change)
        return NewTask(
            question=parent.question,
            planner=parent.planner,
            options={"change": change.model_dump(mode="json", exclude_unset=True)},
            seed=parent.seed,
            tenant=parent.tenant,
            idempotency_key=key,
            parent_id=parent.id,
            fork_at=at,
        )

    async def counterfactual(self, task_id: str, *, at: str, change: Change) -> Counterfactual:
        """How the run would have gone with ``change`` at node ``at``, from its trace alone.

        Raises:
            Unknown: that would need tokens that were never generated.
            InvalidRequest: there is no such node, or it cannot be changed that way.
            Conflict: the task has no complete run.
            PlannerStuck, TraceTooLarge, TaskNotFound: as for :meth:`replay`.
        """
        return await self._hindsight.counterfactual(task_id, at, change)

    async def difference(self, before: str, after: str) -> TraceDifference:
        """How the runs of two tasks differ, such as those of a fork and its parent.

        Raises:
            TaskNotFound: one of the tasks does not exist.
            TraceTooLarge: one of the journals is too large.
        """
        return await self.shown_difference(before, after, lambda found: found)

    async def shown_difference(self, before: str, after: str, show: Callable[[TraceDifference], T]) -> T:
        """What ``show`` makes of the difference, beside the event loop. Raises like :meth:`difference`."""
        return await self._hindsight.difference(before, after, show)

    async def estimate(
        self, basis: Basis, *, rule: str = DEFAULT_RULE, widths: Sequence[int] = WIDTHS
    ) -> Estimate:
        """See :func:`~orchestrator.tasks.estimating.estimate`."""
        return await estimate(self.store, self._find, basis, rule=rule, widths=widths)

    async def trace(self, task_id: str) -> Trace:
        """The stored steps of a task, as a tree.

        Raises:
            TaskNotFound: there is no task with that id.
            TraceTooLarge: the journal is too large.
        """
        return await self.shown_trace(task_id, lambda trace: trace)

    async def shown_trace(self, task_id: str, show: Callable[[Trace], T]) -> T:
        """What ``show`` makes of the trace of a task, beside the event loop. Raises like :meth:`trace`."""
        return await self._hindsight.trace(task_id, show)


def solution_of(task: Task) -> Solution:
    """The solution of a task that has ended.

    Raises:
        TaskFailed: it ended without one.
        Conflict: it has not ended.
    """
    with translated():
        return solution_of_task(task)
