"""What happened since the start, on one replica and in a pool as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import Histogram

QUEUE_WAIT_BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
FIRST_TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


@dataclass(slots=True)
class Tally:
    """What happened on a replica since the start."""

    finished: int = 0
    failed: int = 0
    aborted: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    ideal_cached_tokens: float = 0.0
    completion_tokens: int = 0
    wasted_tokens: int = 0
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class PoolTally:
    """What happened in the pool as a whole since its start."""

    queue_wait: Histogram = field(
        default_factory=lambda: Histogram(
            "anabranch_pool_queue_wait_seconds",
            "From arrival to sending.",
            buckets=QUEUE_WAIT_BOUNDS,
            registry=None,
        )
    )
    first_token: Histogram = field(
        default_factory=lambda: Histogram(
            "anabranch_pool_first_token_seconds",
            "From sending to the first token.",
            buckets=FIRST_TOKEN_BOUNDS,
            registry=None,
        )
    )
    first_tokens: int = 0
    first_token_seconds: float = 0.0
    refused: int = 0
    restarts: int = 0
    hedges: int = 0
    hedges_won: int = 0
    warmed: int = 0
    warmed_tokens: int = 0

    def began(self, seconds: float) -> None:
        """Count a call whose first token came so many seconds after it was sent."""
        self.first_token.observe(seconds)
        self.first_tokens += 1
        self.first_token_seconds += seconds
