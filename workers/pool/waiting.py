"""The order in which waiting calls go out: fair across tenants, then by priority, families together."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What a queue has to know about a call.

    ``work`` is its expected cost in tokens. ``queued`` belongs to the queue: the number of the entry with
    which the call waits, 0 while it does not. By its number, the entry of a call that left is known to be
    stale, even if the call waits in another queue by then.
    """

    tenant: str
    priority: float
    family_age: int
    age: int
    work: float
    queued: int


STALE = 1_000
"""How many entries of calls that left, or of idle tenants, are kept in excess of the waiting calls."""

_entries = itertools.count(1)

W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """Start-time fair queueing across tenants (Goyal, Vin and Cheng 1996, with equal weights).

    Each tenant has a virtual clock that advances by the work it has been served; the tenant whose clock
    is furthest behind goes next. A tenant that was away starts at the current time, so it can neither
    save up service nor be punished for what it had when no other tenant waited.

    Within a tenant, the call with the highest priority goes first; among equals, the calls of the family
    that began first, so that the prefix of a family is used while it is warm (depth first over the
    prefix tree); within a family, in order of arrival. A call that leaves while it waits costs nothing: its
    ``queued`` is cleared and it is skipped later, or dropped with many others.
    """

    def __init__(self) -> None:
        self._calls: dict[str, list[tuple[float, int, int, int, W]]] = {}
        self._tenants: list[tuple[float, int, str]] = []  # heap: virtual clock, tie break, tenant
        self._turn = 0
        self._now = 0.0  # virtual time
        self._size = 0
        self._stale = 0  # entries of calls that left

    def __len__(self) -> int:
        return self._size

    def push(self, call: W) -> None:
        """Queue ``call``."""
        calls = self._calls.get(call.tenant)
        if calls is None:
            if len(self._calls) > 2 * (STALE + self._size):
                self._forget_idle()
            calls = self._calls[call.tenant] = []
            self._enter(call.tenant, self._now)
        call.queued = next(_entries)
        heapq.heappush(calls, (-call.priority, call.family_age, call.age, call.queued, call))
        self._size += 1

    def pop(self) -> W | None:
        """Take the call whose turn it is; None if no call waits."""
        while self._tenants:
            clock, _, tenant = heapq.heappop(self._tenants)
            calls = self._calls[tenant]
            while calls:
                _, _, _, entry, call = heapq.heappop(calls)
                if call.queued != entry:
                    self._stale -= self._stale > 0
                    continue
                call.queued = 0
                self._size -= 1
                self._now = clock
                # The tenant keeps its place even if none of its calls waits: its clock must charge this
                # service to its next call. The entry goes if none waits when its turn comes.
                self._enter(tenant, clock + call.work)
                return call
            del self._calls[tenant]
            self._now = max(self._now, clock)
        return None

    def remove(self, call: W) -> None:
        """``call`` no longer waits; does nothing if it did not."""
        if call.queued:
            call.queued = 0
            self._size -= 1
            self._stale += 1
            if self._stale > STALE + self._size:
                self._forget_stale()

    def some(self, most: int) -> Iterator[W]:
        """Up to ``most`` waiting calls, as near the end of the order as is cheap to find."""
        for calls in self._calls.values():
            for _, _, _, entry, call in reversed(calls):
                if most <= 0:
                    return
                if call.queued == entry:
                    most -= 1
                    yield call

    def siblings(self, call: W, most: int) -> list[W]:
        """The waiting calls of the family of ``call``, among the first ``most`` entries of its tenant."""
        return [
            other
            for _, _, _, entry, other in self._calls.get(call.tenant, ())[:most]
            if other.queued == entry and other.family_age == call.family_age
        ]

    def drain(self) -> list[W]:
        """Take all waiting calls out, in their order."""
        taken = []
        while (call := self.pop()) is not None:
            taken.append(call)
        return taken

    def _forget_stale(self) -> None:
        """Drop stale entries: calls far from their turn may keep leaving, and their prompts are large."""
        for calls in self._calls.values():
            calls[:] = [entry for entry in calls if entry[4].queued == entry[3]]
            heapq.heapify(calls)
        self._stale = 0

    def _forget_idle(self) -> None:
        """Drop idle tenants: while new ones keep coming, virtual time stands still and no turn comes again.

        Of the tenants without waiting calls, the half whose clocks are least ahead goes.
        """
        idle = [tenant for _, _, tenant in sorted(self._tenants) if not self._calls[tenant]]
        for tenant in idle[: (len(idle) + 1) // 2]:
            del self._calls[tenant]
        self._tenants = [entry for entry in self._tenants if entry[2] in self._calls]
        heapq.heapify(self._tenants)

    def _enter(self, tenant: str, clock: float) -> None:
        self._turn += 1
        heapq.heappush(self._tenants, (max(clock, self._now), self._turn, tenant))
