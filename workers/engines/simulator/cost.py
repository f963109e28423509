"""How long a simulated engine takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """How long things take. Without arguments nothing takes any time.

    Attributes:
        latency: seconds before anything else happens to a call that was admitted.
        prefill_tokens_per_s: rate at which the engine computes uncached prompt tokens, one call at a time.
        decode_tokens_per_s: rate at which *one* call decodes, a number or a function of the calls that
            decode together.
        jitter: sigma of a lognormal factor with median 1, drawn for each call, on its latency and decoding.
    """

    latency: float = 0.0
    prefill_tokens_per_s: float = math.inf
    decode_tokens_per_s: float | Callable[[int], float] = math.inf
    jitter: float = 0.0

    def __post_init__(self) -> None:
        rate = self.decode_tokens_per_s
        if self.latency < 0 or self.jitter < 0:
            raise ValueError("latency and jitter cannot be negative")
        if self.prefill_tokens_per_s <= 0 or (not callable(rate) and rate <= 0):
            raise ValueError("a rate must be above 0 tokens/s; math.inf takes no time")

    def prefill_seconds(self, tokens: int) -> float:
        """Time to compute so many prompt tokens."""
        return tokens / self.prefill_tokens_per_s

    def step_seconds(self, batch: int) -> float:
        """Time from one token of a call to its next while ``batch`` calls decode."""
        rate = self.decode_tokens_per_s
        return 1.0 / (rate(batch) if callable(rate) else rate)
