from __future__ import annotations

import math
import random
from itertools import combinations
from statistics import fmean

import pytest

from orchestrator.consensus.forecast import (
    Drawn,
    Pace,
    Recorded,
    draw,
    forecast,
    percentile,
    play,
    running_beside,
)
from orchestrator.consensus.stopping import parse_rule

EVEN = Pace(((1.0, 0.1),))
"""A tenth of a second for each token, however many branches run."""


def branches(*tokens: int, cluster: int | None = 0, first: float = 0.1) -> list[Drawn]:
    return [Drawn(each, first, cluster) for each in tokens]


def test_a_vote_that_waits_for_all_takes_as_long_as_its_longest_branch() -> None:
    ended = play(parse_rule("fixed", width=3), branches(10, 40, 20), EVEN)
    assert ended.seconds == pytest.approx(4.0)
    assert (ended.tokens, ended.agreement, ended.started) == (70, 1.0, 3)


def test_a_rule_that_stops_early_leaves_what_still_runs_where_it_is() -> None:
    ended = play(parse_rule("beta", width=8), branches(10, 20, 30, 40, 100, 100, 100, 100), EVEN)
    assert ended.seconds == pytest.approx(4.0)  # four agree
    assert ended.tokens == 10 + 20 + 30 + 40 + 4 * 40
    assert ended.started == 8


def test_a_rule_that_starts_one_branch_after_another_waits_for_each() -> None:
    ended = play(parse_rule("asc:0.95", width=8), branches(10, 20, 30, 40, 50, 50, 50, 50), EVEN)
    assert ended.seconds == pytest.approx(10.0)
    assert (ended.tokens, ended.started) == (100, 4)


def test_a_rule_that_wants_to_be_asked_again_is() -> None:
    ended = play(parse_rule("any(fixed; deadline:2)", width=3), branches(10, 40, 80), EVEN)
    assert ended.seconds == pytest.approx(2.0)
    assert ended.tokens == 10 + 20 + 20


def test_agreement_is_the_share_of_the_answer_among_the_branches_that_finished() -> None:
    given = [*branches(10, 20), *branches(30, cluster=1), *branches(40, cluster=None)]
    assert play(parse_rule("fixed", width=4), given, EVEN).agreement == 0.5
    assert play(parse_rule("fixed", width=2), branches(1, 2, cluster=None), EVEN).agreement == 0.0


def test_branches_that_end_leave_their_share_of_the_engine_to_the_others() -> None:
    pace = Pace(((1.0, 0.1), (2.0, 0.3)))
    ended = play(parse_rule("fixed", width=2), branches(11, 31, first=0.0), pace)
    assert ended.seconds == pytest.approx(10 * 0.3 + 20 * 0.1)


def test_a_pace_changes_evenly_between_what_is_known() -> None:
    pace = Pace.of([(1.1, 0.10), (0.9, 0.12), (4.0, 0.4), (4.0, 0.4), (4.0, 9.0)])
    assert pace.known == ((1.0, 0.11), (4.0, 0.4))
    assert pace.seconds(1) == 0.11
    assert pace.seconds(2) == pytest.approx(0.11 + 0.29 / 3)
    assert pace.seconds(7) == pytest.approx(0.4 + 0.29)  # on the same line
    assert Pace(()).seconds(3) == 0.0
    assert Pace(((4.0, 0.4),)).seconds(1) == 0.4
    assert Pace(((4.0, 0.4), (8.0, 0.3))).seconds(16) == 0.3  # no branch makes others faster
    steep = Pace(((4.0, 0.1), (5.0, 0.9)))
    assert steep.seconds(1) == 0.1 / 4


def test_how_many_branches_ran_beside_each_other_on_average() -> None:
    spans = {0: (0.0, 4.0), 1: (0.0, 2.0), 2: (1.0, 1.0)}
    assert dict(running_beside(spans)) == {0: 1.5, 1: 2.0}


def test_votes_that_wait_for_all_have_the_order_statistics_of_their_lengths() -> None:
    lengths = [5, 8, 13, 21, 34, 55, 89, 144]
    vote = Recorded(tuple(branches(*lengths)))
    for width in (1, 2, 4, 8):
        row = forecast(parse_rule("fixed", width=width), width, [vote] * 100, EVEN, votes=4000)
        exact = fmean(max(each) for each in combinations(lengths, width)) * 0.1
        assert row.seconds.value == pytest.approx(exact, rel=0.05)
        assert row.tokens.value == pytest.approx(width * fmean(lengths), rel=0.05)
        assert row.repeated == 0


def test_intervals_are_wider_for_fewer_questions_and_the_same_every_time() -> None:
    rng = random.Random(1)
    votes = [Recorded(tuple(branches(*(rng.randrange(10, 200) for _ in range(8))))) for _ in range(100)]
    rule = parse_rule("fixed", width=4)
    few, many = forecast(rule, 4, votes[:8], EVEN), forecast(rule, 4, votes, EVEN)
    assert many == forecast(rule, 4, votes, EVEN)
    assert many != forecast(rule, 4, votes, EVEN, seed=1)
    assert few.seconds.high - few.seconds.low > 1.5 * (many.seconds.high - many.seconds.low)
    for row in (few, many):
        for figure in (row.seconds, row.seconds_p90, row.tokens, row.tokens_p90, row.agreement):
            assert figure.low <= figure.value <= figure.high


def test_wider_votes_than_were_recorded_are_marked() -> None:
    votes = [Recorded(tuple(branches(10, 20))), Recorded(tuple(branches(10, 20, 30, 40)))]
    assert forecast(parse_rule("fixed", width=3), 3, votes, EVEN).repeated == 0.5


def test_a_cancelled_branch_stands_for_longer_ones() -> None:
    rng = random.Random(0)
    cut = Drawn(25, 0.1, None, whole=False)
    vote = Recorded((*branches(10, 20), *branches(30, 60, cluster=1), cut))
    every = list(vote.branches[:4])
    seen = {branch.tokens for _ in range(50) for branch in draw(Recorded((cut, *every)), every, 5, rng)}
    assert seen == {10, 20, 30, 60}
    # Where its own vote has no longer one, its answer is from there and its length from elsewhere.
    alone = Recorded((*branches(10), Drawn(50, 0.1, None, whole=False)))
    drawn = [branch for _ in range(20) for branch in draw(alone, [*every, *branches(70)], 2, rng)]
    assert {(branch.tokens, branch.cluster) for branch in drawn} == {(10, 0), (60, 0), (70, 0)}
    # Nothing is known to be longer.
    assert {b.tokens for b in draw(alone, branches(10), 2, rng)} == {10, 50}


def test_lengths_are_not_underestimated_where_votes_stopped_early() -> None:
    """Of votes that stop at the fourth branch, those that have finished are too short."""
    rng = random.Random(3)
    recorded, lengths = [], []
    for _ in range(60):
        tokens = sorted(round(rng.lognormvariate(4, 0.5)) for _ in range(8))
        lengths += tokens
        kept = rng.randrange(4, 8)
        recorded.append(
            Recorded(
                (
                    *branches(*tokens[:kept]),
                    *(Drawn(tokens[kept - 1], 0.1, None, whole=False) for _ in tokens[kept:]),
                )
            )
        )
    naive = fmean(each.tokens for vote in recorded for each in vote.branches if each.whole)
    row = forecast(parse_rule("fixed", width=1), 1, recorded, EVEN)
    assert naive < 0.8 * fmean(lengths)
    assert row.tokens.value == pytest.approx(fmean(lengths), rel=0.1)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2]) == 3
    assert percentile(list(range(1, 11))) == 9
    assert percentile(list(range(1, 11)), 0.5) == 5
    assert percentile([4.0]) == 4.0
    assert math.isclose(percentile([1.0] * 9 + [100.0]), 1.0)
