from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.prefix.prompts import prompt
from workers.prefix.blocks import BLOCK_CHARACTERS, Chains
from workers.prefix.holdings import Holdings


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(0, 40))
def test_covered_is_the_length_of_the_held_prefix(lengths: list[int], asked: int) -> None:
    family = Chains().of(prompt("x" * (40 * BLOCK_CHARACTERS)), "t")
    holdings = Holdings(1000)
    for length in lengths:
        holdings.add(family[:length])
    assert holdings.covered(family[:asked], 0.0) == min(asked, max(lengths))


def test_a_guess_ends_and_knowledge_does_not() -> None:
    chain = tuple(range(8))
    holdings = Holdings(100)
    holdings.add(chain[:4])
    holdings.add(chain, until=10.0)
    assert holdings.covered(chain, 9.0) == 8
    assert holdings.covered(chain, 10.0) == 4


def test_a_guess_does_not_shorten_knowledge() -> None:
    holdings = Holdings(100)
    holdings.add((1, 2))
    holdings.add((1, 2), until=1.0)
    assert holdings.covered((1, 2), math.nextafter(1e9, 0)) == 2


def test_the_least_recently_used_go_first_and_tails_before_heads() -> None:
    holdings = Holdings(6)
    holdings.add((1, 2, 3))
    holdings.add((4, 5, 6))
    holdings.add((1, 2, 3))
    holdings.add((7, 8))
    assert holdings.covered((4, 5, 6), 0.0) == 1
    assert holdings.covered((1, 2, 3), 0.0) == 3


def test_a_replica_that_evicts_earlier_is_believed_to_hold_less() -> None:
    holdings = Holdings(100_000)
    chains = [tuple(range(start, start + 10)) for start in range(0, 50_000, 10)]
    for chain in chains:
        holdings.add(chain)
    holdings.correct(chains[2500], predicted=10, found=0)
    assert holdings.capacity == pytest.approx(25_000, rel=0.01)
    assert holdings.covered(chains[100], 0.0) == 0
    assert holdings.covered(chains[-1], 0.0) == 10


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=60), st.integers(1, 30))
def test_never_more_than_the_capacity(adds: list[tuple[int, int]], capacity: int) -> None:
    holdings = Holdings(capacity)
    for family, length in adds:
        holdings.add(tuple((family, block).__hash__() for block in range(length)))
        assert len(holdings) <= capacity


def test_memory_is_flat_however_many_prefixes_come() -> None:
    holdings = Holdings(4096)

    def fill(start: int) -> None:
        for number in range(start, start + 100_000):
            holdings.add((hash((number, 0)), hash((number, 1))))

    fill(0)
    tracemalloc.start()
    fill(100_000)
    before = tracemalloc.get_traced_memory()[0]
    fill(200_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(holdings) == 4096
    assert after - before < 200_000
