"""Rules that look at the votes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from orchestrator.consensus.entropy import discrete
from orchestrator.consensus.stopping.rule import Rule, between, unassailable, wait_or_end
from orchestrator.consensus.stopping.view import Decision, Expand, Stop, View


def majority_posterior(first: float, second: float) -> float:
    """The probability that the leader has more than half of what the two leading answers will get.

    ``second`` is what stands against the leader (:attr:`Tally.against`). P(p > 1/2) for
    p ~ Beta(first + 1, second + 1) (adaptive consistency, arXiv 2305.11860). For whole counts it is the
    closed form P(Binomial(first + second + 1, 1/2) <= first). Weights are rounded down.
    """
    return _posterior(int(first), int(second))


@lru_cache(maxsize=4096)
def _posterior(first: int, second: int) -> float:
    trials = first + second + 1
    return float(sum(math.comb(trials, k) for k in range(first + 1)) / (1 << trials))


@dataclass(frozen=True, slots=True)
class FixedN(Rule):
    """Plain voting: wait for all (self-consistency, arXiv 2203.11171)."""

    name: ClassVar[str] = "fixed"
    width: int = 8

    def decide(self, view: View) -> Decision:
        """Stop when all have finished."""
        return wait_or_end(view, view.tally())


@dataclass(frozen=True, slots=True)
class FirstAgreement(Rule):
    """Start all, and stop as soon as so many ``votes`` are for one answer: 1 takes the first that arrives.

    The fast modes of SSR (arXiv 2505.15340) are 1 and 2. It stops, too, once the branches that still run
    cannot change the answer.
    """

    name: ClassVar[str] = "agree"
    votes: int = 2
    width: int = 8

    def __post_init__(self) -> None:
        between("votes", self.votes, 1, math.inf)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop when one answer has the votes."""
        tally = view.tally()
        seen = {"first": tally.first, "second": tally.second}
        if tally.first >= self.votes:
            return Stop("agreed", tally.winner, seen)
        if view.running and unassailable(view, tally):
            return Stop("decided", tally.winner, seen)
        return wait_or_end(view, tally, seen)


@dataclass(frozen=True, slots=True)
class Beta(Rule):
    """Start all, judge arrivals as they come, and stop when the leader will very probably stay ahead."""

    name: ClassVar[str] = "beta"
    threshold: float = 0.95
    min_finished: int = 3
    width: int = 8

    def __post_init__(self) -> None:
        between("threshold", self.threshold, 0.5, 1)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop when the posterior has reached the threshold, or the leader can no longer be caught."""
        tally = view.tally()
        posterior = majority_posterior(tally.first, tally.against)
        seen = {"posterior": round(posterior, 6), "first": tally.first, "second": tally.second}
        decided = posterior >= self.threshold or unassailable(view, tally)
        if decided and len(view.finished) >= self.min_finished:
            return Stop("agreed", tally.winner, seen)
        return wait_or_end(view, tally, seen)


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency(Rule):
    """One branch after another until the posterior suffices (ASC, arXiv 2305.11860, section 3).

    It ends before where the branches that are left cannot change the answer.
    """

    name: ClassVar[str] = "asc"
    threshold: float = 0.95
    width: int = 40

    def __post_init__(self) -> None:
        between("threshold", self.threshold, 0.5, 1)
        Rule.__post_init__(self)

    @property
    def initial(self) -> int:
        """One."""
        return 1

    def decide(self, view: View) -> Decision:
        """Stop on the posterior, otherwise start the next branch."""
        tally = view.tally()
        posterior = majority_posterior(tally.first, tally.against)
        seen = {"posterior": round(posterior, 6), "first": tally.first, "second": tally.second}
        if posterior >= self.threshold:
            return Stop("agreed", tally.winner, seen)
        if (view.running or view.room) and unassailable(view, tally):
            return Stop("decided", tally.winner, seen)
        if not view.running and view.room:
            return Expand(1, seen)
        return wait_or_end(view, tally, seen)


@dataclass(frozen=True, slots=True)
class EarlyStopping(Rule):
    """Windows in a row; the first unanimous window decides (ESC, arXiv 2401.10480, section 3.1).

    A window is at most as large as the width.
    """

    name: ClassVar[str] = "esc"
    window: int = 5
    width: int = 40

    def __post_init__(self) -> None:
        between("window", self.window, 1, math.inf)
        Rule.__post_init__(self)

    @property
    def initial(self) -> int:
        """One window."""
        return min(self.window, self.width)

    def decide(self, view: View) -> Decision:
        """Judge the window once all of it has finished."""
        tally = view.tally()
        if view.running:
            return wait_or_end(view, tally)
        begin = (view.started - 1) // self.window * self.window
        answers = [branch.cluster for branch in view.finished if branch.index >= begin]
        seen = {"window": begin // self.window, "answers": len(set(answers))}
        if len(answers) == view.started - begin and len(set(answers)) == 1 and answers[0] is not None:
            return Stop("agreed", answers[0], seen)
        return Expand(min(self.window, view.room), seen) if view.room else wait_or_end(view, tally, seen)


@dataclass(frozen=True, slots=True)
class EntropyThreshold(Rule):
    """Start all, and stop once the entropy of the arrived answers is low (Farquhar et al., Nature 2024).

    It stops, too, once the branches that still run cannot change the answer.
    """

    name: ClassVar[str] = "entropy"
    nats: float = 0.3
    min_finished: int = 4
    width: int = 8

    def __post_init__(self) -> None:
        between("nats", self.nats, 0, 100)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop when the entropy is defined and low enough."""
        tally = view.tally()
        answers = [branch.cluster for branch in view.finished if branch.cluster is not None]
        silent = [branch.weight for branch in view.finished if branch.cluster is None]
        entropy = discrete(
            [answers.count(cluster) for cluster in tally.weights],
            abstained=len(silent),
            weights=[*tally.weights.values(), *silent],
        ).nats
        seen = {"entropy": None if entropy is None else round(entropy, 6), "answers": len(answers)}
        if entropy is not None and len(answers) >= self.min_finished and entropy <= self.nats:
            return Stop("agreed", tally.winner, seen)
        if view.running and unassailable(view, tally):
            return Stop("decided", tally.winner, seen)
        return wait_or_end(view, tally, seen)
