"""One answer out of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.consensus.stopping.view import Tally, View


@dataclass(frozen=True, slots=True)
class Merged:
    """The answer of a vote and what it rests on.

    ``confidence`` is the winner's share of the answers that were given, between 0 and 1; it is a share,
    not a probability of being right. ``counts`` are the votes by cluster; ``method`` names the merge.
    """

    method: str
    winner: int | None
    text: str | None
    confidence: float
    counts: Mapping[int, float]
    abstained: int


def majority(view: View, texts: Sequence[str], *, winner: int | None = None) -> Merged:
    """The largest cluster's answer; of equal ones the cluster that arrived first.

    ``texts`` are the representatives' texts by cluster index. ``winner`` is what a stop rule decided, where
    it decided otherwise.
    """
    return elect(view.tally(), texts, method="majority", winner=winner)


def elect(tally: Tally, texts: Sequence[str], *, method: str, winner: int | None = None) -> Merged:
    """The outcome of a tally."""
    chosen = tally.winner if winner is None else winner
    share = tally.weights.get(chosen, 0.0) / tally.total if chosen is not None and tally.total else 0.0
    text = None if chosen is None else texts[chosen]
    return Merged(method, chosen, text, share, dict(tally.weights), tally.abstained)
