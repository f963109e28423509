"""Scopes: planner code that is being executed, and the nodes that it has made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from orchestrator.errors import Failure, PlannerError
from orchestrator.runtime.nodes import Failed, Node, Outcome, Succeeded
from orchestrator.runtime.values import Answer

if TYPE_CHECKING:
    from orchestrator.planning.run import Run


class Scope:
    """Planner code that is being executed, and the nodes that it has made."""

    def __init__(self, node: Node[Any], depth: int, body: Callable[[Run], Coroutine[Any, Any, Any]]) -> None:
        self.node = node
        self.depth = depth
        self.body = body
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.children: list[Node[Any]] = []
        self.seen: list[str] = []
        self.closed = False

    @property
    def name(self) -> str:
        """The path of its node, for people."""
        return self.node.path or "root"

    def child_path(self) -> str:
        """The path of the next node in program order."""
        return f"{self.node.path}.{len(self.children)}" if self.node.path else str(len(self.children))

    def newly_seen(self) -> list[str]:
        """The nodes whose results the code has seen since it added its last node."""
        seen, self.seen = self.seen, []
        return list(dict.fromkeys(seen))


def opened(body: Callable[[Run], Coroutine[Any, Any, Any]], run: Run) -> Coroutine[Any, Any, Any]:
    """The coroutine of a scope.

    Raises:
        PlannerError: the function is not async.
    """
    coroutine = body(run)
    if not isinstance(coroutine, Coroutine):
        raise PlannerError(
            f"planner code must be an async function; this one returned {type(coroutine).__name__}"
        )
    return coroutine


def returned(scope: Scope, value: object) -> Outcome[Any]:
    """What planner code that has ended makes of its scope; a root must give an answer."""
    if scope.node.path or isinstance(value, Answer):
        return Succeeded(value)
    message = f"the planner returned {type(value).__name__}; it must return an Answer"
    return Failed(Failure(PlannerError.code, message))
