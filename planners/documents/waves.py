"""Calls side by side, but never more than the budget of a run lets be in flight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from orchestrator.planning.run import Run

T = TypeVar("T")


def waves(run: Run, what: Sequence[T]) -> Iterator[Sequence[T]]:
    """What calls are to be made for, in groups of which each may be in flight at once; mostly one."""
    width = max(1, run.budget.width or len(what))
    for at in range(0, len(what), width):
        yield what[at : at + width]
