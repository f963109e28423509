"""The rules by which tasks wait to begin, and estimates of how long they will; the same for every store.

Interactive tasks wait in one line, batch tasks in another. Within a line tenants take turns in proportion to
their weights, and each tenant's own tasks begin in the order of their submission. What a tenant has had is
counted in ``used``: a task adds the inverse of the tenant's weight. The next turn is that of the tenant who
has used least, and who comes new, or after a pause, starts where the line has ``reached``: nobody saves up
turns, and nobody has to make up for them. (Start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from storage.errors import (
    DeadlinePassed,
    DeadlineUnreachable,
    QueueFull,
    StorageError,
    TenantQueueFull,
)
from storage.tasks import Priority

RECENT = 32
"""From how many of the tasks that ended last it is estimated how long a task takes."""

SETTLED_SECONDS = 2.0
"""A task that has waited for so long shows that all processes are busy, so that what runs is all that can."""

SHORTEST_RETRY, USUAL_RETRY, LONGEST_RETRY = 1.0, 5.0, 60.0
"""Seconds after which to try again what was refused; the second of them where nothing is known."""

Lengths = Mapping[Priority, Mapping[str, int]]
"""How many tasks wait to begin, by line and tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How many tasks may wait to begin, of all tenants and of one (None: any number), and in which order.

    ``weights`` says how many turns a tenant has while one without a weight has one. Of ``batch_every`` tasks
    that begin while both lines have some, the last is a batch task; at least 2.
    """

    most: int | None = None
    most_of_tenant: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    batch_every: int = 10

    def weight(self, tenant: str) -> float:
        """The weight of a tenant."""
        return self.weights.get(tenant, 1.0)

    def line(self, interactive: bool, batch: bool, passed_over: int) -> Priority:
        """The line whose turn it is, given which have tasks and how often batch tasks were passed over."""
        if batch and (not interactive or passed_over >= self.batch_every - 1):
            return Priority.BATCH
        return Priority.INTERACTIVE


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast tasks begin.

    ``running`` is how many run now, ``seconds`` how long those took on average that ended last (None: that is
    not known), and ``waited`` how many seconds the oldest of those that wait has waited.
    """

    running: int = 0
    seconds: float | None = None
    waited: float = 0.0

    @property
    def interval(self) -> float | None:
        """Seconds between two tasks that begin while some wait; None if that is not known."""
        if self.seconds is None or not self.running or self.waited < SETTLED_SECONDS:
            return None
        return self.seconds / self.running


def ahead(lengths: Lengths, tenant: str, priority: Priority, rules: Rules) -> float:
    """How many of the tasks that wait begin before the next one that this tenant submits."""
    line = lengths.get(priority, {})
    own = line.get(tenant, 0)
    turns = (own + 1) / rules.weight(tenant)
    before = own + sum(
        min(count, turns * rules.weight(other)) for other, count in line.items() if other != tenant
    )
    if priority is Priority.INTERACTIVE:
        return before + min(_total(lengths, Priority.BATCH), before / (rules.batch_every - 1))
    return before + min(_total(lengths, Priority.INTERACTIVE), (before + 1) * (rules.batch_every - 1))


def _total(lengths: Lengths, priority: Priority) -> int:
    return sum(lengths.get(priority, {}).values())


class Queue(Protocol):
    """What a store knows of its queue, each part found out only if it matters."""

    def total(self) -> int:
        """How many tasks wait."""
        ...

    def own(self, tenant: str) -> int:
        """How many of those are a tenant's."""
        ...

    def lengths(self) -> Lengths:
        """How many of those there are in each line, by tenant."""
        ...

    def pace(self) -> Pace:
        """How fast tasks begin."""
        ...


def refusal(
    queue: Queue, rules: Rules, tenant: str, priority: Priority, left: float | None
) -> StorageError | None:
    """Why one more task, with ``left`` seconds until its deadline, may not wait; None if it may."""
    if left is not None and left <= 0:
        return passed()
    if rules.most_of_tenant is not None and (own := queue.own(tenant)) >= rules.most_of_tenant:
        active = {other for line in queue.lengths().values() for other, count in line.items() if count}
        turns = sum(map(rules.weight, active)) / rules.weight(tenant)
        return TenantQueueFull(
            f"{own} tasks of tenant {tenant!r} wait to begin, and at most {rules.most_of_tenant} may; "
            "try again when some have begun",
            retry_after=_bounded(queue.pace().interval, turns),
        )
    if rules.most is not None and (waiting := queue.total()) >= rules.most:
        return QueueFull(
            f"{waiting} tasks wait to begin, and at most {rules.most} may; try again when some have begun",
            retry_after=_bounded(queue.pace().interval, 1.0),
        )
    return None if left is None else _out_of_reach(queue, rules, tenant, priority, left)


def passed() -> DeadlinePassed:
    """The deadline of a new task has passed."""
    return DeadlinePassed("the deadline has passed; give one in the future, or none")


def _out_of_reach(
    queue: Queue, rules: Rules, tenant: str, priority: Priority, left: float
) -> StorageError | None:
    if (interval := queue.pace().interval) is None:
        return None
    before = ahead(queue.lengths(), tenant, priority, rules)
    wait = before * interval
    if before < 1 or wait <= left:
        return None
    return DeadlineUnreachable(
        f"the task would begin in about {wait:.0f} s, as some {before:.0f} tasks begin before it, but its "
        f"deadline is in {left:.3g} s; try again later, or give it more time",
        retry_after=_bounded(wait - left, 1.0),
    )


def _bounded(seconds: float | None, times: float) -> float:
    if seconds is None:
        return USUAL_RETRY
    return min(LONGEST_RETRY, max(SHORTEST_RETRY, seconds * times))


def expired() -> dict[str, str]:
    """The error of a task whose deadline passed before it began."""
    return {"code": "deadline_exceeded", "message": "its deadline passed before a process had room for it"}
