"""The code of arithmetic sampling, on a language whose probabilities are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import pytest

from workers.engines.vllm.served.anabranch_sampling.code import Code

SHARES = (0.5, 0.2, 0.2, 0.1)


def drawn(start: float, length: int, shares: Sequence[float] = SHARES) -> tuple[int, ...]:
    """A sample of tokens that are independent of each other."""
    code, tokens = Code(start), []
    for position in range(length):
        point, low, token = code.at(position), 0.0, 0
        while token < len(shares) - 1 and point >= low + shares[token]:
            low += shares[token]
            token += 1
        code.narrow(low, shares[token])
        tokens.append(token)
    return tuple(tokens)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.77])
def test_evenly_spaced_codes_draw_each_sequence_as_often_as_it_is_probable(offset: float) -> None:
    count = 1000
    seen = Counter(drawn((offset + index / count) % 1.0, 3) for index in range(count))
    for sequence in product(range(4), repeat=3):
        expected = count * SHARES[sequence[0]] * SHARES[sequence[1]] * SHARES[sequence[2]]
        assert abs(seen[sequence] - expected) <= 2  # independent draws stray by sqrt(expected), up to 11


def test_a_long_sample_has_tokens_as_often_as_they_are_probable_and_no_end() -> None:
    samples = [drawn((0.1 + index * 0.618) % 1.0, 2000) for index in range(4)]
    for sample in samples:
        for token, share in enumerate(SHARES):
            assert abs(sample.count(token) / 2000 - share) < 0.06
        assert sample[-200:].count(0) < 150  # a code without bits would draw one token for ever
    assert len(set(samples)) == 4
    assert len({sample[-50:] for sample in samples}) == 4
    assert drawn(0.1, 2000) == samples[0]


def test_a_sure_token_takes_nothing_away() -> None:
    code = Code(0.3)
    for position in range(5000):
        assert code.at(position) == 0.3
        code.narrow(0.0, 1.0)


def test_a_position_that_is_asked_for_again_is_drawn_as_before() -> None:
    code = Code(0.6)
    assert code.at(0) == 0.6
    code.narrow(
        0.5, 0.2
    )  # a prompt that is computed in pieces is sampled after each, and all but one forgotten
    assert code.at(0) == 0.6
    code.narrow(0.5, 0.2)
    after = code.at(1)
    assert after == pytest.approx(0.5)
    code.narrow(0.4, 1e-9)
    code.at(2)
    other = Code(0.6)
    other.at(0)
    other.narrow(0.5, 0.2)
    assert other.at(1) == after


def test_a_request_that_begins_in_the_middle_has_a_point_of_its_own_there() -> None:
    points = {Code(0.25).at(position) for position in (1, 7, 100)}
    assert len(points) == 3
    assert all(0 <= point < 1 for point in points)
    assert Code(0.25).at(7) == Code(0.25).at(7)


@pytest.mark.parametrize("start", [-0.1, 1.0, float("nan"), float("inf")])
def test_what_is_no_code_is_refused(start: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Code(start)
