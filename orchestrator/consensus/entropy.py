"""How much the branches disagree: semantic entropy over clusters, in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entropy:
    """An entropy with the counts that it came from, which are never thrown away.

    ``nats`` is None where the entropy is undefined: no answers, or fewer than half of the branches gave
    one. An undefined entropy is no agreement. ``normalised`` divides by ln N, the most that N branches can
    disagree, and lies in [0, 1].
    """

    nats: float | None
    counts: tuple[int, ...]
    abstained: int = 0

    @property
    def normalised(self) -> float | None:
        """The entropy over ln N; None where it is undefined or N < 2, when nothing can be compared."""
        n = sum(self.counts)
        return None if self.nats is None or n < 2 else min(1.0, self.nats / math.log(n))


def discrete(counts: Sequence[int], *, abstained: int = 0) -> Entropy:
    """The plug-in entropy of the cluster shares: SE = -sum p ln p with p = n_c / N.

    ``abstained`` counts branches without an answer (empty, truncated, refused): they are no cluster, and
    when they are more than half the entropy is undefined (Farquhar et al., Nature 2024; the bound is ours).

    Raises:
        ValueError: a count is negative.
    """
    if any(count < 0 for count in counts) or abstained < 0:
        raise ValueError(f"counts must not be negative, got {tuple(counts)} and {abstained} abstained")
    total = sum(counts)
    nats = None if total == 0 or abstained > total else shannon([count / total for count in counts])
    return Entropy(nats, tuple(counts), abstained)


def shannon(shares: Sequence[float]) -> float:
    """-sum p ln p of shares that sum to 1; never negative."""
    return max(0.0, -math.fsum(p * math.log(p) for p in shares if p > 0))
