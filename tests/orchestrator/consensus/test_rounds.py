import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.stopping import (
    Another,
    End,
    Round,
    RuleError,
    SeatSecretary,
    SeatThreshold,
    parse_round_rule,
)

ROUNDS = st.lists(
    st.builds(
        Round,
        st.one_of(st.none(), st.just(0.0), st.floats(0, 2)),
        st.integers(0, 3),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=6,
)


def test_the_threshold_ends_at_the_first_certain_round() -> None:
    rule = SeatThreshold(0.3, rounds=4)
    first, second = Round(0.9, 0, 0.5), Round(0.2, 0, 0.8)
    assert isinstance(rule.decide([]), Another)
    assert isinstance(rule.decide([first]), Another)
    decision = rule.decide([first, second])
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (1, "agreed")


def test_the_last_round_recalls_the_most_certain_one() -> None:
    decision = SeatThreshold(0.1, rounds=3).decide(
        [Round(0.9, 0, 0.5), Round(0.4, 1, 0.7), Round(0.6, 0, 0.6)]
    )
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (1, "exhausted")


def test_an_undefined_entropy_never_ends_the_search() -> None:
    assert isinstance(SeatThreshold(2.0, rounds=3).decide([Round(None, None, 0.0)]), Another)


def test_a_sudden_agreement_on_another_answer_is_a_collapse() -> None:
    decision = SeatThreshold(0.3, rounds=4).decide([Round(0.5, 0, 0.8), Round(0.0, 1, 1.0)])
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (0, "collapsed")


def test_a_round_that_merely_repeats_what_it_was_shown_is_no_evidence() -> None:
    first, copied = Round(0.5, 0, 0.8), Round(0.0, 0, 1.0, copied=0.6)
    decision = SeatThreshold(0.3, rounds=4).decide([first, copied])
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (0, "copied")
    for rule in (SeatThreshold(0.3, rounds=4, copies=0.6), SeatSecretary(4, copies=1.0)):
        accepted = rule.decide([first, copied])
        assert isinstance(accepted, End)
        assert (accepted.best, accepted.reason) == (1, "agreed")
    assert isinstance(SeatThreshold(0.3).decide([Round(0.5, 0, 0.8, copied=1.0)]), Another)  # saw nothing


def test_what_is_usual_holds_where_the_spec_gives_nothing() -> None:
    assert parse_round_rule("seat:0.3", copies=1.0) == SeatThreshold(0.3, copies=1.0)
    assert parse_round_rule("seat:0.3,copies=0.2", copies=1.0) == SeatThreshold(0.3, copies=0.2)


def test_agreement_on_one_of_two_halves_is_no_collapse() -> None:
    decision = SeatThreshold(0.3, rounds=4).decide([Round(0.69, 0, 0.5), Round(0.0, 1, 1.0)])
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (1, "agreed")


def test_the_secretary_watches_then_takes_the_first_better_one() -> None:
    rule = SeatSecretary(rounds=6)  # watches two
    rounds = [Round(0.7, 0, 0.6), Round(0.5, 0, 0.6)]
    assert isinstance(rule.decide(rounds), Another)
    assert isinstance(rule.decide([*rounds, Round(0.5, 0, 0.6)]), Another)
    decision = rule.decide([*rounds, Round(0.6, 0, 0.6), Round(0.4, 0, 0.7)])
    assert isinstance(decision, End)
    assert (decision.best, decision.reason) == (3, "agreed")


@given(ROUNDS, st.sampled_from([SeatThreshold(0.3, rounds=4), SeatSecretary(rounds=4)]))
def test_it_always_ends_and_recalls_a_round_that_was(
    rounds: list[Round], rule: SeatThreshold | SeatSecretary
) -> None:
    decision = rule.decide(rounds)
    assert decision == rule.decide(rounds)
    if isinstance(decision, End):
        assert 0 <= decision.best < len(rounds)
    else:
        assert len(rounds) < rule.limit


def test_specs() -> None:
    assert parse_round_rule("seat:0.5,rounds=3") == SeatThreshold(0.5, rounds=3)
    assert parse_round_rule(parse_round_rule("seat_secretary:rounds=5").spec) == SeatSecretary(5)
    with pytest.raises(RuleError, match="there are seat, seat_secretary"):
        parse_round_rule("beta")
