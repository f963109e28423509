"""Analysis only: estimators of disagreement that no planner uses, for benchmarks and for judging recordings.

They need log-probabilities, similarities or more samples than a vote has, and on our recordings none of them
tells right from wrong better than the discrete entropy does (docs/consensus.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.consensus.entropy import Entropy, Sample, discrete, shannon, sizes

Matrix = list[list[float]]
SWEEPS = 60


def rao_blackwell(samples: Sequence[Sample]) -> Entropy:
    """Entropy of the clusters by likelihood: p(C) = sum of e^l in C / sum of e^l (Farquhar et al. 2024).

    l is the mean token log-probability of a sample. Undefined if one is missing or not a number.
    """
    shares = _likelihood_shares(samples)
    counts, abstained = sizes(samples), sum(sample.cluster is None for sample in samples)
    if shares is None:
        return Entropy(None, counts, abstained, "log-probabilities are missing or no numbers")
    return Entropy(shannon(shares), counts, abstained)


def monte_carlo(samples: Sequence[Sample]) -> Entropy:
    """The Monte-Carlo form: -(1/K) sum over the K clusters of ln p(C) (Kuhn et al., arXiv 2302.09664).

    p(C) is as in :func:`rao_blackwell`. The entropy is not bounded by ln N, and is undefined if a p(C) is too
    small to tell from 0.
    """
    shares = _likelihood_shares(samples)
    counts, abstained = sizes(samples), sum(sample.cluster is None for sample in samples)
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


def kernel_entropy(similarity: Sequence[Sequence[float]], *, t: float = 0.3) -> float | None:
    """The von Neumann entropy of the heat kernel on the graph of similarities, in nats.

    ``similarity`` is square, with weights of at least 0; the mean of the two directions counts. The kernel
    e^(-tL), where L is the graph's Laplacian, is scaled to K_ij / sqrt(K_ii K_jj) / n, so that for separate
    blocks and large ``t`` the result is the discrete entropy of the blocks. None if there are no samples or a
    weight is not finite. It costs O(n^3), milliseconds at n = 10: do not compute it for every arrival.

    Raises:
        ValueError: the matrix is not square, a weight is negative, or ``t`` is negative or not finite.
    """
    n = len(similarity)
    if not 0 <= t < math.inf:
        raise ValueError(f"t must be a number of at least 0, got {t}")
    if any(len(row) != n for row in similarity):
        raise ValueError(f"similarity must be square, got rows of {[len(row) for row in similarity]}")
    if any(not math.isfinite(weight) for row in similarity for weight in row) or n == 0:
        return None
    if any(weight < 0 for row in similarity for weight in row):
        raise ValueError("similarity must not be negative")
    laplacian = [
        [0.0 if i == j else -(similarity[i][j] + similarity[j][i]) / 2 for j in range(n)] for i in range(n)
    ]
    for i in range(n):
        laplacian[i][i] = -math.fsum(laplacian[i])
    values, vectors = eigen(laplacian)
    heat = [math.exp(-t * max(0.0, value)) for value in values]
    kernel = [
        [math.fsum(heat[k] * vectors[i][k] * vectors[j][k] for k in range(n)) for j in range(n)]
        for i in range(n)
    ]
    scale = [1 / math.sqrt(kernel[i][i]) for i in range(n)]
    density = [[kernel[i][j] * scale[i] * scale[j] / n for j in range(n)] for i in range(n)]
    return shannon([max(0.0, value) for value in eigen(density)[0]])


def eigen(symmetric: Sequence[Sequence[float]]) -> tuple[list[float], Matrix]:
    """Eigenvalues, and eigenvectors as columns, of a symmetric matrix by Jacobi's rotations."""
    a = [list(row) for row in symmetric]
    n = len(a)
    v = [[float(i == j) for j in range(n)] for i in range(n)]
    size = math.fsum(x * x for row in a for x in row)
    for _ in range(SWEEPS):
        if math.fsum(a[p][q] ** 2 for p in range(n) for q in range(p)) <= 1e-30 * size:
            break
        for p in range(n):
            for q in range(p + 1, n):
                if a[p][q]:
                    _rotate(a, v, p, q)
    return [a[i][i] for i in range(n)], v


def _rotate(a: Matrix, v: Matrix, p: int, q: int) -> None:
    """Make a[p][q] zero."""
    theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
    t = math.copysign(1.0, theta) / (abs(theta) + math.hypot(theta, 1.0))
    c = 1 / math.hypot(t, 1.0)
    s = t * c
    for row in a:
        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    a[p], a[q] = (
        [c * x - s * y for x, y in zip(a[p], a[q], strict=True)],
        [s * x + c * y for x, y in zip(a[p], a[q], strict=True)],
    )
    for row in v:
        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]


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
