"""Which attempts have waited longer than their replica's past explains."""

from __future__ import annotations

from workers.pool.flight import Flight
from workers.pool.replica import Replica

LOOK_SECONDS = 1.0
"""How often replicas are looked at, in seconds; calls sent closer together than that have no order."""

SLOWEST_PREFILL = 200.0
"""Tokens/s; assumed of a replica that has not shown how fast it is."""


def stalled(replica: Replica, seconds: float, times: float, now: float) -> list[Flight[Replica]]:
    """Attempts silent for more than ``times`` what is normal there; ``seconds`` are normal anywhere."""
    pace = replica.pace
    step = pace.step_seconds(len(replica.flights))
    prefill = pace.measured_prefill / 4 if pace.measured_prefill is not None else SLOWEST_PREFILL

    def expected(flight: Flight[Replica]) -> float:
        return 20 * step if flight.first_at is not None else flight.prefill_ahead / prefill

    def silent(flight: Flight[Replica]) -> float:
        # It may wait inside the engine for earlier calls, as long as no later one has begun.
        queued = flight.first_at is None and flight.sent_at + LOOK_SECONDS >= replica.latest_begun
        return now - max(flight.silent_since, replica.last_progress if queued else 0.0)

    return [flight for flight in replica.flights if silent(flight) > times * max(seconds, expected(flight))]
