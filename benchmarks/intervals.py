"""How sure a share of right answers is, and a difference between two that answered the same questions."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

Interval = tuple[float, float]

Z = 1.959964  # of the normal distribution, two-sided 95 %
DRAWS = 4_000


def wilson(events: int, trials: int) -> Interval:
    """The 95 % interval of a share (Wilson 1927); everything is possible without trials."""
    if not trials:
        return 0.0, 1.0
    share = events / trials
    centre = share + Z**2 / (2 * trials)
    reach = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], *, seed: int = 1
) -> tuple[float, Interval]:
    """The difference of two shares over the same questions, and its 95 % interval by resampling them.

    What each did on a question is right or not, or how probably it is right.

    Raises:
        ValueError: there are no questions, or not the same.
    """
    differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    if not differences:
        raise ValueError("there is no question that both have answered")
    rng = random.Random(seed)
    means = sorted(statistics.fmean(rng.choices(differences, k=len(differences))) for _ in range(DRAWS))
    cut = round(0.025 * DRAWS)
    return statistics.fmean(differences), (means[cut], means[-cut - 1])
