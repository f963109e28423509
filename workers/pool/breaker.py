"""Whether a replica can be trusted with calls."""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum


class BreakerState(StrEnum):
    """``closed``: calls flow; ``open``: none do; ``half_open``: single calls test whether it works again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """A circuit breaker (Nygard, *Release It!*): failures in a row open it, a success closes it.

    What counts is how many different requests failed: one that fails again and again, while no other does,
    says more about itself than about the replica.

    It holds no timer: its owner waits ``delay`` seconds after it opened, checks whether the replica is
    healthy, and then calls :meth:`try_again`.

    Args:
        failures: requests that fail in a row, and open it. A replica that cannot be reached opens it at once.
        first_delay: seconds from the first opening to the first health check; doubles, up to
            ``longest_delay``, each time that the replica fails again.
    """

    def __init__(self, *, failures: int = 3, first_delay: float = 0.25, longest_delay: float = 10.0) -> None:
        self._threshold = failures
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._failed: set[Hashable] = set()  # what has failed since the last success
        self.delay = first_delay
        self.state = BreakerState.CLOSED
        self.reason = ""

    def succeeded(self) -> None:
        """A call got an answer."""
        self._failed.clear()
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self.delay = self._first_delay
            self.reason = ""

    def failed(self, reason: str, *, by: Hashable = None, fatal: bool = False) -> bool:
        """A call failed; returns whether this opened the breaker.

        Args:
            by: what failed; None if it was no request.
            fatal: one failure is enough.
        """
        known = by in self._failed
        self._failed.add(object() if by is None else by)
        if self.state is BreakerState.OPEN or (known and not fatal):
            return False
        if self.state is BreakerState.HALF_OPEN:
            self.postpone()
        elif not fatal and len(self._failed) < self._threshold:
            return False
        self.state = BreakerState.OPEN
        self.reason = reason
        return True

    def only(self, by: Hashable) -> bool:
        """Whether nothing but ``by`` has failed since the last success."""
        return self._failed <= {by}

    def postpone(self) -> None:
        """It is still not healthy: wait longer before the next health check."""
        self.delay = min(self._longest_delay, self.delay * 2)

    def try_again(self) -> None:
        """It looks healthy: let a call test it."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
