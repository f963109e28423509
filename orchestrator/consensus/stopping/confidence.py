"""Rules that weigh a branch by its own confidence (DeepConf, arXiv 2508.15260)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, between, wait_or_end
from orchestrator.consensus.stopping.view import Branch, Cancel, Decision, Expand, Signal, Stop, Tally, View


def _confidence(branch: Branch) -> float:
    """A branch whose confidence is unknown or not a number counts as the least confident."""
    value = branch.confidence
    return value if value is not None and math.isfinite(value) and value > 0 else 0.0


def confident_tally(finished: Sequence[Branch], keep: float) -> Tally:
    """The votes of the ``keep`` most confident share of the answers, each weighted by its confidence.

    If no confidence is known at all, it is the plain vote.
    """
    answered = [branch for branch in finished if branch.cluster is not None]
    if not any(_confidence(branch) for branch in answered):
        return Tally.of(finished)
    ranked = sorted((_confidence(branch) for branch in answered), reverse=True)
    bar = ranked[max(1, math.ceil(keep * len(ranked))) - 1]
    weights = [confidence if (confidence := _confidence(branch)) >= bar else 0.0 for branch in finished]
    return Tally.of(finished, weights)


@dataclass(frozen=True, slots=True)
class DeepConfOffline(Rule):
    """Wait for all, then let the most confident vote (section 3.2). ``keep`` is 0.1 or 0.9 in the paper."""

    name: ClassVar[str] = "deepconf_offline"
    needs: ClassVar[frozenset[Signal]] = frozenset({"confidence"})
    keep: float = 0.1
    width: int = 64

    def __post_init__(self) -> None:
        between("keep", self.keep, 0, 1)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Stop when all have finished."""
        return wait_or_end(view, confident_tally(view.finished, self.keep))


@dataclass(frozen=True, slots=True)
class DeepConfOnline(Rule):
    """Abort branches that fall below the confidence of the first ones (section 3.3).

    The first ``warmup`` branches run to their end. The bar is the lowest group confidence that the ``keep``
    most confident share of them reached; then the others are started, and a branch is cancelled as soon
    as its lowest group confidence so far lies below the bar. Branches below the bar do not vote. The vote
    stops when one answer holds ``consensus`` of the weight. The warm-up is at most as large as the width.
    """

    name: ClassVar[str] = "deepconf"
    needs: ClassVar[frozenset[Signal]] = frozenset({"confidence", "tokens"})
    keep: float = 0.1
    warmup: int = 16
    consensus: float = 0.95
    width: int = 64

    def __post_init__(self) -> None:
        between("keep", self.keep, 0, 1)
        between("warmup", self.warmup, 1, math.inf)
        between("consensus", self.consensus, 0.5, 1)
        Rule.__post_init__(self)

    @property
    def initial(self) -> int:
        """The warm-up."""
        return min(self.warmup, self.width)

    def decide(self, view: View) -> Decision:
        """Set the bar after the warm-up, then cancel below it and stop on consensus."""
        started_first = [branch for branch in view.finished if branch.index < self.warmup]
        if any(branch.index < self.warmup for branch in view.running):
            return wait_or_end(view, view.tally())
        bar = self._bar([_confidence(branch) for branch in started_first])
        tally = Tally.of(
            view.finished,
            [value if (value := _confidence(branch)) >= bar else 0.0 for branch in view.finished],
        )
        if not any(tally.weights.values()):
            tally = view.tally()
        seen = {"bar": round(bar, 6), "share": round(tally.share, 6)}
        if tally.share >= self.consensus:
            return Stop("agreed", tally.winner, seen)
        hesitant = tuple(
            branch.index
            for branch in view.running
            if branch.confidence is not None and _confidence(branch) < bar
        )
        if hesitant:
            return Cancel(hesitant, seen)
        if view.room and view.started <= self.warmup:
            return Expand(view.room, seen)
        return wait_or_end(view, tally, seen)

    def _bar(self, confidences: list[float]) -> float:
        """The (1 - keep) quantile with linear interpolation, as the authors' code takes it."""
        if not confidences:
            return 0.0
        ranked = sorted(confidences)
        at = (1 - self.keep) * (len(ranked) - 1)
        below = ranked[math.floor(at)]
        return below + (ranked[math.ceil(at)] - below) * (at - math.floor(at))
