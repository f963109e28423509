"""What counts of right answers say of the share behind them: intervals, and whether a statement holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Checked:
    """A stated probability on examples that had no part in it: of ``count``, ``right`` were right.

    ``low`` and ``high`` are the 95 % interval of their share (Clopper-Pearson).
    """

    stated: float
    right: int
    count: int
    low: float
    high: float

    @property
    def within(self) -> bool:
        """Whether the examples bear the stated probability out."""
        return self.low <= self.stated <= self.high


def smoothed(right: float, count: int) -> float:
    """A share drawn towards a half by one example each way: the mean of its Beta(1, 1) posterior."""
    return (right + 1) / (count + 2)


def wilson_upper(events: int, trials: int) -> float:
    """The upper end of the 95 % Wilson interval of a share."""
    share, z2 = events / trials, Z95 * Z95
    middle = share + z2 / (2 * trials)
    spread = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return min(1.0, (middle + spread) / (1 + z2 / trials))


def share_at_most(events: int, trials: int, *, confidence: float = 0.95) -> float:
    """The one-sided upper confidence bound of a share (Clopper & Pearson 1934); 1 without any trials."""
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(50):  # halvings: as exact as floats of this size are
        middle = (low + high) / 2
        if _binomial_up_to(events, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def share_interval(events: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Clopper-Pearson)."""
    each = 0.975
    return (
        1 - share_at_most(trials - events, trials, confidence=each),
        share_at_most(events, trials, confidence=each),
    )


def checked(stated: Sequence[float], right: Sequence[bool]) -> tuple[Checked, ...]:
    """What each of the stated probabilities came to, the highest first.

    Raises:
        ValueError: lists of different lengths.
    """
    found: dict[float, list[bool]] = {}
    for probability, label in zip(stated, right, strict=True):
        found.setdefault(probability, []).append(bool(label))
    return tuple(check(probability, found[probability]) for probability in sorted(found, reverse=True))


def check(stated: float, labels: Sequence[bool]) -> Checked:
    """What one stated probability came to."""
    hits, count = sum(labels), len(labels)
    return Checked(stated, hits, count, *share_interval(hits, count))


def _binomial_up_to(events: int, trials: int, p: float) -> float:
    """P(X <= events) for X ~ Binomial(trials, p), with 0 < p < 1."""
    log_p, log_q = math.log(p), math.log1p(-p)
    every = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(every - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q)
        for k in range(events + 1)
    )
