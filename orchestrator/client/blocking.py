"""The client of a script or a notebook, which waits for answers; its event loop has its own thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from orchestrator.client.core import Core, Items, closed
from orchestrator.client.files import export_to
from orchestrator.client.plan import ClientOptions, Plan, SolveOptions, request_to
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.runtime.change import Change, parse_change
from orchestrator.solver import Solver, TaskFilter
from orchestrator.structured import loop_in_thread
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


class Client:
    """Solves questions on an engine of this process, on servers elsewhere, or at a whole service elsewhere.

    Works the same from sync code, from inside a running event loop (a notebook) and from async code. An
    engine of this process starts at the first question and stays warm until the client is closed, which
    happens at the end of the program at the latest. What it can be given is in
    :class:`~orchestrator.client.plan.ClientOptions`; with ``url``, or ``ANABRANCH_URL`` in the environment,
    it asks the service there, and every method does the same and raises the same errors.

    Raises:
        InvalidRequest: a setting of the environment is wrong, or what is given does not go together.
    """

    def __init__(self, **given: Unpack[ClientOptions]) -> None:
        self._plan = Plan.of(given)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: Core | None = None
        self._starting = threading.Lock()

    # -- asking -----------------------------------------------------------------------------------

    def solve(self, query: str, **options: Unpack[SolveOptions]) -> Solution:
        """Answer a question.

        Raises:
            InvalidRequest: the query or an option is wrong; the message says what would be right.
            TaskFailed: there is no answer.
            Unavailable: the engine, its model or the database cannot be used.
        """
        return self._asked(lambda solver: solver.solve(request_to(solver, query, options)))

    async def asolve(self, query: str, **options: Unpack[SolveOptions]) -> Solution:
        """Like :meth:`solve`. Cancelling it cancels the task."""

        async def solve(solver: Solver) -> Solution:
            return await solver.solve(request_to(solver, query, options))

        return await asyncio.wrap_future(self._submit(lambda core: core.asked(solve)))

    def stream(
        self, query: str, **options: Unpack[SolveOptions]
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a solve as they happen, and finally its solution. Leaving early cancels the task."""

        async def begun(solver: Solver) -> AsyncGenerator[Event | Progress | Solution, None]:
            return solver.stream(request_to(solver, query, options))

        return self._yielded(begun)

    def submit(self, query: str, **options: Unpack[SolveOptions]) -> str:
        """Have a question answered without waiting for it; the id of its task.

        In this process it runs until the client is closed. Raises InvalidRequest and Unavailable like
        :meth:`solve`.
        """

        async def submit(solver: Solver) -> Task:
            return await solver.submit(request_to(solver, query, options))

        return self._asked(submit).id

    def result(self, task_id: str) -> Solution:
        """The solution of a task, once it has ended.

        Raises:
            TaskFailed: it ended without one.
            TaskNotFound: there is no such task.
        """
        return self._asked(lambda solver: solver.result(task_id))

    def follow(self, task_id: str, *, after: int = -1) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a task after number ``after``, and its solution; leaving does nothing to the task."""

        async def begun(solver: Solver) -> AsyncGenerator[Event | Progress | Solution, None]:
            return solver.follow(task_id, after=after)

        return self._yielded(begun)

    # -- tasks ------------------------------------------------------------------------------------

    def task(self, task_id: str) -> Task:
        """A task as it stands. Raises TaskNotFound if there is none."""
        return self._asked(lambda solver: solver.task(task_id))

    def tasks(self, *, limit: int | None = None, **wanted: Unpack[TaskFilter]) -> Iterator[Task]:
        """The tasks that are wanted, newest first, at most ``limit``; they are read page by page."""

        async def begun(solver: Solver) -> AsyncGenerator[Task, None]:
            return solver.tasks(limit=limit, **wanted)

        core, loop = self._running()
        items = core.items(begun)
        try:
            while (task := self._future(loop, items.next()).result()) is not None:
                yield task
        finally:
            if loop is self._loop:  # not waited for: what is left unread may be collected in that very loop
                self._future(loop, items.close())

    def cancel(self, task_id: str) -> Task:
        """Cancel a task; one that has ended stays as it is. Raises TaskNotFound if there is none."""
        return self._asked(lambda solver: solver.cancel(task_id))

    def requeue(self, task_id: str) -> Task:
        """Put a dead task back into the queue, for a process that serves.

        Raises:
            Unavailable: it is not dead (``illegal_transition``).
            TaskNotFound: there is no such task.
        """
        return self._asked(lambda solver: solver.requeue(task_id))

    def delete(self, task_id: str) -> None:
        """Remove a task that has ended, with its journal.

        Raises:
            Unavailable: it has not ended (``illegal_transition``).
            TaskNotFound: there is no such task.
        """
        return self._asked(lambda solver: solver.delete(task_id))

    def export(self, task_id: str, to: Path | str) -> None:
        """Write the trace of a task that has ended to a file, which :meth:`import_` reads.

        Raises:
            Unavailable: it has not ended (``illegal_transition``).
            TaskNotFound: there is no such task.
            OSError: the file cannot be written.
        """
        return self._asked(lambda solver: export_to(Path(to), solver.export(task_id)))

    def import_(self, file: Path | str, *, tenant: str | None = None) -> Task:
        """Store a trace that was exported, under its id; for the ``tenant``, if one is given.

        Raises:
            Unavailable: it is no trace, or its task is stored already.
            OSError: the file cannot be read.
        """
        return self._asked(lambda solver: solver.import_(Path(file), tenant=tenant))

    # -- looking back -----------------------------------------------------------------------------

    def replay(self, trace_id: str) -> Replayed:
        """Repeat a stored run with no engine at all, and compare every event.

        Raises:
            Divergence: the run did something other than what was recorded.
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda solver: solver.replay(trace_id))

    def fork(self, trace_id: str, *, at: str, change: Change | Mapping[str, Any]) -> Solution:
        """Run a stored task again with ``change`` at node ``at``, reusing what does not depend on it.

        The fork is a task of its own, with its own trace. ``change`` is a :class:`Change`, or its fields:
        ``fork(trace_id, at="0.1", change={"temperature": 1.5})``.

        Raises:
            InvalidRequest: there is no such node, or it cannot be changed that way.
            TaskNotFound: there is no such trace.
            TaskFailed, Unavailable: as for :meth:`solve`.
        """
        changed = parse_change(change)
        return self._asked(lambda solver: solver.fork(trace_id, at=at, change=changed))

    def counterfactual(self, trace_id: str, *, at: str, change: Change | Mapping[str, Any]) -> Counterfactual:
        """How the run would have gone with ``change``, such as another stop rule, from its trace alone.

        Raises:
            Unknown: that would need tokens that were never generated.
            InvalidRequest, TaskNotFound: as for :meth:`fork`.
            Conflict: the task has no complete run.
        """
        changed = parse_change(change)
        return self._asked(lambda solver: solver.counterfactual(trace_id, at=at, change=changed))

    def difference(self, before: str, after: str) -> TraceDifference:
        """How two stored runs differ, such as a fork and its parent: answers, tokens, nodes.

        Raises:
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda solver: solver.difference(before, after))

    def trace(self, trace_id: str) -> Trace:
        """The stored steps of a run, as a tree.

        Raises:
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda solver: solver.trace(trace_id))

    def estimate(
        self,
        *,
        planner: str = "vote",
        model: str | None = None,
        tenant: str | None = None,
        options: Mapping[str, Any] | None = None,
        rule: str = DEFAULT_RULE,
        widths: Sequence[int] = WIDTHS,
    ) -> Estimate:
        """Seconds, tokens and agreement to be expected of votes of several widths, from stored runs.

        These are the runs of a planner by one model (by default, that of the newest one), of one tenant or
        all, whose options, such as ``max_tokens``, are those that are given.

        Raises:
            InvalidRequest: too few branches are stored, the rule cannot be predicted, or a service elsewhere
                is asked.
        """
        basis = Basis(planner, model, tenant, options or {})
        return self._asked(lambda solver: solver.estimate(basis, rule=rule, widths=widths))

    # -- opening and closing ----------------------------------------------------------------------

    def close(self) -> None:
        """Stop the engine if this client started it, close the database and end the thread."""
        with self._starting:
            loop, self._loop = self._loop, None
            core, self._core = self._core, None
            _clients.discard(self)
        if loop is not None and core is not None:
            asyncio.run_coroutine_threadsafe(core.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # -- inside the client's own loop -------------------------------------------------------------

    def _asked(self, question: Callable[[Solver], Awaitable[T]]) -> T:
        """What the solver answers."""

        async def ask(solver: Solver) -> T:
            return await question(solver)

        return self._submit(lambda core: core.asked(ask)).result()

    def _submit(self, work: Callable[[Core], Coroutine[Any, Any, T]]) -> Future[T]:
        core, loop = self._running()
        return asyncio.run_coroutine_threadsafe(work(core), loop)

    async def _yielded(
        self, begun: Callable[[Solver], Coroutine[Any, Any, AsyncGenerator[T, None]]]
    ) -> AsyncGenerator[T, None]:
        """What the solver yields in the client's loop; leaving closes that."""
        core, loop = self._running()
        items: Items[T] = core.items(begun)
        try:
            while (item := await asyncio.wrap_future(self._future(loop, items.next()))) is not None:
                yield item
        finally:
            if loop is self._loop:  # closing the client has closed the items
                await asyncio.wrap_future(self._future(loop, items.close()))

    def _future(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Go on with what began in ``loop``.

        Raises:
            Unavailable: the client was closed since then.
        """
        if loop is not self._loop:
            work.close()
            raise closed()
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _running(self) -> tuple[Core, asyncio.AbstractEventLoop]:
        with self._starting:
            if self._loop is None or self._core is None:
                self._loop = loop_in_thread("anabranch")
                self._core = Core(lambda: self._plan)
                _close_at_exit()
                _clients.add(self)
            return self._core, self._loop


_clients: set[Client] = set()
"""Clients of this process that are still to be closed."""


@cache
def _close_at_exit() -> None:
    """Close the clients before the interpreter stops its thread pools, which closing needs.

    :mod:`atexit` would run too late. What is registered last runs first, so the pools must be registered
    already.
    """
    import concurrent.futures.thread  # noqa: F401 (registers the end of the pools)

    getattr(threading, "_register_atexit", atexit.register)(_close_clients)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_clients.clear)  # their threads exist only in the parent


def _close_clients() -> None:
    with ExitStack() as closing:
        for client in tuple(_clients):
            closing.callback(client.close)
