"""Agreement across kinds of branches: a sure look ends the vote, or two kinds that say the same do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, between, unassailable
from orchestrator.consensus.stopping.view import Continue, Decision, Expand, Signal, Stop, View

FURTHER = 2
"""How many branches are started together where those so far disagree."""


@dataclass(frozen=True, slots=True)
class AcrossKinds(Rule):
    """Few branches first, and more where kinds disagree.

    A vote that asks in several ways has branches of several kinds. Samples of one kind share its mistakes, so
    the vote stops when branches of ``kinds`` kinds agree, and no other answer has as many votes. Branches of
    one kind never suffice, whatever their number, unless those that are left cannot change the answer.

    Of answers with equal votes, the one leads that more kinds gave, then that which was asked for first.

    ``looks`` branches begin. A single look ends the vote if the least probability of the tokens of its answer
    is at least ``sure``, never if that is 1; of several, none does. Where that is not enough, there are
    ``first`` branches, and then :data:`FURTHER` at a time up to ``width``. It needs no log-probabilities:
    without, no look is sure.
    """

    name: ClassVar[str] = "kinds"
    kinds: int = 2
    looks: int = 1
    first: int = 3
    sure: float = 0.6
    width: int = 6

    def __post_init__(self) -> None:
        between("kinds", self.kinds, 1, 64)
        between("looks", self.looks, 1, 64)
        between("first", self.first, 1, 64)
        between("sure", self.sure, 0, 1)
        Rule.__post_init__(self)

    @property
    def needs(self) -> frozenset[Signal]:
        """The kinds of branches."""
        return frozenset({"kinds"})

    @property
    def initial(self) -> int:
        """The looks."""
        return min(self.looks, self.width)

    def decide(self, view: View) -> Decision:
        """Stop on a sure look or on kinds that agree; start more once all have come, if they do not."""
        tally = view.tally()
        winner = _leader(view)
        may_end = self.looks == 1 and self.sure < 1
        looked = view.finished[0] if may_end and view.started == 1 and view.finished else None
        if looked is not None and looked.cluster is not None and (looked.sure or 0.0) >= self.sure:
            return Stop("sure", looked.cluster, {"first": 1, "votes": 1})
        kinds = {branch.kind for branch in view.finished if branch.cluster == winner}
        agreeing = len(kinds) if tally.leaders else 0
        seen = {
            "kinds": agreeing,
            "first": tally.first,
            "second": tally.second,
            "votes": len(view.finished),
        }
        if agreeing >= self.kinds and tally.first > tally.second:
            return Stop("agreed", winner, seen)
        if (view.running or view.room) and unassailable(view, tally):
            return Stop("decided", winner, seen)
        if not view.running and view.room:
            missing = self.first - view.started
            return Expand(min(view.room, missing if missing > 0 else FURTHER), seen)
        return Continue(seen) if view.running else Stop("exhausted", winner, seen)


def _leader(view: View) -> int | None:
    """The cluster with the most votes; of equals, that of more kinds, then that of the first branch."""
    tally = view.tally()
    given = [branch for branch in view.finished if branch.cluster in tally.weights]

    def rank(cluster: int) -> tuple[float, int, int]:
        own = [branch for branch in given if branch.cluster == cluster]
        return (-tally.weights[cluster], -len({each.kind for each in own}), min(each.index for each in own))

    return min(tally.leaders, key=rank, default=None)
