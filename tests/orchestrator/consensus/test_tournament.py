"""What a tournament decides at the end of a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestrator.consensus.stopping import Branch, Cancel, Continue, Copy, Stop, Tournament, View

RULE = Tournament(capacity=4, swap=1, warmup=2, floor=0.1, agreement=0, width=8)
AGREEING = replace(RULE, agreement=1.0)


def sure(*confidences: float | None, segments: int = 2) -> tuple[Branch, ...]:
    """Running branches that are so sure of the tokens of their last segment."""
    return tuple(
        Branch(at, segments=(1.0,) * (segments - 1) + (each,), probes=(0,) * segments)
        for at, each in enumerate(confidences)
    )


def saying(*clusters: int | None, segments: int = 2) -> tuple[Branch, ...]:
    """Running branches that were made to give these answers at the end of their last segment."""
    return tuple(
        Branch(at, segments=(None,) * segments, probes=(0,) * (segments - 1) + (each,))
        for at, each in enumerate(clusters)
    )


def test_nothing_is_compared_before_the_warm_up_and_before_all_are_there() -> None:
    assert RULE.decide(View(running=sure(1, 2, 3, 4, segments=1), room=4)) == Continue()
    early = (*sure(1, 2, 3), replace(sure(4)[0], index=3, segments=(4.0,)))
    assert RULE.decide(View(running=early, room=4)) == Continue()
    late = AGREEING.decide(View(running=tuple(replace(b, probes=()) for b in saying(1, 1, 2, 3)), room=4))
    assert late == Continue()  # the forced answers are still on their way


def test_the_worst_gives_its_place_to_a_copy_of_the_best() -> None:
    running = sure(8, 6, 9, 3)
    first = RULE.decide(View(running=running, room=4))
    scores = {"2": 1.0, "0": 0.888889, "1": 0.666667, "3": 0.333333}
    assert first == Cancel((3,), {"segments": 2, "scores": scores})
    left, lost = running[:3], running[3:]
    second = RULE.decide(View(running=left, lost=lost, room=4))
    assert isinstance(second, Copy)
    assert (second.branches, second.segments) == ((2,), 2)
    copy = replace(running[2], index=4, inherited=2)
    assert isinstance(RULE.decide(View(running=(*left, copy), lost=lost, room=3)), Continue)


def test_it_swaps_again_at_the_next_segment() -> None:
    copy = replace(sure(9, segments=3)[0], index=4, inherited=2)
    running = (*sure(8, 6, 7, segments=3), copy)
    assert RULE.decide(View(running=running, room=3)) == Cancel(
        (1,), {"segments": 3, "scores": {"4": 1.0, "0": 0.888889, "2": 0.777778, "1": 0.666667}}
    )


def test_more_may_be_swapped_but_never_more_than_half_nor_than_there_is_room_for() -> None:
    running = sure(8, 6, 9, 3)
    for swap, room, worst in ((2, 4, (1, 3)), (4, 4, (1, 3)), (2, 1, (3,))):
        decision = replace(RULE, swap=swap).decide(View(running=running, room=room))
        assert isinstance(decision, Cancel)
        assert decision.branches == worst
    assert isinstance(RULE.decide(View(running=running, room=0)), Continue)
    assert isinstance(replace(RULE, swap=0).decide(View(running=running, room=4)), Continue)


def test_equals_are_not_swapped() -> None:
    assert isinstance(RULE.decide(View(running=sure(5, 5, 5, 5), room=4)), Continue)
    assert isinstance(RULE.decide(View(running=sure(None, None, None, None), room=4)), Continue)


def test_what_lies_below_the_floor_is_cancelled_but_never_all() -> None:
    decision = RULE.decide(View(running=sure(10, 0.5, 10, None), room=0))
    assert isinstance(decision, Cancel)
    assert decision.branches == (1, 3)
    high = replace(AGREEING, floor=0.9)
    assert isinstance(high.decide(View(running=saying(1, 2, 3, 4), room=0)), Continue)


def test_lost_branches_are_replaced_by_copies_of_the_best() -> None:
    decision = RULE.decide(View(running=sure(7, 9), lost=(Branch(8), Branch(9)), room=4))
    assert isinstance(decision, Copy)
    assert decision.branches == (1, 0)
    one = RULE.decide(View(running=sure(7), lost=(Branch(8), Branch(9)), room=4))
    assert isinstance(one, Copy)
    assert one.branches == (0,)  # each is copied once at a time


def test_those_that_have_finished_keep_their_places() -> None:
    finished = (Branch(8, 0), Branch(9, 1))
    assert isinstance(RULE.decide(View(finished, sure(7, 7), room=4)), Continue)


def test_those_that_await_a_verdict_are_not_compared_and_keep_their_places() -> None:
    first, *others = sure(1, 8, 9)
    running = (replace(first, cluster=0, segments=(1.0,)), *others)
    decision = replace(RULE, capacity=3).decide(View(running=running, room=4))
    assert isinstance(decision, Cancel)
    assert decision.branches == (1,)
    assert isinstance(RULE.decide(View(running=running[:1], room=4)), Continue)


def test_agreement_is_the_share_of_those_that_say_the_same() -> None:
    decision = AGREEING.decide(View((Branch(8, 2), Branch(9, 2)), saying(1, 1, 2, None), room=9))
    assert decision == Cancel(
        (3,), {"segments": 2, "scores": {"2": 0.5, "0": 0.333333, "1": 0.333333, "3": 0.0}}
    )


def test_both_weigh_in_the_score() -> None:
    running = tuple(
        replace(one, probes=other.probes)
        for one, other in zip(sure(10, 5, 10, 10), saying(1, 1, 2, 1), strict=True)
    )
    decision = replace(RULE, agreement=0.5).decide(View(running=running, room=4))
    assert isinstance(decision, Cancel)
    assert decision.seen["scores"] == {"0": 0.875, "3": 0.875, "1": 0.625, "2": 0.625}
    assert decision.branches == (2,)


@pytest.mark.parametrize(
    ("agreement", "segments", "winner"),
    [
        (1.0, (9.0, 1.0, 1.0), 1),  # the plain majority
        (0.0, (9.0, 1.0, 1.0), 0),
        (0.0, (None, None, None), 1),
        (0.5, (9.0, 4.0, 4.0), 1),
    ],
)
def test_the_finished_branches_vote_with_their_scores(
    agreement: float, segments: Sequence[float | None], winner: int
) -> None:
    finished = [Branch(at, int(at > 0), segments=(each,)) for at, each in enumerate(segments)]
    stop = replace(RULE, agreement=agreement).decide(View(tuple(finished)))
    assert stop == Stop("exhausted", winner)


def test_it_needs_only_what_its_score_is_made_of() -> None:
    assert Tournament(agreement=0).needs == {"tokens", "confidence"}
    assert Tournament(agreement=1).needs == {"tokens", "probes"}
    assert Tournament().needs == {"tokens", "confidence", "probes"}


@pytest.mark.parametrize(
    "given", [{"warmup": 0}, {"floor": 2}, {"capacity": 0}, {"agreement": -1}, {"swap": -1}]
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(given))} must lie between"):
        Tournament(**given)
