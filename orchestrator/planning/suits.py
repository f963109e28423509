"""What a planner is good for, as it says itself: what those that choose among planners go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Question

Look: TypeAlias = Callable[[Run, Question], str]
"""Looks at a question and at the means of a run (its tools, models and budget), and says why; else nothing.

It adds no nodes and decides nothing: it runs in a thread, beside the run."""


def _nothing(run: Run, question: Question) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Suits:
    """What a planner is good for.

    Attributes:
        description: completes "the question is best answered …", for a model that chooses: "with …".
        cost: the rank by what it costs; of several that suit a question equally, the one with the lowest.
        sign: why the question itself calls for the planner; empty if it does not show.
        lacks: why the planner cannot be used here, as without tools; empty if it can.
        calls: the fewest calls in which it comes to an answer; a run with fewer left does not choose it.
        yields_to: planners that do the same better: where one of them can be used, this one is not chosen.
        settles: whether it brings what may settle a question over which the branches of a vote are split.
        options: its options where it was chosen, in place of its defaults.

    Raises:
        TypeError: the description does not begin with "with", or a number is not one.
    """

    description: str
    cost: int
    sign: Look = _nothing
    lacks: Look = _nothing
    calls: int = 1
    yields_to: tuple[str, ...] = ()
    settles: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs_means(self) -> bool:
        """Whether there are runs that lack what the planner needs, such as tools."""
        return self.lacks is not _nothing

    def __post_init__(self) -> None:
        if not str(self.description).startswith("with"):
            raise TypeError(
                f'the description of what a planner suits begins with "with": {self.description!r}'
            )
        if not all(isinstance(each, int) for each in (self.cost, self.calls)):
            raise TypeError("the cost and the calls of what a planner suits are of type int")
