"""A tournament of running branches: what does badly gives its place to copies of what does well."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, between
from orchestrator.consensus.stopping.view import (
    Branch,
    Cancel,
    Continue,
    Copy,
    Decision,
    Json,
    Signal,
    Stop,
    Tally,
    View,
)


@dataclass(frozen=True, slots=True)
class Tournament(Rule):
    """Swap the worst running branches for copies of the best, segment by segment (after arXiv 2608.08020).

    When all running branches have completed one more segment, at least ``warmup``, they are compared. Those
    whose score is below ``floor`` are cancelled, but never the best. While fewer than ``capacity`` branches
    have finished or run, the best are copied; else the ``swap`` worst are cancelled for copies of as many
    best ones, once for each segment. Of ``width`` branches in all, what exceeds ``capacity`` is for copies.

    The score is in [0, 1]: with the weight ``agreement``, the share of the branches which give the answer
    that this one gives when it is made to; for the rest, the mean confidence of its last segment, divided by
    that of the surest branch. The winner is the answer with the most weight: for the same rest, a branch
    weighs as much as its confidence, divided by that of the surest.
    """

    name: ClassVar[str] = "tournament"
    capacity: int = 8
    swap: int = 1
    warmup: int = 1
    floor: float = 0.1
    agreement: float = 0.5
    width: int = 16

    def __post_init__(self) -> None:
        between("capacity", self.capacity, 1, 10_000)
        between("swap", self.swap, 0, 10_000)
        between("warmup", self.warmup, 1, 10_000)
        between("floor", self.floor, 0, 1)
        between("agreement", self.agreement, 0, 1)
        Rule.__post_init__(self)

    @property
    def needs(self) -> frozenset[Signal]:
        """The progress of branches, and what the score is made of."""
        needed: set[Signal] = {"tokens"}
        if self.agreement > 0:
            needed.add("probes")
        if self.agreement < 1:
            needed.add("confidence")
        return frozenset(needed)

    @property
    def initial(self) -> int:
        """The capacity."""
        return min(self.capacity, self.width)

    def decide(self, view: View) -> Decision:
        """Compare what runs, if it has come to the end of a segment."""
        if not view.running:
            return Stop("exhausted", self._tally(view).winner)
        compared = [branch for branch in view.running if branch.cluster is None]  # others await a verdict
        boundary = min(map(self._completed, compared), default=0)
        if boundary < self.warmup:
            return Continue()
        scores = self._scores(view, compared, boundary)
        ranked = sorted(scores, key=lambda index: (-scores[index], index))
        seen: dict[str, Json] = {
            "segments": boundary,
            "scores": {str(index): round(scores[index], 6) for index in ranked},
        }
        best = scores[ranked[0]]
        if weak := tuple(index for index in ranked if scores[index] < min(self.floor, best)):
            return Cancel(weak, seen)
        open_ = self.capacity - len(view.finished) - len(view.running)
        missing = min(open_, len(ranked), view.room)
        if missing > 0:
            return Copy(tuple(ranked[:missing]), boundary, seen)
        every = (*view.finished, *view.running, *view.lost)
        if any(branch.inherited == boundary for branch in every):
            return Continue(seen)
        most = min(self.swap, len(ranked) // 2, view.room)
        worst = tuple(index for index in ranked[len(ranked) - most :] if scores[index] < best)
        return Cancel(worst, seen) if worst else Continue(seen)

    def _completed(self, branch: Branch) -> int:
        """The segments after which a branch can be compared."""
        return min(len(branch.segments), len(branch.probes)) if self.agreement else len(branch.segments)

    def _scores(self, view: View, compared: Sequence[Branch], boundary: int) -> Mapping[int, float]:
        sure = _relative({each.index: each.segments[boundary - 1] for each in compared})
        if not self.agreement:
            return sure
        said = {each.index: each.probes[boundary - 1] for each in compared}
        votes = Counter([*said.values(), *(branch.cluster for branch in view.finished)])
        of = votes.total()
        share = {index: 0.0 if cluster is None else votes[cluster] / of for index, cluster in said.items()}
        return {at: (1 - self.agreement) * sure[at] + self.agreement * share[at] for at in share}

    def _tally(self, view: View) -> Tally:
        known = [[each for each in branch.segments if each is not None] for branch in view.finished]
        sure = _relative({at: fmean(each) if each else None for at, each in enumerate(known)})
        if not any(sure.values()):
            return view.tally()
        rest = 1 - self.agreement
        return Tally.of(view.finished, [rest * sure[at] + self.agreement for at in range(len(known))])


def _relative(confidences: Mapping[int, float | None]) -> dict[int, float]:
    """Each confidence divided by the largest; 0 where it is unknown."""
    known = {
        at: each if each is not None and math.isfinite(each) and each > 0 else 0.0
        for at, each in confidences.items()
    }
    largest = max(known.values(), default=0.0)
    return {at: each / largest if largest else 0.0 for at, each in known.items()}
