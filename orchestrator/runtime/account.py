"""What a run has used, and which of its bounds it has reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Failure
from orchestrator.runtime.nodes import Node, NodeKind
from orchestrator.runtime.values import Budget, Spent
from storage.events import Event
from workers.calls import Usage


class Account:
    """Counts calls, nodes and tokens. ``limit`` names the bound that has ended the run, once one has.
    ``failure`` says why the run has failed, if its code had to be interrupted.

    The bounds on tokens and on time are watched by the drivers, which see tokens and time pass: reaching
    one is an event, so that a repeated run ends at the same place.
    """

    def __init__(self, budget: Budget) -> None:
        self.limit: str | None = None
        self._budget = budget
        self._usage = Usage()
        self._cancelled_tokens = 0
        self._calls = 0
        self._nodes = 0
        self.failure: Failure | None = None

    @property
    def spent(self) -> Spent:
        """What the run has used so far."""
        return Spent(self._usage, self._cancelled_tokens, self._calls)

    @property
    def nodes(self) -> int:
        """How many nodes the run has added, and decisions it has written down."""
        return self._nodes

    def end(self, data: Mapping[str, Any]) -> None:
        """End the run as its event LIMIT_REACHED says."""
        self.limit = str(data["limit"])
        if "error" in data:
            self.failure = Failure(**data["error"])

    def grow(self) -> None:
        """Count one more node or decision."""
        self._nodes += 1
        if self._budget.nodes is not None and self._nodes > self._budget.nodes:
            self.limit = self.limit or "nodes"

    def begin(self, node: Node[Any], in_flight: int) -> bool:
        """Count ``node`` if it may begin, as one of ``in_flight`` calls and tools; returns whether it may."""
        calls = self._calls + (node.kind is NodeKind.GENERATE)
        if self._budget.calls is not None and calls > self._budget.calls:
            self.limit = self.limit or "calls"
        elif self._budget.width is not None and in_flight > self._budget.width:
            self.limit = self.limit or "width"
        if self.limit is not None:
            return False
        self._calls = calls
        return True

    def descend(self, depth: int) -> bool:
        """Whether a scope may be opened inside a scope of that depth."""
        if not self.reaches(depth):
            self.limit = self.limit or "depth"
            return False
        return True

    def reaches(self, depth: int) -> bool:
        """Whether the budget allows a scope inside a scope of that depth."""
        return self._budget.depth is None or depth < self._budget.depth

    def spare(self, in_flight: int, tokens: int) -> bool:
        """Whether a call may run ahead as one of ``in_flight``: no more than half of any bound is used then.

        The other half is for what it may have to make room for. ``tokens`` are those that the calls which run
        ahead may yet come to, this one included.
        """
        tokens += self._usage.prompt_tokens + self._usage.completion_tokens
        used = (
            (self._calls + 1, self._budget.calls),
            (in_flight, self._budget.width),
            (tokens, self._budget.tokens),
        )
        return all(bound is None or 2 * amount <= bound for amount, bound in used)

    @property
    def spare_nodes(self) -> bool:
        """Whether one more node or decision of what runs ahead leaves half of the bound on them unused."""
        return self._budget.nodes is None or 2 * (self._nodes + 1) <= self._budget.nodes

    def discard(self, tokens: int) -> None:
        """Count completion tokens of calls that have ended, and turn out to have been for nothing."""
        self._cancelled_tokens += tokens

    def settle(self, node: Node[Any], event: Event) -> None:
        """Count the cost that the event of a settled node reports; a reused result costs nothing."""
        if "reused" in event.data and node.kind is NodeKind.GENERATE:
            self._calls -= 1
        node.timing = event.data.get("timing") or {}
        if usage := event.data.get("usage"):
            node.usage = Usage(**usage)
            self._usage += node.usage
            if event.data["outcome"] == "cancelled":
                self._cancelled_tokens += node.usage.completion_tokens
