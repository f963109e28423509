"""Agreement across kinds, and votes that end because nothing can change their answer any more."""

from __future__ import annotations

import pytest

from orchestrator.consensus.stopping import (
    AcrossKinds,
    AdaptiveConsistency,
    AnyOf,
    Beta,
    Branch,
    Continue,
    Deadline,
    EntropyThreshold,
    Expand,
    FixedN,
    Stop,
    StopRule,
    TokenBudget,
    View,
    parse_rule,
)


def voted(
    *votes: tuple[int | None, str] | int | None, running: int = 0, room: int = 0, sure: float | None = None
) -> View:
    given = [vote if isinstance(vote, tuple) else (vote, "") for vote in votes]
    finished = tuple(
        Branch(at, cluster, kind=kind, sure=sure, tokens=10) for at, (cluster, kind) in enumerate(given)
    )
    others = tuple(Branch(len(given) + at) for at in range(running))
    return View(finished=finished, running=others, room=room)


def verdict(rule: StopRule, view: View) -> tuple[str, int | None] | str:
    decision = rule.decide(view)
    return (decision.reason, decision.winner) if isinstance(decision, Stop) else type(decision).__name__


LOOK, PROGRAM, STEPS = "look", "program", "steps"


class TestKinds:
    def test_a_sure_look_ends_the_vote(self) -> None:
        rule = AcrossKinds(sure=0.8)
        assert rule.initial == 1
        assert verdict(rule, voted((0, LOOK), sure=0.8, room=5)) == ("sure", 0)
        assert verdict(rule, voted((0, LOOK), sure=0.79, room=5)) == "Expand"
        assert verdict(rule, voted((0, LOOK), sure=None, room=5)) == "Expand"
        assert verdict(rule, voted((None, LOOK), sure=1.0, room=5)) == "Expand"

    def test_of_several_looks_none_is_enough(self) -> None:
        rule = AcrossKinds(looks=2, sure=0.5)
        assert rule.initial == 2
        assert verdict(rule, voted((0, LOOK), running=1, room=4, sure=1.0)) == "Continue"
        assert verdict(rule, voted((0, LOOK), (0, PROGRAM), room=4, sure=1.0)) == ("agreed", 0)
        assert verdict(rule, voted((0, LOOK), (1, PROGRAM), room=4, sure=1.0)) == "Expand"

    def test_a_vote_of_three_and_then_two_at_a_time(self) -> None:
        rule = AcrossKinds()
        assert rule.decide(voted((0, LOOK), room=5)) == Expand(
            2, {"kinds": 1, "first": 1, "second": 0, "votes": 1}
        )
        for votes, room, by in (((0, 1, 2), 3, 2), ((0, 1, 2, 3, 4), 1, 1)):
            decision = rule.decide(voted(*votes, room=room))
            assert isinstance(decision, Expand)
            assert decision.by == by

    def test_two_kinds_that_agree_suffice_and_two_of_one_do_not(self) -> None:
        rule = AcrossKinds()
        assert verdict(rule, voted((0, LOOK), (1, STEPS), (1, PROGRAM), room=3)) == ("agreed", 1)
        assert verdict(rule, voted((0, LOOK), (1, STEPS), (1, STEPS), room=3)) == "Expand"
        assert verdict(rule, voted((1, STEPS), (1, STEPS), (1, STEPS), running=1, room=2)) == "Continue"

    def test_agreement_that_leads_is_enough_and_a_tie_is_not(self) -> None:
        rule = AcrossKinds()
        split = ((0, LOOK), (1, STEPS), (2, PROGRAM), (1, PROGRAM))
        assert verdict(rule, voted(*split, room=2)) == ("agreed", 1)
        assert verdict(rule, voted(*split, (0, STEPS), room=1)) == "Expand"
        assert verdict(rule, voted((0, LOOK), (0, LOOK), (1, STEPS), (1, PROGRAM))) == ("exhausted", 1)

    def test_it_ends_where_nothing_is_left(self) -> None:
        rule = AcrossKinds()
        assert verdict(rule, voted(0, 0, 1)) == ("exhausted", 0)
        assert verdict(rule, voted(None, None, None)) == ("exhausted", None)
        assert verdict(rule, voted(0, 0, 0, room=2)) == ("decided", 0)
        assert verdict(rule, voted(0, 0, None, running=1)) == "Continue"

    @pytest.mark.parametrize(
        "spec", ["kinds:sure=2", "kinds:0", "kinds:looks=0", "kinds:first=0", "kinds:width=0"]
    )
    def test_bad_settings_are_refused(self, spec: str) -> None:
        with pytest.raises(ValueError, match="rule 'kinds': "):
            parse_rule(spec)

    def test_it_is_known_by_name(self) -> None:
        assert parse_rule("kinds:2,looks=2", width=5) == AcrossKinds(looks=2, width=5)
        assert AcrossKinds(looks=2, width=5).spec == "kinds:looks=2,width=5"


UNTIL_DECIDED: list[StopRule] = [
    AdaptiveConsistency(threshold=0.999, width=5),
    Beta(threshold=0.999, width=5),
    EntropyThreshold(nats=0.0, width=5),
    Deadline(60.0, width=5),
    TokenBudget(1000, width=5),
    AcrossKinds(kinds=5, width=5),
    parse_rule("elastic:threshold=0.999,independent=0.999,width=5"),
]


@pytest.mark.parametrize("rule", UNTIL_DECIDED, ids=lambda rule: rule.spec)
def test_a_vote_stops_as_soon_as_no_branch_can_change_its_answer(rule: StopRule) -> None:
    decision = rule.decide(voted(0, 1, 0, 0, running=1))
    assert isinstance(decision, Stop)
    assert decision.winner == 0
    assert isinstance(rule.decide(voted(0, 1, 0, running=1, room=1)), Continue | Expand)
    assert isinstance(rule.decide(voted(0, None, 0, running=1)), Continue), (
        "an abstention may stand for another"
    )


def test_plain_voting_waits_for_all_and_a_second_rule_does_not_end_it_early() -> None:
    view = voted(0, 0, 0, 0, running=1)
    assert isinstance(FixedN(5).decide(view), Continue)
    assert isinstance(AnyOf((FixedN(5), Deadline(60.0, width=5))).decide(view), Continue)
    assert verdict(AnyOf((Deadline(60.0, width=5), FixedN(5))), view) == ("decided", 0)
