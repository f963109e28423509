"""Which calls are let into a pool, and which are in it."""

from __future__ import annotations

from workers.calls import Call
from workers.errors import Overloaded
from workers.pool.dispatch import Dispatcher
from workers.pool.families import Families
from workers.pool.flight import Ticket
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.prefix.blocks import Chains


class Admission:
    """The door of a pool: bounds how many calls wait, and counts calls by tenant and family.

    Args:
        pool: its name, for errors.
        max_waiting: calls that may wait. One tenant may have three quarters of that; beyond it, only calls of
            families that are already in the pool are let in, so that what has begun can end.
        patience: seconds after which to come back if no replica works.
    """

    def __init__(
        self,
        pool: str,
        placement: Placement,
        dispatcher: Dispatcher,
        chains: Chains,
        *,
        max_waiting: int,
        patience: float,
    ) -> None:
        self.families = Families()
        self.tenants: dict[str, int] = {}  # calls in the pool
        self._pool = pool
        self._placement = placement
        self._dispatcher = dispatcher
        self._chains = chains
        self._max_waiting = max_waiting
        self._patience = patience
        self._calls = 0

    def admit(self, call: Call, now: float) -> Ticket[Replica]:
        """Let ``call`` in.

        Raises:
            Overloaded: too many calls are waiting.
        """
        waiting = self._dispatcher.waiting
        here = self.tenants.get(call.tenant, 0)
        reserved = self._max_waiting * 3 // 4
        crowded = waiting >= reserved and here > reserved and not self.families.has_calls(call.family)
        if waiting >= self._max_waiting or crowded:
            raise Overloaded(
                f"{waiting} calls wait in {self._pool}, which has {here} of tenant {call.tenant!r}; "
                f"at most {self._max_waiting} may wait",
                retry_after=self._retry_after(waiting - reserved),
            )
        self._calls += 1
        self.tenants[call.tenant] = here + 1
        age = self.families.join(call.family, self._calls)
        return Ticket(call, self._chains.of(call.prompt, call.tenant, call.functions), self._calls, age, now)

    def leave(self, ticket: Ticket[Replica]) -> None:
        """A call that was let in is over."""
        self.families.leave(ticket.call.family)
        left = self.tenants[ticket.tenant] - 1
        if left:
            self.tenants[ticket.tenant] = left
        else:
            del self.tenants[ticket.tenant]

    def _retry_after(self, excess: int) -> float:
        """Estimated seconds until ``excess`` calls have ended."""
        rate = sum(  # calls that end per second
            one.limit.value / max(1e-3, one.pace.service_seconds)
            for one in self._placement.replicas
            if one.accepting
        )
        return min(60.0, max(0.1, excess / rate)) if rate else self._patience
