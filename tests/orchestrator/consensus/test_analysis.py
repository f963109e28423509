import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.analysis import eigen, kernel_entropy
from orchestrator.consensus.entropy import discrete


def blocks(*sizes: int) -> list[list[float]]:
    owner = [block for block, size in enumerate(sizes) for _ in range(size)]
    return [[float(a == b) for b in owner] for a in owner]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_separate_blocks_give_the_discrete_entropy(sizes: list[int]) -> None:
    assert kernel_entropy(blocks(*sizes), t=100) == pytest.approx(discrete(sizes).nats, abs=1e-6)


def test_more_similarity_is_less_entropy() -> None:
    found = [kernel_entropy([[1, w, w], [w, 1, w], [w, w, 1]], t=1) or 0.0 for w in (0.0, 0.2, 0.5, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(math.log(3))


@given(st.lists(st.lists(st.floats(-5, 5), min_size=5, max_size=5), min_size=5, max_size=5))
def test_eigenvectors_rebuild_the_matrix(rows: list[list[float]]) -> None:
    n = 5
    matrix = [[(rows[i][j] + rows[j][i]) / 2 for j in range(n)] for i in range(n)]
    values, vectors = eigen(matrix)
    for i in range(n):
        for j in range(n):
            rebuilt = math.fsum(values[k] * vectors[i][k] * vectors[j][k] for k in range(n))
            assert rebuilt == pytest.approx(matrix[i][j], abs=1e-9)


def test_what_is_no_similarity_is_refused_or_undefined() -> None:
    assert kernel_entropy([]) is None
    assert kernel_entropy([[1, float("nan")], [0, 1]]) is None
    with pytest.raises(ValueError, match="square"):
        kernel_entropy([[1, 0]])
    with pytest.raises(ValueError, match="negative"):
        kernel_entropy([[1, -1], [-1, 1]])
    for t in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="t must be"):
            kernel_entropy([[1, 1], [1, 1]], t=t)


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_leaves_it_undefined(weight: float) -> None:
    assert kernel_entropy([[1.0, weight], [weight, 1.0]]) is None
