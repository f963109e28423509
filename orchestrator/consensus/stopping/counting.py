"""Rules that look at the votes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, wait_or_end
from orchestrator.consensus.stopping.view import Decision, Stop, View


def majority_posterior(first: float, second: float) -> float:
    """The probability that the leader has more than half of what the two leading answers will get.

    P(p > 1/2) for p ~ Beta(first + 1, second + 1) (adaptive consistency, arXiv 2305.11860). For whole counts
    it is the closed form P(Binomial(first + second + 1, 1/2) <= first). Weights are rounded down.
    """
    a, b = int(first), int(second)
    trials = a + b + 1
    return float(sum(math.comb(trials, k) for k in range(a + 1)) / (1 << trials))


@dataclass(frozen=True, slots=True)
class FixedN(Rule):
    """Plain voting: wait for all (self-consistency, arXiv 2203.11171)."""

    name: ClassVar[str] = "fixed"
    width: int = 8

    def decide(self, view: View) -> Decision:
        """Stop when all have finished."""
        return wait_or_end(view, view.tally())


@dataclass(frozen=True, slots=True)
class Beta(Rule):
    """Start all, judge arrivals as they come, and stop when the leader will very probably stay ahead."""

    name: ClassVar[str] = "beta"
    threshold: float = 0.95
    min_finished: int = 3
    width: int = 8

    def __post_init__(self) -> None:
        Rule.__post_init__(self)  # super() without arguments fails in a class that slots recreate
        if not 0.5 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0.5 and 1, got {self.threshold}")

    def decide(self, view: View) -> Decision:
        """Stop when the posterior has reached the threshold, or a lead cannot be caught any more."""
        tally = view.tally()
        posterior = majority_posterior(tally.first, tally.second)
        seen = {"posterior": round(posterior, 6), "first": tally.first, "second": tally.second}
        if len(view.finished) >= self.min_finished:
            decided = tally.first > tally.second + len(view.running) + view.room
            if posterior >= self.threshold or decided:
                return Stop("agreed", tally.winner, seen)
        return wait_or_end(view, tally, seen)
