"""Our own rule: start some, ask for less certainty as votes come in, expand only where votes are missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.counting import majority_posterior
from orchestrator.consensus.stopping.rule import Rule, between, wait_or_end
from orchestrator.consensus.stopping.view import Decision, Expand, Stop, View


@dataclass(frozen=True, slots=True)
class Elastic(Rule):
    """Elastic width.

    *Start* ``width ** (1 - patience / 2)`` branches: all of them at patience 0 (fastest), the square root
    at 1 (thriftiest). The more branches run side by side, the sooner the third of them finishes, and the
    tokens of the others are the price.

    *Stop* when the posterior of the leader reaches what is asked. That is ``threshold`` as long as only a
    unanimous vote could reach it, and falls in a straight line to a half at ``quorum`` votes, where the
    plurality wins. A vote that is still split after that many seldom changes with more, and those would
    be the longest and dearest branches. If a quorum of branches gave no answer at all, those that still
    run are waited for, and no more are started. With a quorum far beyond ``width`` the threshold hardly
    falls, and the rule is Beta on arrivals that starts with fewer.

    *Expand* when fewer branches run than votes are missing: to the quorum where the answers differ, to a
    unanimous decision where they do not. Failed and empty branches are replaced in the same way.
    """

    name: ClassVar[str] = "elastic"
    patience: float = 0.43
    quorum: int = 14
    threshold: float = 0.93
    width: int = 64

    def __post_init__(self) -> None:
        between("patience", self.patience, 0, 1)
        between("quorum", self.quorum, 1, math.inf)
        between("threshold", self.threshold, 0.5, 0.9999)
        Rule.__post_init__(self)

    @property
    def initial(self) -> int:
        """At least as many as a unanimous decision takes."""
        return min(self.width, max(self.unanimous, round(math.pow(self.width, 1 - self.patience / 2))))

    @property
    def unanimous(self) -> int:
        """The number of equal votes that reaches the threshold: the posterior of k of k is 1 - 2^-(k+1)."""
        return max(1, math.ceil(math.log2(1 / (1 - self.threshold))) - 1)

    def asked(self, votes: int) -> float:
        """The posterior that stops the vote after so many."""
        if votes >= self.quorum:
            return 0.5
        fallen = max(0, votes - self.unanimous) / max(1, self.quorum - self.unanimous)
        return self.threshold - (self.threshold - 0.5) * fallen

    def decide(self, view: View) -> Decision:
        """Stop on the posterior that is asked by now, expand where votes are missing, else wait."""
        tally = view.tally()
        votes = len(view.finished)
        running = len(view.running)
        posterior = majority_posterior(tally.first, tally.second)
        asked = self.asked(votes)
        seen = {
            "posterior": round(posterior, 6),
            "asked": round(asked, 6),
            "first": tally.first,
            "second": tally.second,
            "votes": votes,
        }
        missing = min(self.quorum, self.width) - votes
        if tally.leaders:
            certain = missing > 0 and tally.first > tally.second + min(missing, running + view.room)
            if posterior >= self.threshold or certain or (missing > 0 and posterior >= asked):
                return Stop("agreed", tally.winner, seen)
            if missing <= 0:
                return Stop("given_up" if running or view.room else "exhausted", tally.winner, seen)
        if missing > 0:
            wanted = self.unanimous - votes if votes == tally.first else missing
            short = min(view.room, max(1, wanted) - running)
            if short > 0:
                return Expand(short, seen)
        return wait_or_end(view, tally, seen)
