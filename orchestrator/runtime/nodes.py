"""What a planner holds: handles of nodes, and everything else in a run that it can wait for.

A planner is driven not by the event loop but by the executor, which advances it when what it waits for is
ready. Everything here that can be awaited therefore yields itself to the executor. Awaiting anything else
inside a planner is an error: it would not come back the same way when the run is repeated over its journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from orchestrator.errors import Failure, NodeCancelled, NodeFailed, PlannerError
from workers.calls import Completion, Usage

T = TypeVar("T")


class NodeKind(StrEnum):
    """The kinds of steps that a run consists of."""

    GENERATE = "generate"
    TOOL = "tool"
    VOTE = "vote"
    MERGE = "merge"
    SPAWN = "spawn"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[T]):
    """The node has a value."""

    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """The node has a typed failure instead of a value."""

    failure: Failure

    @property
    def why(self) -> str:
        """Why there is no value, for people."""
        return self.failure.message


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody needs the node any more."""

    reason: str

    @property
    def why(self) -> str:
        """Why there is no value, for people."""
        return "it was cancelled"


Outcome = Succeeded[T] | Failed | Cancelled


class Owner(Protocol):
    """What nodes need of the run that they belong to."""

    def observed(self, node: Node[Any]) -> None:
        """Note that the code that is running has seen the outcome of ``node``."""
        ...

    def waits(self) -> None:
        """Planner code is about to wait. Raises RunEnded if nothing will wake it any more."""
        ...

    def cancel(self, node: Node[Any], reason: str) -> None:
        """Cancel ``node``, what needs it, and what only it needed."""
        ...


class Waiter(Protocol):
    """Planner code that waits for something."""

    @property
    def closed(self) -> bool:
        """Whether the code has ended, and no longer waits."""
        ...

    def wake(self) -> None:
        """Let the code go on: what it waits for may be ready."""
        ...


class Waitable:
    """Something that planner code can wait for; awaiting it suspends the code until :meth:`ready`."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.waiters: list[Waiter] = []

    def ready(self) -> bool:
        """Whether code that waits for this can go on."""
        raise NotImplementedError

    def wake(self) -> None:
        """Wake all code that waits for this."""
        for waiter in self.waiters:
            waiter.wake()
        self.waiters.clear()

    def suspend(self) -> Generator[Waitable, None, None]:
        """Hand this to the executor unless it is ready."""
        while not self.ready():
            self.owner.waits()
            yield self


@dataclass(frozen=True, slots=True)
class Shown:
    """What the code of a node shows of what it may come to: the ``number`` of times that it has done so, what
    makes it, and the node ``by`` whose result that rests on.
    """

    number: int
    make: Callable[[], Any]
    by: Node[Any]


class Node(Waitable, Generic[T]):
    """The handle of a step.

    Awaiting it gives the value of the node. Passing it to another verb of the run draws an edge: the other
    node starts when this one has its value, and gets that value in place of the handle.

    Raises (on awaiting):
        NodeFailed: the node, or one that it needs, failed.
        NodeCancelled: the node was cancelled.
    """

    def __init__(self, owner: Owner, path: str, kind: NodeKind, label: str) -> None:
        super().__init__(owner)
        self.path = path
        self.kind = kind
        self.label = label
        self.outcome: Outcome[T] | None = None
        self.usage = Usage()
        self.timing: Mapping[str, float] = {}
        """Seconds, as the journal has them: ``total``, and ``first_token`` of a generation."""
        self.seed: int | None = None
        """With which a generation is sampled."""
        self.arrivals: list[Arrivals[T]] = []
        self.shown: Shown | None = None
        self.watching: list[Waitable] = []
        """Waits for what the node shows."""

    def __repr__(self) -> str:
        state = "open" if self.outcome is None else type(self.outcome).__name__.lower()
        return f"<{self.kind} {self.path} {state}>"

    def ready(self) -> bool:
        """Whether the node has settled."""
        return self.outcome is not None

    def __await__(self) -> Generator[Waitable, None, T]:
        yield from self.suspend()
        self.owner.observed(self)
        return self.value

    async def settled(self) -> Outcome[T]:
        """The outcome of the node, once it has settled; does not raise."""
        await Suspension(self)
        self.owner.observed(self)
        assert self.outcome is not None
        return self.outcome

    @property
    def value(self) -> T:
        """The value of a node that has succeeded.

        Raises:
            NodeFailed: it failed.
            NodeCancelled: it was cancelled.
            RuntimeError: it has not settled yet.
        """
        match self.outcome:
            case Succeeded(value):
                return value
            case Failed(failure):
                raise NodeFailed(self.path, failure)
            case Cancelled(reason):
                raise NodeCancelled(self.path, reason)
            case None:
                raise RuntimeError(f"node {self.path} has not settled; await it first")

    def cancel(self, reason: str = "not needed") -> None:
        """Abort the node, what needs it, and what only it needs. A node that has settled stays as it is."""
        self.owner.cancel(self, reason)


class Stream(Node[Completion]):
    """A generation that is read as it is written (``async for text in stream``), or awaited as a whole."""

    def __init__(self, owner: Owner, path: str, kind: NodeKind, label: str) -> None:
        super().__init__(owner, path, kind, label)
        self.received = ""
        self.chunk = _ChunkArrival(self)
        self._read = 0

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        await Suspension(self.chunk)
        if self._read < len(self.received):
            text = self.received[self._read :]
            self._read = len(self.received)
            return text
        self.owner.observed(self)
        if not isinstance(self.outcome, Succeeded):
            _ = self.value  # raises, because the node failed or was cancelled
        raise StopAsyncIteration

    def unread(self) -> bool:
        """Whether there is text that the planner has not seen."""
        return self._read < len(self.received)


class _ChunkArrival(Waitable):
    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.owner)
        self._stream = stream

    def ready(self) -> bool:
        return self._stream.unread() or self._stream.outcome is not None


class Arrivals(Waitable, Generic[T]):
    """Nodes in the order in which they settle: ``async for node in arrivals``.

    Nodes may be added while iterating. The iteration ends when all nodes that were added have settled.
    Cancelled nodes are left out.
    """

    def __init__(self, owner: Owner, nodes: Iterable[Node[T]] = ()) -> None:
        super().__init__(owner)
        self._open = 0
        self._settled: deque[Node[T]] = deque()
        for node in nodes:
            self.add(node)

    def add(self, node: Node[T]) -> None:
        """Wait for ``node`` as well.

        Raises:
            PlannerError: it belongs to another run.
        """
        if node.owner is not self.owner:
            raise PlannerError(f"node {node.path} belongs to another run; its arrival cannot be waited for")
        self._open += 1
        if node.outcome is None:
            node.arrivals.append(self)
        else:
            self.arrived(node)

    def arrived(self, node: Node[T]) -> None:
        """Called by the executor when ``node`` settles."""
        self._open -= 1
        if not isinstance(node.outcome, Cancelled):
            self._settled.append(node)

    def ready(self) -> bool:
        """Whether a node has arrived, or no more can arrive."""
        return bool(self._settled) or self._open == 0

    def __aiter__(self) -> Arrivals[T]:
        return self

    async def __anext__(self) -> Node[T]:
        await Suspension(self)
        if not self._settled:
            raise StopAsyncIteration
        node = self._settled.popleft()
        self.owner.observed(node)
        return node


class Suspension:
    """Makes a waitable awaitable without a value."""

    __slots__ = ("_waitable",)

    def __init__(self, waitable: Waitable) -> None:
        self._waitable = waitable

    def __await__(self) -> Generator[Waitable, None, None]:
        return self._waitable.suspend()
