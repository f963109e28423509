"""The verbs of work that may be for nothing: what a scope may come to, and code that starts from that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from orchestrator.runtime.gate import Gate
from orchestrator.runtime.nodes import Node, NodeKind, Shown, Suspension, Waitable
from orchestrator.runtime.verbs import Verbs
from orchestrator.runtime.work import Child

P = ParamSpec("P")
T = TypeVar("T")


class Previews(Waitable, Generic[T]):
    """What the code of a node shows of what it may come to (``async for value in previews``).

    Each time it is the latest; values that are overtaken before they are read are left out. The iteration
    ends when the node settles.
    """

    def __init__(self, node: Node[Any]) -> None:
        super().__init__(node.owner)
        self._node = node
        self._read = 0
        node.watching.append(self)

    def ready(self) -> bool:
        """Whether something new is shown, or nothing more will be."""
        shown = self._node.shown
        return self._node.outcome is not None or (shown is not None and shown.number > self._read)

    def __aiter__(self) -> Previews[T]:
        return self

    async def __anext__(self) -> T:
        await Suspension(self)
        shown = self._node.shown
        if self._node.outcome is not None or shown is None:
            raise StopAsyncIteration
        self._read = shown.number
        self.owner.observed(shown.by)
        value: T = shown.make()
        return value


class TentativeVerbs(Verbs):
    """The verbs of :class:`~orchestrator.runtime.verbs.Verbs`, and those for work that may be for nothing.

    They are for verbs that are made of other verbs: what planners ask for is ``Run.ahead``.
    """

    def preview(self, make: Callable[[], Any], by: Node[Any]) -> None:
        """Show those who hold this scope's node what it may come to; ``by`` is the node that this rests on.

        ``make`` is called when somebody looks, at any time before the scope ends.
        """
        node = self._scope.node
        node.shown = Shown(1 if node.shown is None else node.shown.number + 1, make, by)
        for watching in node.watching:
            watching.wake()

    def previews(self, node: Node[Any]) -> Previews[Any]:
        """What the code of ``node`` shows from now on, and the last that it has shown before."""
        return Previews(node)

    def tentative(
        self,
        of: Node[Any],
        label: str,
        function: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Node[T]:
        """:meth:`spawn` code that starts from what ``of`` may come to, and so may be for nothing.

        Until :meth:`confirm` says that it is not, tools with side effects that it asks for do not begin, what
        it offers does not count, its node does not succeed, and it is cancelled where it would use more than
        half of what the budget bounds.
        """
        node: Node[T] = self._node(Node, NodeKind.SPAWN, label)
        gate = Gate(self._executor, node.path, of.path)

        async def until_confirmed(run: Self) -> T:
            value = await function(run, *args, **kwargs)
            run.end_open()
            await gate
            return value

        return self._add(node, Child(until_confirmed, (), {}, gate))

    def end_open(self) -> None:
        """Cancel what this scope has left open, as at its end, though its node has yet to settle."""
        for child in self._scope.children:
            child.cancel("its scope has ended")

    def confirm(self, node: Node[Any]) -> None:
        """Say that what the code of a :meth:`tentative` node has started from is so."""
        self._executor.confirm(node)

    def tokens_of(self, node: Node[Any]) -> int:
        """The completion tokens that a node, and all that stands in its scope, have cost so far."""
        return self._executor.tokens_of(node)
