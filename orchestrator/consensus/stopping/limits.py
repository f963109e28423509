"""Rules that end a vote for a reason outside the votes. Combine them with one that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, between, unassailable, wait_or_end
from orchestrator.consensus.stopping.view import Continue, Decision, Signal, Stop, Tally, View


@dataclass(frozen=True, slots=True)
class FirstVerified(Rule):
    """Stop at the first answer that a verifier accepts.

    If none is accepted, the majority of those that it did not refuse wins.
    """

    name: ClassVar[str] = "first_verified"
    needs: ClassVar[frozenset[Signal]] = frozenset({"verdicts"})
    width: int = 8

    def decide(self, view: View) -> Decision:
        """Stop on a verdict."""
        for branch in view.finished:
            if branch.verified and branch.cluster is not None:
                return Stop("verified", branch.cluster, {"branch": branch.index})
        left = [branch for branch in view.finished if branch.verified is not False]
        return wait_or_end(view, Tally.of(left), {"refused": len(view.finished) - len(left)})


@dataclass(frozen=True, slots=True)
class Deadline(Rule):
    """Stop with the leader when the time, in seconds since the first branch started, is up.

    Or before, once the branches that still run cannot change the answer.
    """

    name: ClassVar[str] = "deadline"
    seconds: float = 60.0
    width: int = 8

    def __post_init__(self) -> None:
        between("seconds", self.seconds, 0, 1e9)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop, or ask to be woken at the deadline."""
        tally = view.tally()
        left = self.seconds - view.elapsed
        seen = {"elapsed": round(view.elapsed, 3)}
        if left <= 0:
            return Stop("deadline", tally.winner, seen)
        if view.running and unassailable(view, tally):
            return Stop("decided", tally.winner, seen)
        return Continue(seen, wake=left) if view.running else wait_or_end(view, tally, seen)


@dataclass(frozen=True, slots=True)
class TokenBudget(Rule):
    """Stop with the leader when all branches together have generated this many ``tokens``.

    Or before, once the branches that still run cannot change the answer.
    """

    name: ClassVar[str] = "token_budget"
    needs: ClassVar[frozenset[Signal]] = frozenset({"tokens"})
    tokens: int = 100_000
    width: int = 8

    def __post_init__(self) -> None:
        between("tokens", self.tokens, 1, 10**12)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop when they are spent."""
        tally = view.tally()
        spent = view.tokens
        if spent >= self.tokens:
            return Stop("budget", tally.winner, {"tokens": spent})
        if view.running and unassailable(view, tally):
            return Stop("decided", tally.winner, {"tokens": spent})
        return wait_or_end(view, tally, {"tokens": spent})
