"""How much the branches disagree: semantic entropy over clusters, in nats.

An entropy is evidence of agreement only if the branches could have disagreed. An undefined or doubtful one
has ``nats`` None, which no comparison mistakes for 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.consensus.copies import UNKNOWN, Draw, copied

LEAST_LOGPROB = -1e200
"""Anything less is not a log-probability; a sum of such values may not even be a finite number."""


@dataclass(frozen=True, slots=True)
class Entropy:
    """An entropy with the counts that it came from, which are never thrown away.

    ``nats`` is None where the entropy is undefined; ``doubt`` then says why. ``normalised`` divides by
    ln N, the most that N branches can disagree, abstentions included, and lies in [0, 1].
    """

    nats: float | None
    counts: tuple[int, ...]
    abstained: int = 0
    doubt: str | None = None

    @property
    def normalised(self) -> float | None:
        """The entropy over ln N; None if it is undefined or N < 2, when nothing can be compared."""
        n = sum(self.counts) + self.abstained
        return None if self.nats is None or n < 2 else min(1.0, self.nats / math.log(n))


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion: its cluster (None: no answer), text, log-probabilities of its tokens, and its draw.

    ``weight`` is how many votes it has.
    """

    cluster: int | None
    text: str = ""
    logprobs: tuple[float, ...] = ()
    draw: Draw = UNKNOWN
    weight: float = 1

    @property
    def mean_logprob(self) -> float | None:
        """The length-normalised log-likelihood; None if it is unknown or not a log-probability."""
        if not self.logprobs or not all(LEAST_LOGPROB <= each <= 0 for each in self.logprobs):
            return None
        return math.fsum(self.logprobs) / len(self.logprobs)


def discrete(counts: Sequence[int], *, abstained: int = 0, weights: Sequence[float] | None = None) -> Entropy:
    """The plug-in entropy of the cluster shares: SE = -sum p ln p with p = n_c / N (Farquhar et al. 2024).

    ``abstained`` counts branches without an answer (empty, truncated, refused). Such a branch agrees with
    nobody, so it counts as an answer that it alone gave; if most are such, the entropy is undefined.
    Where branches have more or fewer votes than one, ``weights`` are those of each cluster, and then of each
    branch that abstained; the shares are shares of votes.

    Raises:
        ValueError: a count is negative, or there is not a weight for each.
    """
    if any(count < 0 for count in counts) or abstained < 0:
        raise ValueError(f"counts must not be negative, got {tuple(counts)} and {abstained} abstained")
    total = sum(counts)
    if total == 0:
        return Entropy(None, tuple(counts), abstained, "no branch gave an answer")
    if abstained > total:
        return Entropy(None, tuple(counts), abstained, "most branches gave no answer")
    votes = [*counts, *[1] * abstained] if weights is None else list(weights)
    if len(votes) != len(counts) + abstained:
        raise ValueError(f"{len(votes)} weights for {len(counts)} clusters and {abstained} abstained")
    n = sum(votes)
    return Entropy(shannon([each / n for each in votes]), tuple(counts), abstained)


def guarded(samples: Sequence[Sample], *, temperature: float, by_text: bool = False) -> Entropy:
    """The discrete entropy of ``samples``, undefined if their agreement would say nothing.

    Fewer than two answers, greedy decoding, and copies (:mod:`orchestrator.consensus.copies`) agree whatever
    the model believes.
    """
    answered = [sample for sample in samples if sample.cluster is not None]
    silent = [sample.weight for sample in samples if sample.cluster is None]
    entropy = discrete(sizes(answered), abstained=len(silent), weights=[*_votes(answered), *silent])
    doubt = entropy.doubt
    if doubt is None and len(answered) < 2:
        doubt = "one answer cannot disagree"
    elif doubt is None and temperature <= 0:
        doubt = "at temperature 0 every branch repeats the same text"
    elif doubt is None:
        texts, draws = [sample.text for sample in answered], [sample.draw for sample in answered]
        doubt = copied(texts, draws, by_text=by_text)
    return entropy if doubt is None else Entropy(None, entropy.counts, entropy.abstained, doubt)


def shannon(shares: Sequence[float]) -> float:
    """-sum p ln p of shares that sum to 1; never negative."""
    return max(0.0, -math.fsum(p * math.log(p) for p in shares if p > 0))


def sizes(samples: Sequence[Sample]) -> tuple[int, ...]:
    """The sizes of the clusters in order of first appearance."""
    counts: dict[int, int] = {}
    for sample in samples:
        if sample.cluster is not None:
            counts[sample.cluster] = counts.get(sample.cluster, 0) + 1
    return tuple(counts.values())


def _votes(samples: Sequence[Sample]) -> tuple[float, ...]:
    """What the clusters weigh, in the same order."""
    votes: dict[int | None, float] = {}
    for sample in samples:
        votes[sample.cluster] = votes.get(sample.cluster, 0) + sample.weight
    return tuple(votes.values())
