"""Which votes are split."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.runtime.values import Answer, Cluster
from orchestrator.voting.splitting import split, unless_split


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1], "all 8 answers differ"),
        ([1, 1], "all 2 answers differ"),
        ([4, 4], "of 8 answers, the first two have 4 votes each"),
        ([2, 2, 1], "of 5 answers, the first two have 2 votes each"),
        ([2, 1, 1, 1], "of 5 answers, the first has 2 votes and the second 1"),
        ([3, 2, 2, 1], "of 8 answers, the first has 3 votes and the second 2"),
        ([2, 1], None),
        ([3, 2], None),
        ([3, 1, 1, 1], None),
        ([5, 4], None),
        ([8], None),
        ([1], None),
        ([], None),
    ],
)
def test_a_vote_without_a_leader_is_split(counts: list[int], why: str | None) -> None:
    clusters = tuple(Cluster(str(at), count) for at, count in enumerate(counts))
    answer = Answer("0", "0", clusters=clusters)
    assert split(answer) == why
    assert unless_split(answer) == replace(answer, undecided=why)
    assert unless_split(replace(answer, undecided="cut off")).undecided == "cut off"


def test_what_was_not_chosen_by_votes_is_not_split() -> None:
    clusters = (Cluster("7", 1), Cluster("8", 1))
    assert split(Answer("9", "9", clusters=clusters)) is None
    assert split(Answer("a long text", clusters=clusters)) is None
