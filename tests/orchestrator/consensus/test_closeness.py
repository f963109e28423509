from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.closeness import closeness

DOMAINS = {
    "math": "numbers, equations, sums, primes, the area of a triangle",
    "law": "contracts, courts, liability of the seller, the sum of a claim",
    "chess": "openings, gambits, endgames with a rook",
}


def test_the_domain_that_shares_words_with_the_text_is_the_closest() -> None:
    found = closeness("Is the seller liable in both COURTS?", DOMAINS)
    assert max(found, key=lambda name: found[name]) == "law"
    assert found["law"] > 2 * found["math"] > 2 * found["chess"] > 0  # "the" is in two of three


def test_a_text_that_shares_none_is_as_close_to_all() -> None:
    assert list(closeness("Wann ist Ostern?", DOMAINS).values()) == pytest.approx([1 / 3] * 3)
    assert closeness("", {"one": "sums"}) == {"one": 1.0}


def test_a_word_of_all_domains_says_nothing() -> None:
    found = closeness("the the the", {"a": "the sums", "b": "the courts"})
    assert found == {"a": 0.5, "b": 0.5}


def test_one_domain_of_two_takes_what_the_distance_says() -> None:
    """The text is the domain: d² is 0 to itself and 2 to the other."""
    found = closeness("sums", {"a": "sums", "b": "courts"}, sharpness=0.5)
    assert found["b"] / found["a"] == pytest.approx(math.exp(-2 / 0.5))


@given(st.text(max_size=40), st.dictionaries(st.sampled_from("abc"), st.text(max_size=40), min_size=1))
def test_shares_sum_to_one(text: str, domains: dict[str, str]) -> None:
    found = closeness(text, domains)
    assert found.keys() == domains.keys()
    assert math.fsum(found.values()) == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in found.values())


@pytest.mark.parametrize(("domains", "sharpness"), [({}, 0.5), ({"a": "b"}, 0.0), ({"a": "b"}, math.nan)])
def test_what_makes_no_sense_is_refused(domains: dict[str, str], sharpness: float) -> None:
    with pytest.raises(ValueError, match="closeness needs"):
        closeness("text", domains, sharpness=sharpness)
