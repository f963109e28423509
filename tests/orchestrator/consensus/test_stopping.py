import pytest

from orchestrator.consensus.stopping import (
    Beta,
    Branch,
    Continue,
    FirstAgreement,
    FixedN,
    RuleError,
    Stop,
    View,
    majority_posterior,
    parse_rule,
)


def voted(*clusters: int | None, running: int = 0, room: int = 0) -> View:
    finished = tuple(Branch(at, cluster, tokens=100) for at, cluster in enumerate(clusters))
    still = tuple(Branch(len(clusters) + at, tokens=100) for at in range(running))
    return View(finished, still, room=room)


def test_the_posterior_is_the_closed_form_of_the_beta_integral() -> None:
    assert majority_posterior(0, 0) == 0.5
    assert majority_posterior(3, 0) == 0.9375
    assert majority_posterior(4, 0) == 0.96875
    # The smallest lead that reaches .95, as the paper's rule has it.
    for second, first in enumerate((4, 6, 8, 9, 11)):
        assert majority_posterior(first, second) >= 0.95 > majority_posterior(first - 1, second)


def test_beta_stops_at_the_fourth_equal_answer() -> None:
    rule = Beta(width=8)
    assert isinstance(rule.decide(voted(0, 0, 0, running=5)), Continue)
    decision = rule.decide(voted(0, 0, 0, 0, running=4))
    assert isinstance(decision, Stop)
    assert (decision.reason, decision.winner) == ("agreed", 0)


def test_beta_stops_when_the_rest_cannot_change_the_winner() -> None:
    decision = Beta(width=4).decide(voted(0, 0, 0, running=1))
    assert isinstance(decision, Stop)
    assert decision.reason == "agreed"


def test_fixed_waits_for_all_and_breaks_ties_by_first_arrival() -> None:
    rule = FixedN(width=4)
    assert isinstance(rule.decide(voted(1, 0, 0, running=1)), Continue)
    decision = rule.decide(voted(1, 0, 0, 1))
    assert isinstance(decision, Stop)
    assert (decision.reason, decision.winner) == ("exhausted", 1)


def test_the_first_answers_that_agree_end_a_vote() -> None:
    assert isinstance(FirstAgreement(2, width=5).decide(voted(0, 1, running=3)), Continue)
    for rule, view in ((FirstAgreement(1), voted(None, 3, running=2)), (FirstAgreement(2), voted(0, 3, 3))):
        decision = rule.decide(view)
        assert isinstance(decision, Stop)
        assert (decision.reason, decision.winner) == ("agreed", 3)
    decided = FirstAgreement(3, width=4).decide(voted(0, 0, running=1))
    assert isinstance(decided, Stop)
    assert decided.reason == "decided"
    with pytest.raises(ValueError, match="votes must lie between"):
        FirstAgreement(0)


def test_nobody_answered() -> None:
    decision = FixedN(width=2).decide(voted(None, None))
    assert isinstance(decision, Stop)
    assert decision.winner is None


@pytest.mark.parametrize(
    "spec", ["fixed", "fixed:5", "beta", "beta:0.99", "beta:threshold=0.9,min_finished=2,width=64"]
)
def test_a_spec_makes_the_round_trip(spec: str) -> None:
    rule = parse_rule(spec)
    assert parse_rule(rule.spec) == rule


def test_width_is_a_default_only() -> None:
    assert parse_rule("beta", width=5) == Beta(width=5)
    assert parse_rule("beta:width=7", width=5) == Beta(width=7)
    assert parse_rule({"rule": "beta", "threshold": 0.9}, width=5) == Beta(threshold=0.9, width=5)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("zeta", "no rule is called 'zeta'; there are "),
        ("beta:x", "threshold must be a number, got 'x'"),
        ("beta:0.3", "between 0.5 and 1"),
        ("beta:foo=3", "has no setting 'foo'; it has threshold, "),
        ("beta:.9,.8", "only the first setting"),
        ("fixed:3.5", "width must be a whole number"),
        ("beta:nan", "threshold must be a number, got 'nan'"),
        ("fixed:0", "width must be at least 1"),
    ],
)
def test_a_wrong_spec_is_told_what_is_right(spec: str, says: str) -> None:
    with pytest.raises(RuleError, match=says.replace("(", r"\(")):
        parse_rule(spec)
