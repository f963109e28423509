"""Rules that ask running branches for their answer so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.consensus.stopping.rule import Rule, between, wait_or_end
from orchestrator.consensus.stopping.view import Branch, Cancel, Continue, Decision, Signal, Stop, View


@dataclass(frozen=True, slots=True)
class ParallelProbe(Rule):
    """Stop when the majority of forced answers is stable, and prune dissenters (arXiv 2602.03845).

    All branches are probed together. The vote stops when the same answer led ``stable`` probes in a row
    after the first; a branch that disagreed with the leader in ``patience`` probes in a row, none of them
    among the first ``warmup``, is cancelled and no longer votes. A branch that has finished votes with its
    answer. No answer counts as an answer of its own, as in the authors' code.
    """

    name: ClassVar[str] = "parallel_probe"
    needs: ClassVar[frozenset[Signal]] = frozenset({"probes"})
    stable: int = 40
    patience: int = 7
    warmup: int = 15
    width: int = 64

    def __post_init__(self) -> None:
        between("stable", self.stable, 1, 10_000)
        between("patience", self.patience, 1, 10_000)
        between("warmup", self.warmup, 0, 10_000)
        Rule.__post_init__(self)

    def decide(self, view: View) -> Decision:
        """Judge the latest probe; between probes nothing changes."""
        if not view.running:
            return wait_or_end(view, view.tally())
        latest = min(len(branch.probes) for branch in view.running) - 1
        if latest < 1:
            return Continue()
        leader = _leader(view, latest)
        off = self._astray(view, latest)
        if off and len(off) < len(view.running) + len(view.finished):
            return Cancel(off, {"leader": leader, "probe": latest})
        seen = {"leader": leader, "probe": latest}
        if leader is None:  # a majority without an answer agrees on nothing
            return Continue(seen)
        if latest > self.stable and all(
            _leader(view, latest - back) == leader for back in range(self.stable, 0, -1)
        ):
            return Stop("agreed", leader, seen)
        return Continue(seen)

    def _astray(self, view: View, latest: int) -> tuple[int, ...]:
        """The running branches that disagreed with the leader of each of the last ``patience`` probes."""
        if latest - self.patience < self.warmup:
            return ()
        probes = range(latest, latest - self.patience, -1)
        left = view.running
        for at in probes:
            leader = _leader(view, at)
            left = tuple(branch for branch in left if branch.probes[at] != leader)
        return tuple(branch.index for branch in left)


def _leader(view: View, probe: int) -> int | None:
    lost = [branch for branch in view.lost if len(branch.probes) > probe]
    votes: dict[int | None, float] = {}
    for answer, weight in _answers((*view.finished, *view.running, *lost), probe):
        votes[answer] = votes.get(answer, 0) + weight
    return max(votes, key=lambda answer: votes[answer])


def _answers(branches: Sequence[Branch], probe: int) -> Iterator[tuple[int | None, float]]:
    for branch in branches:
        yield branch.probes[probe] if probe < len(branch.probes) else branch.cluster, branch.weight
