"""Kernel language entropy: entropy of graded similarity instead of hard clusters (arXiv 2405.20003)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.consensus.entropy import shannon

Matrix = list[list[float]]
SWEEPS = 60


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
