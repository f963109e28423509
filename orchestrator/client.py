"""The SDK: ask from a script, a notebook or an async program."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, aclosing, suppress
from functools import cache
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import structlog

from orchestrator import logs
from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import Unavailable
from orchestrator.opening import opened_service
from orchestrator.planning.planner import Planner
from orchestrator.runtime.change import Change, parse_change
from orchestrator.settings import Settings
from orchestrator.structured import loop_in_thread
from orchestrator.tasks.estimating import WIDTHS, Basis, Estimate
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from orchestrator.toolbox import build_toolbox
from storage.events import Event
from storage.trace import Trace
from workers.engine import Engine
from workers.tools.tool import Tool

T = TypeVar("T")

LEAVING_SECONDS = 1.0
"""How long callers in other threads may take to learn what became of their calls when a client is closed."""


class SolveOptions(TypedDict, total=False):
    """What may be given besides the query; see :class:`~orchestrator.tasks.requests.TaskRequest`."""

    context: str
    choices: Sequence[str]
    planner: str | Planner
    options: Mapping[str, Any]
    sampling: Mapping[str, Any]
    budget: Mapping[str, Any]
    seed: int
    abstain_below: float | None
    tenant: str
    idempotency_key: str | None


class Client:
    """Solves questions on an engine of this process, or on servers elsewhere.

    Works the same from sync code, from inside a running event loop (a notebook) and from async code, because
    it has an event loop in a thread of its own. The engine starts at the first question and stays warm until
    the client is closed, which happens at the end of the program at the latest.

    Args:
        engine: an engine, or its name (``embedded``, ``vllm``, URLs); by default what the settings say.
        model: a catalogue name, a GGUF file, or the model of a server.
        database: where traces are kept; ``memory`` keeps them until the client is closed.
        tools: what planners may call, besides the installed tools.
        mcp_servers: a JSON file of MCP servers whose tools planners may call as well, or that JSON itself.
        planners: planners that no installed package provides; they may be passed to :meth:`solve` as well.

    Raises:
        InvalidRequest: a setting of the environment is wrong.
    """

    def __init__(
        self,
        *,
        engine: Engine | str | None = None,
        model: str | None = None,
        database: str | None = None,
        tools: Iterable[Tool] = (),
        mcp_servers: str | None = None,
        planners: Iterable[Planner] = (),
        settings: Settings | None = None,
    ) -> None:
        given = {
            "engine": engine if isinstance(engine, str) else None,
            "model": model,
            "database": database,
            "mcp_servers": mcp_servers,
        }
        base = settings or Settings.read()
        if not structlog.is_configured():  # unconfigured, it would print every line to standard output
            logs.configure(base)
        self._settings = base.model_copy(
            update={key: value for key, value in given.items() if value is not None}
        )
        self._engine = None if isinstance(engine, str) else engine
        self._tools = tuple(tools)
        self._planners = {planner.name: planner for planner in planners}
        self._service: Service | None = None
        self._opening: asyncio.Lock | None = None
        self._closing = AsyncExitStack()
        self._callers: set[asyncio.Task[Any]] = set()
        self._streams: set[_Items] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    # -- asking -----------------------------------------------------------------------------------

    def solve(self, query: str, **options: Unpack[SolveOptions]) -> Solution:
        """Answer a question.

        Raises:
            InvalidRequest: the query or an option is wrong; the message says what would be right.
            TaskFailed: there is no answer.
            Unavailable: the engine, its model or the database cannot be used.
        """
        return self._submit(self._solve(query, options)).result()

    async def asolve(self, query: str, **options: Unpack[SolveOptions]) -> Solution:
        """Like :meth:`solve`. Cancelling it cancels the task."""
        return await asyncio.wrap_future(self._submit(self._solve(query, options)))

    async def stream(
        self, query: str, **options: Unpack[SolveOptions]
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        """The events of a solve as they happen, and finally its solution. Leaving early cancels the task."""
        items = _Items(self._stream(query, options))
        loop = self._running_loop()
        try:
            while (item := await asyncio.wrap_future(self._submit(self._next(items), loop))) is not None:
                yield item
        finally:
            if loop is self._loop:  # closing the client has closed the items
                await asyncio.wrap_future(self._submit(self._leave(items), loop))

    def replay(self, trace_id: str) -> Replayed:
        """Repeat a stored run with no engine at all, and compare every event.

        Raises:
            Divergence: the run did something other than what was recorded.
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda service: service.replay(trace_id))

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
        return self._asked(lambda service: service.fork(trace_id, at=at, change=changed))

    def counterfactual(self, trace_id: str, *, at: str, change: Change | Mapping[str, Any]) -> Counterfactual:
        """How the run would have gone with ``change``, such as another stop rule, from its trace alone.

        Raises:
            Unknown: that would need tokens that were never generated.
            InvalidRequest, TaskNotFound: as for :meth:`fork`.
            Conflict: the task has no complete run.
        """
        changed = parse_change(change)
        return self._asked(lambda service: service.counterfactual(trace_id, at=at, change=changed))

    def difference(self, before: str, after: str) -> TraceDifference:
        """How two stored runs differ, such as a fork and its parent: answers, tokens, nodes.

        Raises:
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda service: service.difference(before, after))

    def trace(self, trace_id: str) -> Trace:
        """The stored steps of a run, as a tree.

        Raises:
            TaskNotFound: there is no such trace.
        """
        return self._asked(lambda service: service.trace(trace_id))

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
            InvalidRequest: too few branches are stored, or the rule cannot be predicted.
        """
        basis = Basis(planner, model, tenant, options or {})
        return self._asked(lambda service: service.estimate(basis, rule=rule, widths=widths))

    # -- opening and closing ----------------------------------------------------------------------

    def close(self) -> None:
        """Stop the engine if this client started it, close the database and end the thread."""
        with self._starting:
            loop, self._loop = self._loop, None
            _running.discard(self)
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
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

    async def _solve(self, query: str, options: SolveOptions) -> Solution:
        service = await self._open()
        return await service.solve(parse(self._request(service, query, options)))

    async def _stream(
        self, query: str, options: SolveOptions
    ) -> AsyncGenerator[Event | Progress | Solution, None]:
        service = await self._open()
        async with aclosing(service.stream(parse(self._request(service, query, options)))) as items:
            async for item in items:
                yield item

    def _asked(self, question: Callable[[Service], Awaitable[T]]) -> T:
        """What the service answers."""

        async def ask() -> T:
            return await question(await self._open())

        return self._submit(ask()).result()

    def _request(self, service: Service, query: str, options: SolveOptions) -> dict[str, Any]:
        request: dict[str, Any] = {"query": query, **options}
        if isinstance(planner := request.get("planner"), Planner):
            service.add_planner(planner)
            request["planner"] = planner.name
        return request

    async def _open(self) -> Service:
        assert self._opening is not None
        async with self._opening:
            if self._service is None:
                toolbox = await asyncio.to_thread(build_toolbox, self._settings, self._tools)
                opening = opened_service(
                    self._settings, toolbox, engine=self._engine, planners=self._planners
                )
                self._service = await self._closing.enter_async_context(opening)
            return self._service

    async def _shut(self) -> None:
        service, self._service = self._service, None
        if service is not None and self._engine is not None:  # our own engine ends its calls as it is closed
            service.cancel_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(service.idle(), LEAVING_SECONDS)
            await self._callers_left()
        await self._closing.aclose()
        await self._callers_left()
        for items in tuple(self._streams):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leave(items), LEAVING_SECONDS)

    async def _callers_left(self) -> None:
        """Give those who wait for an answer time to get it, or an error."""
        if self._callers:
            await asyncio.wait(tuple(self._callers), timeout=LEAVING_SECONDS)

    async def _next(self, items: _Items) -> Event | Progress | Solution | None:
        self._streams.add(items)
        return await items.next()

    async def _leave(self, items: _Items) -> None:
        self._streams.discard(items)
        await items.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = loop_in_thread("anabranch")
                self._opening = asyncio.Lock()
                _close_at_exit()
                _running.add(self)
            return self._loop

    def _submit(
        self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None
    ) -> Future[T]:
        """Do ``work`` in the client's loop; in ``loop``, if what it goes on with began there.

        Raises:
            Unavailable: the client was closed since then.
        """
        now = self._running_loop() if loop is None else self._loop
        if now is None or loop not in (None, now):
            work.close()
            raise Unavailable("the client was closed", code="client_closed", http_status=503, retryable=False)
        return asyncio.run_coroutine_threadsafe(self._called(work), now)

    async def _called(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            return await work
        finally:
            self._callers.discard(task)


class _Items:
    """What a stream yields, in the client's loop: asked for and closed one after the other."""

    def __init__(self, items: AsyncGenerator[Event | Progress | Solution, None]) -> None:
        self._items = items
        self._turn = asyncio.Lock()

    async def next(self) -> Event | Progress | Solution | None:
        """The next item; None after the last."""
        async with self._turn:
            return await anext(self._items, None)

    async def close(self) -> None:
        """Leave the stream, which cancels its task."""
        async with self._turn:
            await self._items.aclose()


_running: set[Client] = set()
"""Clients of this process that are still to be closed."""


@cache
def _close_at_exit() -> None:
    """Close the clients before the interpreter stops its thread pools, which closing needs.

    :mod:`atexit` would run too late. What is registered last runs first, so the pools must be registered
    already.
    """
    import concurrent.futures.thread  # noqa: F401 (registers the end of the pools)

    getattr(threading, "_register_atexit", atexit.register)(_close_running)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_running.clear)  # their threads exist only in the parent


def _close_running() -> None:
    with ExitStack() as closing:
        for client in tuple(_running):
            closing.callback(client.close)


@cache
def default_client() -> Client:
    """The client behind :func:`solve` and its siblings, set up from the environment."""
    return Client()


def solve(query: str, **options: Unpack[SolveOptions]) -> Solution:
    """Answer a question with the default client; see :meth:`Client.solve`."""
    return default_client().solve(query, **options)


async def asolve(query: str, **options: Unpack[SolveOptions]) -> Solution:
    """Answer a question with the default client; see :meth:`Client.asolve`."""
    return await default_client().asolve(query, **options)


def stream(query: str, **options: Unpack[SolveOptions]) -> AsyncGenerator[Event | Progress | Solution, None]:
    """The events of a solve as they happen, with the default client; see :meth:`Client.stream`."""
    return default_client().stream(query, **options)
