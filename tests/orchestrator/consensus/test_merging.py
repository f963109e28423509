import time

import pytest

from orchestrator.consensus.merging import (
    concatenated,
    majority,
    medoid,
    numbered,
    overlaps,
    ranked,
    verified,
    weighted,
)
from orchestrator.consensus.stopping import Branch, View

TEXTS = ["Paris", "London"]


def view(*clusters: int | None) -> View:
    return View(tuple(Branch(at, cluster) for at, cluster in enumerate(clusters)))


def test_the_majority_and_its_share() -> None:
    merged = majority(view(1, 0, 0, None), TEXTS)
    assert (merged.text, merged.abstained) == ("Paris", 1)
    assert merged.confidence == pytest.approx(2 / 4)
    assert merged.counts == {1: 1, 0: 2}


def test_the_first_arrival_breaks_a_tie() -> None:
    assert majority(view(1, 0, 0, 1), TEXTS).text == "London"


def test_a_stop_rule_may_have_decided_otherwise() -> None:
    merged = majority(view(0, 0, 1), TEXTS, winner=1)
    assert merged.text == "London"
    assert merged.confidence == pytest.approx(1 / 3)


def test_nobody_answered() -> None:
    merged = majority(view(None, None), TEXTS)
    assert (merged.text, merged.winner, merged.confidence) == (None, None, 0.0)


def test_weights_outvote_heads() -> None:
    merged = weighted(view(0, 0, 1), TEXTS, {0: 1.0, 1: 1.0, 2: 3.0}, method="inverse entropy")
    assert (merged.text, merged.confidence, merged.method) == ("London", 0.6, "weighted by inverse entropy")


def test_useless_weights_fall_back_to_the_majority_and_say_so() -> None:
    merged = weighted(view(0, 0, 1), TEXTS, {0: float("nan"), 2: -1.0}, method="confidence")
    assert (merged.text, merged.method) == ("Paris", "majority")


def test_votes_by_rank() -> None:
    assert ranked({0: 0.1, 1: 0.9, 2: 0.5}, power=1) == {0: 1, 1: 3, 2: 2}
    assert ranked({4: 9.0, 7: -2.0}) == {4: pytest.approx(2**0.5), 7: 1.0}
    assert set(ranked({0: 3.0, 1: 2.0, 2: 1.0}, power=0).values()) == {1.0}  # a plain vote
    assert ranked({}) == {}


def test_equal_scores_share_their_ranks_and_unknown_ones_take_none() -> None:
    assert ranked({0: 2.0, 1: 2.0, 2: 1.0, 3: float("nan")}, power=1) == {0: 2.5, 1: 2.5, 2: 1, 3: 0}


def test_a_verifier_decides_and_refused_answers_do_not_vote() -> None:
    branches = (Branch(0, 0, verified=False), Branch(1, 0, verified=False), Branch(2, 1))
    assert verified(View(branches), TEXTS).text == "London"
    accepted = verified(View((*branches, Branch(3, 0, verified=True))), TEXTS)
    assert (accepted.text, accepted.method) == ("Paris", "verifier")


def test_texts_have_in_common_what_they_share_with_repetition() -> None:
    assert overlaps(["a a b", "A b c d", ""]) == [[1.0, 4 / 7, 0.0], [4 / 7, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert overlaps(["a a", "a a a b"])[0][1] == 4 / 6


def test_many_long_texts_are_compared_at_once() -> None:
    texts = [" ".join(f"w{(at * step) % 977}" for step in range(2000)) for at in range(64)]
    began = time.thread_time()
    medoid(overlaps(texts))
    assert time.thread_time() - began < 10.0


def test_the_medoid_is_nearest_to_all() -> None:
    assert medoid([[1, 0.9, 0.1], [0.9, 1, 0.8], [0.1, 0.8, 1]]) == 1
    assert medoid([[1, 0.5], [0.5, 1]]) == 0
    with pytest.raises(ValueError, match="square"):
        medoid([])


def test_synthesis_sees_each_meaning_once_with_its_count() -> None:
    assert numbered(["rain", "", "sun "], [1, 2, 3]) == "1. (3 of 6) sun\n2. (1 of 6) rain"


def test_parts_keep_their_order_and_leave_no_gap() -> None:
    assert concatenated([" one ", "", "two"]) == "one\n\ntwo"
