"""How much the branches disagree: semantic entropy over clusters, in nats.

An entropy is evidence of agreement only if the branches could have disagreed. An undefined or doubtful one
has ``nats`` None, which no comparison mistakes for 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TELLING_LENGTH = 80
"""From this many characters, byte-identical completions can only come from a cache or greedy decoding."""

LEAST_LOGPROB = -1e200
"""Anything less is not a log-probability; a sum of such values may not even be a finite number."""


@dataclass(frozen=True, slots=True)
class Entropy:
    """An entropy with the counts that it came from, which are never thrown away.

    ``nats`` is None where the entropy is undefined; ``doubt`` then says why. ``normalised`` divides by
    ln N, the most that N branches can disagree, and lies in [0, 1].
    """

    nats: float | None
    counts: tuple[int, ...]
    abstained: int = 0
    doubt: str | None = None

    @property
    def normalised(self) -> float | None:
        """The entropy over ln N; None if it is undefined or N < 2, when nothing can be compared."""
        n = sum(self.counts)
        return None if self.nats is None or n < 2 else min(1.0, self.nats / math.log(n))


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion: its cluster (None: no answer), its text, and the log-probabilities of its tokens."""

    cluster: int | None
    text: str = ""
    logprobs: tuple[float, ...] = ()

    @property
    def mean_logprob(self) -> float | None:
        """The length-normalised log-likelihood; None if it is unknown or not a log-probability."""
        if not self.logprobs or not all(LEAST_LOGPROB <= each <= 0 for each in self.logprobs):
            return None
        return math.fsum(self.logprobs) / len(self.logprobs)


def discrete(counts: Sequence[int], *, abstained: int = 0) -> Entropy:
    """The plug-in entropy of the cluster shares: SE = -sum p ln p with p = n_c / N (Farquhar et al. 2024).

    ``abstained`` counts branches without an answer (empty, truncated, refused): they form no cluster, and
    if they are more than half, the entropy is undefined.

    Raises:
        ValueError: a count is negative.
    """
    if any(count < 0 for count in counts) or abstained < 0:
        raise ValueError(f"counts must not be negative, got {tuple(counts)} and {abstained} abstained")
    total = sum(counts)
    if total == 0:
        return Entropy(None, tuple(counts), abstained, "no branch gave an answer")
    if abstained > total:
        return Entropy(None, tuple(counts), abstained, "most branches gave no answer")
    return Entropy(shannon([count / total for count in counts]), tuple(counts), abstained)


def guarded(samples: Sequence[Sample], *, temperature: float) -> Entropy:
    """The discrete entropy of ``samples``, undefined if their agreement would say nothing.

    Fewer than two answers, greedy decoding, and long completions that are all byte-identical (a response
    cache, or a seed used twice) agree whatever the model believes.
    """
    counts = _counts(samples)
    entropy = discrete(counts, abstained=sum(sample.cluster is None for sample in samples))
    texts = {sample.text for sample in samples if sample.cluster is not None}
    doubt = entropy.doubt
    if doubt is None and sum(counts) < 2:
        doubt = "one answer cannot disagree"
    elif doubt is None and temperature <= 0:
        doubt = "at temperature 0 every branch repeats the same text"
    elif doubt is None and len(texts) == 1 and len(next(iter(texts))) >= TELLING_LENGTH:
        doubt = "all completions are byte-identical, as from a cache"
    return entropy if doubt is None else Entropy(None, entropy.counts, entropy.abstained, doubt)


def rao_blackwell(samples: Sequence[Sample]) -> Entropy:
    """Entropy of the clusters by likelihood: p(C) = sum of e^l in C / sum of e^l (Farquhar et al. 2024).

    l is the mean token log-probability of a sample. Undefined if one is missing or not a number.
    """
    shares = _likelihood_shares(samples)
    counts, abstained = _counts(samples), sum(sample.cluster is None for sample in samples)
    if shares is None:
        return Entropy(None, counts, abstained, "log-probabilities are missing or no numbers")
    return Entropy(shannon(shares), counts, abstained)


def monte_carlo(samples: Sequence[Sample]) -> Entropy:
    """The Monte-Carlo form: -(1/K) sum over the K clusters of ln p(C) (Kuhn et al., arXiv 2302.09664).

    p(C) is as in :func:`rao_blackwell`. The entropy is not bounded by ln N, and is undefined if a p(C) is too
    small to tell from 0.
    """
    shares = _likelihood_shares(samples)
    counts, abstained = _counts(samples), sum(sample.cluster is None for sample in samples)
    if shares is None:
        return Entropy(None, counts, abstained, "log-probabilities are missing or no numbers")
    if 0.0 in shares:
        return Entropy(None, counts, abstained, "an answer has no likelihood")
    return Entropy(-math.fsum(map(math.log, shares)) / len(shares), counts, abstained)


def predictive(samples: Sequence[Sample]) -> float | None:
    """The naive entropy, blind to meaning: minus the mean of the mean log-probabilities; a baseline."""
    means = [sample.mean_logprob for sample in samples if sample.cluster is not None]
    known = [mean for mean in means if mean is not None]
    return -math.fsum(known) / len(known) if known and len(known) == len(means) else None


def miller_madow(counts: Sequence[int]) -> float | None:
    """The plug-in entropy plus (K - 1) / 2N, its first-order bias (Miller 1955)."""
    plug_in = discrete(counts)
    if plug_in.nats is None:
        return None
    return plug_in.nats + (sum(count > 0 for count in counts) - 1) / (2 * sum(counts))


def chao1(counts: Sequence[int]) -> float:
    """A lower bound on the number of distinct answers, seen or not (Chao 1984)."""
    seen = sum(count > 0 for count in counts)
    once = sum(count == 1 for count in counts)
    twice = sum(count == 2 for count in counts)
    return seen + (once * once / (2 * twice) if twice else once * (once - 1) / 2)


def coverage(counts: Sequence[int]) -> float | None:
    """The estimated probability that a further branch gives an answer already seen (Chao & Lee 1992; Chao1).

    With f1 answers seen once and f2 seen twice: 1 - f1/N * (N-1) f1 / ((N-1) f1 + 2 f2). If every answer was
    seen exactly once, nothing is covered.
    """
    total = sum(counts)
    if total == 0:
        return None
    once = sum(count == 1 for count in counts)
    twice = sum(count == 2 for count in counts)
    if once == 0:
        return 1.0
    if once == total:
        return 0.0
    return 1 - once / total * ((total - 1) * once / ((total - 1) * once + 2 * twice))


def chao_shen(counts: Sequence[int]) -> float | None:
    """The entropy corrected for answers not seen yet (Chao & Shen 2003); None if nothing is covered."""
    covered = coverage(counts)
    total = sum(counts)
    if not covered:
        return None
    shares = [covered * count / total for count in counts if count]
    return math.fsum(-p * math.log(p) / (1 - (1 - p) ** total) for p in shares)


def shannon(shares: Sequence[float]) -> float:
    """-sum p ln p of shares that sum to 1; never negative."""
    return max(0.0, -math.fsum(p * math.log(p) for p in shares if p > 0))


def _counts(samples: Sequence[Sample]) -> tuple[int, ...]:
    """The sizes of the clusters in order of first appearance."""
    sizes: dict[int, int] = {}
    for sample in samples:
        if sample.cluster is not None:
            sizes[sample.cluster] = sizes.get(sample.cluster, 0) + 1
    return tuple(sizes.values())


def _likelihood_shares(samples: Sequence[Sample]) -> list[float] | None:
    """The clusters' shares of the likelihood, in order of first appearance."""
    answered = [(sample.cluster, sample.mean_logprob) for sample in samples if sample.cluster is not None]
    means = [mean for _, mean in answered if mean is not None]
    if not means or len(means) < len(answered):
        return None
    mass: dict[int, float] = {}
    highest = max(means)  # the largest term is e^0, so the sum cannot underflow to 0
    for (cluster, _), mean in zip(answered, means, strict=True):
        mass[cluster] = mass.get(cluster, 0.0) + math.exp(mean - highest)
    total = math.fsum(mass.values())
    return [each / total for each in mass.values()]
