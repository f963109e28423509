"""What a client has open, in one event loop: its solver, and the calls and streams that go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Generic, TypeVar

from orchestrator.client.local import LEAVING_SECONDS
from orchestrator.client.plan import Plan
from orchestrator.errors import Unavailable
from orchestrator.solver import Solver

T = TypeVar("T")

PARTING_SECONDS = 10.0
"""How long it may take to leave a stream that nobody reads, whose task is cancelled perhaps elsewhere."""


class Core:
    """Opens what a plan says at the first call, and closes it with all that goes on.

    ``plan`` is called in a thread: it may read files.
    """

    def __init__(self, plan: Callable[[], Plan]) -> None:
        self._plan = plan
        self._solver: Solver | None = None
        self._opening = asyncio.Lock()
        self._closing = AsyncExitStack()
        self._callers: set[asyncio.Task[Any]] = set()
        self._streams: set[Items[Any]] = set()
        self._closed = False

    async def solver(self) -> Solver:
        """What answers, opened if it is not."""
        async with self._opening:
            if self._was_closed():
                raise closed()
            if self._solver is None:
                plan = await asyncio.to_thread(self._plan)
                opened = await self._closing.enter_async_context(plan.opened())
                if self._was_closed():  # meanwhile: nobody else closes it
                    await self._closing.aclose()
                    raise closed()
                self._solver = opened
            return self._solver

    def _was_closed(self) -> bool:
        return self._closed

    async def asked(self, question: Callable[[Solver], Awaitable[T]]) -> T:
        """What the solver answers.

        Raises:
            Unavailable: the core was closed meanwhile.
        """

        async def ask() -> T:
            return await question(await self.solver())

        return await self._called(ask())

    def items(self, question: Callable[[Solver], Awaitable[AsyncGenerator[T, None]]]) -> Items[T]:
        """What the solver yields, one after the other."""

        async def yielded() -> AsyncGenerator[T, None]:
            items = await question(await self.solver())
            try:
                async for item in items:
                    yield item
            finally:
                await items.aclose()

        return Items(self, yielded())

    async def close(self) -> None:
        """Bring what goes on to its end, and close the solver."""
        self._closed = True
        solver, self._solver = self._solver, None
        if solver is not None:
            await solver.leave(tuple(self._callers))
            await self._leave_streams([each for each in self._streams if not each.busy], PARTING_SECONDS)
        await self._closing.aclose()
        if self._callers:
            await asyncio.wait(tuple(self._callers), timeout=LEAVING_SECONDS)
        await self._leave_streams(tuple(self._streams), LEAVING_SECONDS)

    async def _leave_streams(self, streams: Collection[Items[Any]], seconds: float) -> None:
        for items in streams:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await items.close()

    async def _called(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, in a task of its own: who closes the client ends that, not its caller."""
        inner = asyncio.create_task(work)
        self._callers.add(inner)
        inner.add_done_callback(self._callers.discard)
        try:
            return await inner
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._closed and not (caller is not None and caller.cancelling()):
                raise closed() from None
            raise

    async def next_of(self, items: Items[T]) -> T | None:
        """The next item; None after the last."""
        self._streams.add(items)
        return await self._called(items.advance())

    def forget(self, items: Items[Any]) -> None:
        """Know no more of a stream that has been left."""
        self._streams.discard(items)


class Items(Generic[T]):
    """What a stream yields: asked for and closed one after the other."""

    def __init__(self, core: Core, items: AsyncGenerator[T, None]) -> None:
        self._core = core
        self._items = items
        self._turn = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for the next item."""
        return self._turn.locked()

    async def next(self) -> T | None:
        """The next item; None after the last."""
        return await self._core.next_of(self)

    async def advance(self) -> T | None:
        """Like :meth:`next`, in the turn of this stream."""
        async with self._turn:
            return await anext(self._items, None)

    async def close(self) -> None:
        """Leave the stream, which cancels its task if it was made with it."""
        async with self._turn:
            await self._items.aclose()
        self._core.forget(self)


def closed() -> Unavailable:
    """The error of what is asked of a client that was closed."""
    return Unavailable("the client was closed", code="client_closed", http_status=503, retryable=False)
