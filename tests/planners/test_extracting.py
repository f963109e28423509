from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planners.extracting import PASSAGE, passages

NOISE = [f"Line {number} is about nothing at all, in many words that say so." for number in range(400)]


def test_a_short_text_is_read_whole() -> None:
    assert passages("anything", "x", 100) == "anything"


def test_of_a_long_text_the_passages_are_read_that_speak_of_what_is_wanted() -> None:
    text = "\n".join([*NOISE[:200], "The tower of Vurm is 81 m high.", *NOISE[200:]])
    read = passages(text, "How high is the tower of Vurm?", 3_000)
    assert "The tower of Vurm is 81 m high." in read
    assert len(read) <= 3_000
    assert len(read) > 3_000 - 2 * PASSAGE


def test_passages_stay_in_their_order() -> None:
    text = "\n".join(["Vurm first. " * 40, *NOISE, "Vurm last. " * 40])
    read = passages(text, "Vurm", 1_200)
    assert read.index("Vurm first.") < read.index("Vurm last.")


@given(st.text(alphabet=st.sampled_from("ab .\n?é"), max_size=400), st.text(max_size=20), st.integers(1, 300))
def test_no_more_is_read_than_may_be(text: str, wanted: str, most: int) -> None:
    assert len(passages(text, wanted, most)) <= most


def test_one_word_without_an_end_is_cut_into_passages() -> None:
    assert len(passages("x" * 100_000, "y", 5_000)) > 4_000
