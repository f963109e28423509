"""Which new tasks may wait: within the bounds of the queue, and only if they begin before their deadlines.

This is asked in the transaction that stores them. On PostgreSQL such transactions take turns, so that no two
processes can fill the last place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from sqlalchemy import Connection, bindparam, func, literal_column, or_, select

from storage.errors import StorageError
from storage.queueing import RECENT, Lengths, Pace, passed, refusal
from storage.sql.columns import is_text
from storage.sql.journal import Arrival, Portion
from storage.sql.tables import keys, tasks
from storage.sql.turns import indexed, waits
from storage.tasks import Priority

SILENCE_SECONDS = 5.0
"""How long a process that was stopped in the middle of a submission keeps others from submitting, on
PostgreSQL."""

_ADMISSION_LOCK = 0x616E6163  # any number that all our processes agree on


def admitted(
    connection: Connection, arrivals: Sequence[Portion], time: float, *, again: bool
) -> Sequence[Portion]:
    """The arrivals that are to be stored; sets the ``error`` of those that are refused.

    An arrival for which there is no room is neither, if its task is there: the first one with its idempotency
    key or, if this is tried ``again``, its own.
    """
    entering: list[Portion] = []
    queue: _Queue | None = None
    for portion in arrivals:
        arrival = portion.arrival
        if arrival is None or not _asks(arrival):
            entering.append(portion)
            continue
        if queue is None:
            queue = _Queue(connection, time)
        if (refusal := queue.refusal(arrival)) is None:
            queue.enter(arrival)
            entering.append(portion)
        elif not _is_there(connection, arrival, portion.task_id if again else None):
            portion.error = refusal
    return entering


def deadline_of(arrival: Arrival, time: float) -> float | None:
    """The deadline of a task that is submitted now, in seconds since the epoch."""
    deadline: float | None = arrival.values["deadline"]
    return deadline if arrival.within is None else time + arrival.within


def lengths(connection: Connection) -> Lengths:
    """How many tasks wait to begin, by line and tenant."""
    counted: dict[Priority, dict[str, int]] = {priority: {} for priority in Priority}
    for row in connection.execute(_LENGTHS):
        if row.priority in _PRIORITIES and is_text(row.tenant):
            counted[Priority(row.priority)][row.tenant] = int(row.number)
    return counted


def _asks(arrival: Arrival) -> bool:
    """Whether the queue has a say in whether the task is stored."""
    rules = arrival.rules
    bounded = arrival.owner is None and (rules.most is not None or rules.most_of_tenant is not None)
    return bounded or arrival.within is not None or arrival.values["deadline"] is not None


class _Queue:
    """The queue within a transaction, with what the transaction adds to it."""

    def __init__(self, connection: Connection, time: float) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCK)
        self._connection = connection
        self._time = time
        self._stored_own: dict[str, int] = {}
        self._entered: Counter[tuple[Priority, str]] = Counter()

    def refusal(self, arrival: Arrival) -> StorageError | None:
        """Why the task may not be stored; None if it may."""
        deadline = deadline_of(arrival, self._time)
        left = None if deadline is None else deadline - self._time
        if arrival.owner is not None:  # it waits for nobody
            return passed() if left is not None and left <= 0 else None
        return refusal(self, arrival.rules, arrival.values["tenant"], _priority(arrival), left)

    def enter(self, arrival: Arrival) -> None:
        """Count a task that is about to be stored."""
        if arrival.owner is None:
            self._entered[_priority(arrival), arrival.values["tenant"]] += 1

    def total(self) -> int:
        """How many tasks wait."""
        return self._stored_total + self._entered.total()

    def own(self, tenant: str) -> int:
        """How many of those are a tenant's."""
        if tenant not in self._stored_own:
            found = self._connection.execute(_OWN, {"tenant": tenant}).scalar_one()
            self._stored_own[tenant] = int(found)
        return self._stored_own[tenant] + sum(self._entered[priority, tenant] for priority in Priority)

    def lengths(self) -> Lengths:
        """How many of those there are in each line, by tenant."""
        counted = {priority: dict(line) for priority, line in self._stored_lengths.items()}
        for (priority, tenant), count in self._entered.items():
            counted[priority][tenant] = counted[priority].get(tenant, 0) + count
        return counted

    def pace(self) -> Pace:
        """How fast tasks begin."""
        return self._pace

    @cached_property
    def _stored_total(self) -> int:
        return int(self._connection.execute(_TOTAL).scalar_one())

    @cached_property
    def _stored_lengths(self) -> Lengths:
        return lengths(self._connection)

    @cached_property
    def _pace(self) -> Pace:
        took = [each for each in self._connection.execute(_TOOK).scalars() if _is_time(each)]
        oldest = self._connection.execute(_OLDEST).scalar_one()
        return Pace(
            running=int(self._connection.execute(_RUNNING).scalar_one()),
            seconds=sum(took) / len(took) if took else None,
            waited=self._time - oldest if _is_time(oldest) else 0.0,
        )


def _priority(arrival: Arrival) -> Priority:
    return Priority(arrival.values["priority"])


def _is_there(connection: Connection, arrival: Arrival, task_id: str | None) -> bool:
    """Whether the task, or the first one with its idempotency key, is stored already."""
    values = arrival.values
    if task_id is not None and connection.execute(_SAME_ID, {"id": task_id}).first() is not None:
        return True
    if values["idempotency_key"] is None:
        return False
    key = {"tenant": values["tenant"], "idempotency_key": values["idempotency_key"]}
    return connection.execute(_SAME_KEY, key).first() is not None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


_PRIORITIES = frozenset(each.value for each in Priority)
_TOTAL = indexed(select(func.count()).select_from(tasks).where(waits()), "tasks_waiting_idx")
_LENGTHS = indexed(
    select(tasks.c.priority, tasks.c.tenant, func.count().label("number"))
    .where(waits())
    .group_by(tasks.c.priority, tasks.c.tenant),
    "tasks_waiting_idx",
)
_OLDEST = indexed(select(func.min(tasks.c.created_at)).where(waits()), "tasks_waiting_idx")
_OWN = indexed(
    select(func.count())
    .select_from(tasks)
    .where(
        waits(),
        tasks.c.priority.in_([literal_column(f"'{each.value}'") for each in Priority]),
        tasks.c.tenant == bindparam("tenant"),
    ),
    "tasks_waiting_idx",
)
_RUNNING = indexed(
    select(func.count()).select_from(tasks).where(tasks.c.status == literal_column("'running'")),
    "tasks_running_idx",
)
_RAN_HERE = or_(tasks.c.submitted_by.is_not(None), ~select(keys.c.id).exists())
"""Where there are keys, what none has asked for may be imported, and how long that took is anybody's word."""

_TOOK = indexed(
    select(tasks.c.finished_at - tasks.c.started_at)
    .where(tasks.c.started_at.is_not(None), tasks.c.finished_at.is_not(None), _RAN_HERE)
    .order_by(tasks.c.finished_at.desc())
    .limit(RECENT),
    "tasks_ran_idx",
)
_SAME_ID = select(tasks.c.key).where(tasks.c.id == bindparam("id"))
_SAME_KEY = select(tasks.c.key).where(
    tasks.c.tenant == bindparam("tenant"), tasks.c.idempotency_key == bindparam("idempotency_key")
)
_LOCK = select(
    func.set_config("idle_in_transaction_session_timeout", f"{SILENCE_SECONDS * 1000:.0f}", True),
    func.pg_advisory_xact_lock(_ADMISSION_LOCK),
)
