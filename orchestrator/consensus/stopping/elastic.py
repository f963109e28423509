"""Our own rule: start some, ask for less certainty as votes come in, expand only where votes are missing."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.counting import majority_posterior
from orchestrator.consensus.stopping.rule import Rule, between, wait_or_end
from orchestrator.consensus.stopping.view import Decision, Expand, Stop, View


@dataclass(frozen=True, slots=True)
class Elastic(Rule):
    """Elastic width.

    *Start* ``width ** (1 - patience / 2)`` branches: all of them at patience 0 (fastest), the square root
    at 1 (thriftiest). The more branches run side by side, the sooner the third one finishes, at the price of
    the others' tokens.

    *Stop* when the posterior of the leader reaches what is asked. If branches arrive in the order of their
    length, that is ``threshold`` as long as only a unanimous vote could reach it, and then falls in a
    straight line to a half at ``quorum`` votes, where the plurality wins: the branches still missing would be
    the longest and most expensive ones, and those are right less often. If the order of arrival has nothing
    to do with length (the delay was the server's, or the answers are equally long), later votes are worth
    as much as early ones and cost no more; then ``independent`` is asked throughout, without a quorum. If a
    quorum of branches gave no answer at all, those still running are waited for, and no more are started.

    *Expand* when fewer branches run than votes are missing: to the quorum if the answers differ (or, where
    none applies, until that many branches run), to a unanimous decision if they do not. Failed and empty
    branches are replaced in the same way.
    """

    name: ClassVar[str] = "elastic"
    patience: float = 0.43
    quorum: int = 14
    threshold: float = 0.93
    width: int = 64
    independent: float = 0.95

    def __post_init__(self) -> None:
        between("patience", self.patience, 0, 1)
        between("quorum", self.quorum, 1, math.inf)
        between("threshold", self.threshold, 0.5, 0.9999)
        between("independent", self.independent, 0.5, 0.9999)
        Rule.__post_init__(self)

    @property
    def initial(self) -> int:
        """At least as many as a unanimous decision takes."""
        return min(
            self.width, max(unanimous(self.threshold), round(math.pow(self.width, 1 - self.patience / 2)))
        )

    def asked(self, votes: int) -> float:
        """The posterior that stops the vote after so many votes, if they arrive in the order of length."""
        if votes >= self.quorum:
            return 0.5
        least = unanimous(self.threshold)
        fallen = max(0, votes - least) / max(1, self.quorum - least)
        return self.threshold - (self.threshold - 0.5) * fallen

    def decide(self, view: View) -> Decision:
        """Stop on the posterior that is asked by now, expand if votes are missing, otherwise wait."""
        tally = view.tally()
        votes = len(view.finished)
        running = len(view.running)
        posterior = majority_posterior(tally.first, tally.against)
        ordered = in_order_of_length(
            [each.tokens for each in view.finished if each.index < self.initial and each.cluster is not None]
        )
        threshold = self.threshold if ordered else self.independent
        asked = self.asked(votes) if ordered else self.independent
        seen = {
            "posterior": round(posterior, 6),
            "asked": round(asked, 6),
            "first": tally.first,
            "second": tally.second,
            "votes": votes,
        }
        missing = (min(self.quorum, self.width) if ordered else self.width) - votes
        if tally.leaders:
            may_come = min(missing, running + view.room) * view.heaviest
            certain = missing > 0 and tally.first > tally.against + may_come
            if posterior >= threshold or certain or (missing > 0 and posterior >= asked):
                return Stop("agreed", tally.winner, seen)
            if missing <= 0:
                return Stop("given_up" if running or view.room else "exhausted", tally.winner, seen)
        if missing > 0:
            wanted = unanimous(threshold) - votes if tally.unanimous else min(missing, self.quorum)
            short = min(view.room, max(1, wanted) - running)
            if short > 0:
                return Expand(short, seen)
        return wait_or_end(view, tally, seen)


def unanimous(threshold: float) -> int:
    """The number of equal votes that reaches a threshold: the posterior of k of k is 1 - 2^-(k+1)."""
    return max(1, math.ceil(math.log2(1 / (1 - threshold))) - 1)


def in_order_of_length(arrived: Sequence[int]) -> bool:
    """Whether answers that were begun together arrived in order of length (tokens, in order of arrival).

    They did if Kendall's tau of the two orders is at least 1/2; a single answer always did.
    """
    shorter: list[int] = []
    concordant = discordant = 0
    for at, tokens in enumerate(arrived):
        below, upto = bisect_left(shorter, tokens), bisect_right(shorter, tokens)
        concordant += below
        discordant += at - upto
        shorter.insert(upto, tokens)
    pairs = len(arrived) * (len(arrived) - 1) // 2
    return 2 * (concordant - discordant) >= pairs
