"""The client of an async program: it lives in the event loop of whoever awaits it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from orchestrator.client.core import Core, Items
from orchestrator.client.files import export_to
from orchestrator.client.plan import ClientOptions, Plan, SolveOptions, check_options, request_to
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.runtime.change import Change, parse_change
from orchestrator.solver import Solver, TaskFilter
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.solution import Solution
from storage.events import Event
from storage.tasks import Task
from storage.trace import Trace

T = TypeVar("T")


class AsyncClient:
    """Like :class:`~orchestrator.client.blocking.Client`, with methods to be awaited.

    It takes the same arguments, and has the same methods with the same errors. All of them are called in one
    event loop, in which an engine of this process runs too. It must be closed, which ``async with`` does. The
    settings are read at the first call, which raises InvalidRequest if one of them is wrong, or if what is
    given does not go together.
    """

    def __init__(self, **given: Unpack[ClientOptions]) -> None:
        check_options(given)
        self._core = Core(lambda: Plan.of(given))

    # -- asking -----------------------------------------------------------------------------------

    async def solve(self, query: str, **options: Unpack[SolveOptions]) -> Solution:
        """Answer a question; see :meth:`Client.solve`. Cancelling it cancels the task."""

        async def solve(solver: Solver) -> Solution:
            return await solver.solve(request_to(solver, query, options))

        return await self._core.asked(solve)

    def stream(
        self, query: str, **options: Unpack[SolveOptions]
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a solve as they happen, and finally its solution. Leaving early cancels the task."""

        async def begun(solver: Solver) -> AsyncGenerator[Event | Progress | Solution, None]:
            return solver.stream(request_to(solver, query, options))

        return self._yielded(begun)

    async def submit(self, query: str, **options: Unpack[SolveOptions]) -> str:
        """Have a question answered without waiting for it; see :meth:`Client.submit`."""

        async def submit(solver: Solver) -> Task:
            return await solver.submit(request_to(solver, query, options))

        return (await self._core.asked(submit)).id

    async def result(self, task_id: str) -> Solution:
        """The solution of a task, once it has ended; see :meth:`Client.result`."""
        return await self._core.asked(lambda solver: solver.result(task_id))

    def follow(self, task_id: str, *, after: int = -1) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a task after number ``after``, and its solution; leaving does nothing to the task."""

        async def begun(solver: Solver) -> AsyncGenerator[Event | Progress | Solution, None]:
            return solver.follow(task_id, after=after)

        return self._yielded(begun)

    # -- tasks ------------------------------------------------------------------------------------

    async def task(self, task_id: str) -> Task:
        """A task as it stands; see :meth:`Client.task`."""
        return await self._core.asked(lambda solver: solver.task(task_id))

    def tasks(self, *, limit: int | None = None, **wanted: Unpack[TaskFilter]) -> AsyncGenerator[Task, None]:
        """The tasks that are wanted, newest first, at most ``limit``; they are read page by page."""

        async def begun(solver: Solver) -> AsyncGenerator[Task, None]:
            return solver.tasks(limit=limit, **wanted)

        return self._yielded(begun)

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task; see :meth:`Client.cancel`."""
        return await self._core.asked(lambda solver: solver.cancel(task_id))

    async def requeue(self, task_id: str) -> Task:
        """Put a dead task back into the queue; see :meth:`Client.requeue`."""
        return await self._core.asked(lambda solver: solver.requeue(task_id))

    async def delete(self, task_id: str) -> None:
        """Remove a task that has ended; see :meth:`Client.delete`."""
        await self._core.asked(lambda solver: solver.delete(task_id))

    async def export(self, task_id: str, to: Path | str) -> None:
        """Write the trace of a task that has ended to a file; see :meth:`Client.export`."""
        await self._core.asked(lambda solver: export_to(Path(to), solver.export(task_id)))

    async def import_(self, file: Path | str, *, tenant: str | None = None) -> Task:
        """Store a trace that was exported; see :meth:`Client.import_`."""
        return await self._core.asked(lambda solver: solver.import_(Path(file), tenant=tenant))

    # -- looking back -----------------------------------------------------------------------------

    async def replay(self, trace_id: str) -> Replayed:
        """Repeat a stored run with no engine at all; see :meth:`Client.replay`."""
        return await self._core.asked(lambda solver: solver.replay(trace_id))

    async def fork(self, trace_id: str, *, at: str, change: Change | Mapping[str, Any]) -> Solution:
        """Run a stored task again with ``change`` at node ``at``; see :meth:`Client.fork`."""
        changed = parse_change(change)
        return await self._core.asked(lambda solver: solver.fork(trace_id, at=at, change=changed))

    async def counterfactual(
        self, trace_id: str, *, at: str, change: Change | Mapping[str, Any]
    ) -> Counterfactual:
        """How the run would have gone with ``change``; see :meth:`Client.counterfactual`."""
        changed = parse_change(change)
        return await self._core.asked(lambda solver: solver.counterfactual(trace_id, at=at, change=changed))

    async def difference(self, before: str, after: str) -> TraceDifference:
        """How two stored runs differ; see :meth:`Client.difference`."""
        return await self._core.asked(lambda solver: solver.difference(before, after))

    async def trace(self, trace_id: str) -> Trace:
        """The stored steps of a run; see :meth:`Client.trace`."""
        return await self._core.asked(lambda solver: solver.trace(trace_id))

    async def estimate(
        self,
        *,
        planner: str = "vote",
        model: str | None = None,
        tenant: str | None = None,
        options: Mapping[str, Any] | None = None,
        rule: str = DEFAULT_RULE,
        widths: Sequence[int] = WIDTHS,
    ) -> Estimate:
        """What is to be expected of votes of several widths; see :meth:`Client.estimate`."""
        basis = Basis(planner, model, tenant, options or {})
        return await self._core.asked(lambda solver: solver.estimate(basis, rule=rule, widths=widths))

    # -- closing ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop the engine if this client started it, and close the database and all connections."""
        await self._core.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _yielded(
        self, begun: Callable[[Solver], Awaitable[AsyncGenerator[T, None]]]
    ) -> AsyncGenerator[T, None]:
        items: Items[T] = self._core.items(begun)
        try:
            while (item := await items.next()) is not None:
                yield item
        finally:
            await items.close()
