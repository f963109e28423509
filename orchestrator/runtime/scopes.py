"""Scopes: planner code that is being executed, and the nodes that it has made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

import structlog

from orchestrator.errors import PlannerError
from orchestrator.runtime import interruption
from orchestrator.runtime.border import Border
from orchestrator.runtime.gate import Gate
from orchestrator.runtime.nodes import Failed, Node, Succeeded
from orchestrator.runtime.plain import said

log = structlog.get_logger()

T = TypeVar("T")

MOST_ENDS = 100
"""How often code is told to end that goes on each time."""

Body = Callable[[Any], Coroutine[Any, Any, Any]]
"""Planner code that is ready to be handed its run."""


class Scope:
    """Planner code that is being executed, and the nodes that it has made.

    ``gates`` are those of the code that runs ahead in which it stands, from outside; ``ahead`` says that the
    last of them is its own.
    """

    def __init__(
        self,
        scopes: Scopes,
        node: Node[Any],
        depth: int,
        body: Body,
        gates: tuple[Gate, ...] = (),
        *,
        ahead: bool = False,
    ) -> None:
        self.gates = gates
        self.ahead = ahead
        self.node = node
        self.depth = depth
        self.body = body
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.children: list[Node[Any]] = []
        self.seen: dict[str, None] = {}
        self.closed = False
        self._scopes = scopes

    @property
    def name(self) -> str:
        """The path of its node, for people."""
        return self.node.path or "root"

    @property
    def next_call(self) -> str:
        """The name of the scope's next call, before it has a path."""
        return f"next of {self.name}"

    def child_path(self) -> str:
        """The path of the next node in program order."""
        return f"{self.node.path}.{len(self.children)}" if self.node.path else str(len(self.children))

    def newly_seen(self) -> list[str]:
        """The nodes whose results the code has seen since it added its last node."""
        seen, self.seen = self.seen, {}
        return list(seen)

    @property
    def gate(self) -> Gate | None:
        """The first gate that is still closed; None if all that its code has started from is confirmed."""
        return next((gate for gate in self.gates if not gate.opened), None)

    def wake(self) -> None:
        """Queue the code to go on: what it waits for may be ready."""
        self._scopes.runnable.append(self)


class Scopes:
    """All scopes of a run: which can go on, and whose code is running.

    Args:
        hand_out: makes what the code of a scope is handed.
    """

    def __init__(self, hand_out: Callable[[Scope], Any], border: Border) -> None:
        self.runnable: deque[Scope] = deque()
        self.current: Scope | None = None
        self._hand_out = hand_out
        self._border = border
        self._scopes: dict[str, Scope] = {}

    def open(self, node: Node[Any], depth: int, body: Body, gate: Gate | None = None) -> None:
        """Let the code of ``node`` run when its turn comes; ``gate`` is its own, if it runs ahead."""
        gates = () if not node.path else self.around(node.path).gates
        if gate is not None:
            gates = (*gates, gate)
        scope = self._scopes[node.path] = Scope(self, node, depth, body, gates, ahead=gate is not None)
        scope.wake()

    def around(self, path: str) -> Scope:
        """The scope whose code has added the node at ``path``."""
        return self._scopes[path.rpartition(".")[0]]

    def beneath(self, node: Node[Any], *, lost: bool = True) -> Iterator[Node[Any]]:
        """A node, and all in its scope; unless ``lost``, without what else ran ahead and is not confirmed."""
        pending = [node]
        while pending:
            node = pending.pop()
            yield node
            if (scope := self.find(node.path)) is not None:
                pending += [child for child in scope.children if lost or not self._is_lost(child)]

    def _is_lost(self, node: Node[Any]) -> bool:
        """Whether a node runs ahead, and has not been confirmed."""
        scope = self.find(node.path)
        return scope is not None and scope.ahead and not isinstance(node.outcome, Succeeded)

    def for_nothing(self, node: Node[Any]) -> int:
        """The completion tokens of calls that have ended in the code of ``node``, if that ran ahead.

        The node has settled without a value, so they are lost. What is cancelled counts by itself.
        """
        scope = self.find(node.path)
        if scope is None or not scope.ahead:
            return 0
        ended = (
            each for each in self.beneath(node, lost=False) if isinstance(each.outcome, Succeeded | Failed)
        )
        return sum(each.usage.completion_tokens for each in ended)

    def at(self, path: str) -> Scope:
        """The scope of the node at ``path``, which has one."""
        return self._scopes[path]

    def find(self, path: str) -> Scope | None:
        """The scope of the node at ``path``; None if that node does not run code, or has not begun."""
        return self._scopes.get(path)

    def newest_open(self) -> Scope:
        """The most recently opened scope that has not ended."""
        return next(scope for scope in reversed(self._scopes.values()) if not scope.closed)

    def send(self, scope: Scope, advance: Callable[[Scope], T]) -> T:
        """Let the code of ``scope`` run: ``advance`` sends it on, as planner code.

        Raises:
            RunEnded: the run is over.
            BaseException: whatever ``advance`` raises.
        """
        self.current = scope
        try:
            return self._border.call(scope.node.path, advance, scope)
        finally:
            self.current = None

    def shut(self, scope: Scope) -> list[Node[Any]]:
        """Take no more nodes from ``scope``, drop its code, and return the nodes that it left open."""
        scope.closed = True
        if scope.coroutine is not None and scope is not self.current:
            coroutine, scope.coroutine = scope.coroutine, None
            current, self.current = self.current, None
            try:
                self._border.close(scope.node.path, partial(_close, coroutine, scope.name))
            finally:
                self.current = current
        return [child for child in scope.children if child.outcome is None]

    def shut_all(self) -> None:
        """Drop the code of every scope: the run is over."""
        for scope in self._scopes.values():
            self.shut(scope)

    def begin(self, scope: Scope) -> Coroutine[Any, Any, Any]:
        """Make the coroutine of ``scope``. This is planner code.

        Raises:
            PlannerError: it is not an async function.
            BaseException: whatever its function raises.
        """
        coroutine = scope.body(self._hand_out(scope))
        if not isinstance(coroutine, Coroutine):
            raise PlannerError(
                f"planner code must be an async function; this one returned {type(coroutine).__name__}"
            )
        return coroutine


def _close(coroutine: Coroutine[Any, Any, Any], name: str) -> None:
    """End planner code that waits. An error that it raises instead of ending takes it further to its end."""
    resisted = ""
    for _ in range(MOST_ENDS):
        try:
            coroutine.close()
            break
        except interruption.RunEnded:
            raise
        except BaseException as error:
            resisted = f"{type(error).__name__}: {said(error)}"
    if resisted:
        with interruption.paused():
            log.warning("planner code resisted its end", node=name, error=resisted)
