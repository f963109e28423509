"""Which tasks a list has, and where its next page begins; every store filters by the same rules."""

from __future__ import annotations

import math
import operator
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypedDict

from storage.tasks import OPEN, Task, TaskStatus

LONGEST_SEARCHED = 4_000
"""How many characters of a question can be found."""


class Wanted(TypedDict, total=False):
    """What all tasks of a list have in common; what is left out, or None, excludes nothing.

    Times are in seconds since the epoch, entropies in nats. ``…_from`` and ``…_to`` belong to the range,
    ``created_before`` does not. A task without a solution, or with one that has no entropy, is in no range of
    entropies, and one that has not ended has no end.
    """

    tenant: str | None
    status: TaskStatus | None
    is_open: bool | None  # whether it is queued or running
    planner: str | None
    created_from: float | None
    created_before: float | None
    ended_from: float | None
    text: str | None  # what the question has somewhere, in its first characters and in any case
    entropy_from: float | None
    entropy_to: float | None
    ids: Collection[str] | None


class Place(NamedTuple):
    """A place in the order of all tasks; the task that was there may be gone."""

    created_at: float
    id: str

    @classmethod
    def of(cls, task: Task) -> Place:
        """The place of a task."""
        return cls(task.created_at, task.id)


def folded(text: str) -> str:
    """The text without what a search should not depend on: case, width and composition of its letters."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    whole = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # no half of a pair
    return whole.replace("\0", "")


def searched(question: Any) -> str:
    """What of a question can be found, folded; empty for a question of another form."""
    query = question.get("query") if isinstance(question, Mapping) else question
    return folded(query[:LONGEST_SEARCHED])[:LONGEST_SEARCHED] if isinstance(query, str) else ""


def entropy_of(solution: Any) -> float | None:
    """The entropy that a solution tells, if it does."""
    found = solution.get("entropy") if isinstance(solution, Mapping) else None
    number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if number and found is not None else None


def has(task: Task, wanted: Wanted) -> bool:
    """Whether a task belongs to the list."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    measures = {"created": task.created_at, "ended": task.finished_at, "entropy": entropy_of(task.solution)}
    return (
        all(getattr(task, name) == given[name] for name in ("tenant", "status", "planner") if name in given)
        and given.get("is_open", task.status in OPEN) == (task.status in OPEN)
        and task.id in given.get("ids", (task.id,))
        and ("text" not in given or folded(given["text"]) in searched(task.question))
        and all(
            (measure := measures[name]) is not None and _BOUNDS[bound](measure, given[f"{name}_{bound}"])
            for name in measures
            for bound in _BOUNDS
            if f"{name}_{bound}" in given
        )
    )


_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "from": operator.ge,
    "to": operator.le,
    "before": operator.lt,
}
