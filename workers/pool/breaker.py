"""Whether a replica can be trusted with calls."""

from __future__ import annotations

from enum import StrEnum


class BreakerState(StrEnum):
    """``closed``: calls flow; ``open``: none do; ``half_open``: single calls test whether it works again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """A circuit breaker (Nygard, *Release It!*): failures in a row open it, a success closes it.

    It holds no timer: its owner waits ``delay`` seconds after it opened, checks whether the replica is
    healthy, and then calls :meth:`try_again`.

    Args:
        failures: failures in a row that open it. A replica that cannot be reached opens it at once.
        first_delay: seconds from the first opening to the first health check; doubles, up to
            ``longest_delay``, each time that the replica fails again.
    """

    def __init__(self, *, failures: int = 3, first_delay: float = 0.25, longest_delay: float = 10.0) -> None:
        self._threshold = failures
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._failures = 0
        self.delay = first_delay
        self.state = BreakerState.CLOSED
        self.reason = ""

    def succeeded(self) -> None:
        """A call got an answer."""
        self._failures = 0
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self.delay = self._first_delay
            self.reason = ""

    def failed(self, reason: str, *, fatal: bool = False) -> bool:
        """A call failed; returns whether this opened the breaker. ``fatal``: one failure is enough."""
        self._failures += 1
        if self.state is BreakerState.OPEN:
            return False
        if self.state is BreakerState.HALF_OPEN:
            self.postpone()
        elif not fatal and self._failures < self._threshold:
            return False
        self.state = BreakerState.OPEN
        self.reason = reason
        return True

    def postpone(self) -> None:
        """It is still not healthy: wait longer before the next health check."""
        self.delay = min(self._longest_delay, self.delay * 2)

    def try_again(self) -> None:
        """It looks healthy: let a call test it."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
