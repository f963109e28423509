"""What planners share that fork and join: how many calls at once, and the longest chain of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Node

T = TypeVar("T")
N = TypeVar("N", bound=Node[Any])


class CriticalPath:
    """The calls of a method as they wait for each other: in a row, with paths side by side where it forks.

    What counts are completion tokens, as the engine reports them, also those of calls that were cancelled;
    of calls that have not settled, nothing. ``sequential`` is ``L_max`` and ``total`` is ``L_total`` of
    ThreadWeaver (arXiv 2512.07843); APR (arXiv 2504.15466) speaks of sequential and total tokens.
    """

    def __init__(self) -> None:
        self._steps: list[Node[Any] | tuple[CriticalPath, ...]] = []

    def add(self, node: N) -> N:
        """The call comes after everything that is on the path; returns it."""
        self._steps.append(node)
        return node

    def fork(self, width: int) -> tuple[CriticalPath, ...]:
        """So many paths that begin side by side where this one is; it goes on when all of them have ended."""
        paths = tuple(CriticalPath() for _ in range(width))
        self._steps.append(paths)
        return paths

    @property
    def sequential(self) -> int:
        """Tokens on the longest chain of calls that wait for each other."""
        return sum(
            step.usage.completion_tokens
            if isinstance(step, Node)
            else max((path.sequential for path in step), default=0)
            for step in self._steps
        )

    @property
    def total(self) -> int:
        """Tokens of all calls."""
        return sum(
            step.usage.completion_tokens if isinstance(step, Node) else sum(path.total for path in step)
            for step in self._steps
        )

    def told(self) -> dict[str, int | float]:
        """Both, and the acceleration ratio ``1 - sequential / total``, for a decision in the trace."""
        sequential, total = self.sequential, self.total
        acceleration = 1 - sequential / total if total else 0.0
        return {"sequential": sequential, "total": total, "acceleration": round(acceleration, 4)}


def waves(items: Sequence[T], width: int | None) -> Iterator[Sequence[T]]:
    """The items in groups that may run side by side; None is no bound, and a width below 1 counts as 1."""
    size = max(1, len(items) if width is None else width)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def affordable(run: Run, wanted: int, *, reserve: int = 1) -> int:
    """How many of the wanted calls are left to spend, if so many are kept in reserve for what follows."""
    calls = run.budget.calls
    return wanted if calls is None else max(0, min(wanted, calls - reserve))
