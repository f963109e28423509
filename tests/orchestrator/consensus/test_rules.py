"""What every stop rule promises, and what each of them decides."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.consensus.stopping import (
    DEFAULT_RULE,
    FIRST_DEFAULT_RULE,
    RULES,
    AcrossKinds,
    AdaptiveConsistency,
    AllOf,
    AnyOf,
    AtLeast,
    Beta,
    Branch,
    Cancel,
    Continue,
    Copy,
    Deadline,
    DeepConfOffline,
    DeepConfOnline,
    EarlyStopping,
    Elastic,
    EntropyThreshold,
    Expand,
    FirstVerified,
    FixedN,
    Json,
    ParallelProbe,
    RuleError,
    Stop,
    StopRule,
    Tally,
    TokenBudget,
    View,
    parse_rule,
)
from orchestrator.consensus.stopping.elastic import in_order_of_length


@dataclass(frozen=True)
class Fate:
    """What becomes of a branch: its answer (None: none), its length, and whether it fails."""

    cluster: int | None
    tokens: int
    fails: bool = False
    confidence: float | None = None
    verified: bool | None = None


FATES = st.lists(
    st.builds(
        Fate,
        st.one_of(st.none(), st.integers(0, 4)),
        st.integers(1, 30),
        st.booleans(),
        st.one_of(st.none(), st.floats(0.1, 20)),
        st.one_of(st.none(), st.booleans()),
    ),
    min_size=16,
    max_size=16,
)

SPECS = [
    *(f"{name}:width=16" for name in RULES if name not in ("esc", "deepconf", "parallel_probe")),
    "esc:window=4,width=16",
    "deepconf:warmup=4,width=16",
    "parallel_probe:stable=3,patience=2,warmup=2,width=16",
    "tournament:capacity=5,swap=2,warmup=2,floor=0.3,width=16",
    "tournament:capacity=5,agreement=1,width=7",
    "tournament:capacity=16,swap=8,agreement=0,width=16",
    "beta:threshold=0.8,min_finished=1,width=16",
    "elastic:patience=1,quorum=6,width=16",
    "elastic:patience=0,quorum=1,width=16",
    "elastic:width=1",
    "elastic:width=5",
    "token_budget:tokens=40,width=16",
    "deadline:seconds=12,width=16",
    "any(elastic:width=16; deadline:20)",
    "all(beta:width=16; entropy:width=16)",
    "at_least(5; elastic:width=16)",
    "any(all(beta:width=16; entropy:0.1); token_budget:100)",
]


def drive(rule: StopRule, fates: Sequence[Fate]) -> tuple[Stop, View]:
    """Run a rule over made-up branches, checking each of its decisions; one tick is a token and a second."""
    now, begun = 0, [0] * rule.initial
    finished: list[Branch] = []
    lost: list[Branch] = []
    running = {at: Branch(at) for at in range(rule.initial)}
    assert 1 <= rule.initial <= rule.limit

    def shown(branch: Branch) -> Branch:
        fate = fates[branch.index]
        age = now - begun[branch.index]
        probes = tuple((fate.cluster or 0) if at > 2 else at for at in range(age))
        segments = (fate.confidence,) * age
        return replace(branch, tokens=age, probes=probes, confidence=fate.confidence, segments=segments)

    while True:
        now += 1
        for at in sorted(running):
            fate = fates[at]
            if now - begun[at] >= fate.tokens:
                branch = shown(running.pop(at))
                if fate.fails:
                    lost.append(branch)
                else:
                    finished.append(replace(branch, cluster=fate.cluster, verified=fate.verified))
        while True:
            view = View(
                tuple(finished),
                tuple(shown(branch) for branch in running.values()),
                tuple(lost),
                min(rule.limit, len(fates)) - len(begun),
                float(now),
            )
            decision = rule.decide(view)
            assert decision == rule.decide(view)  # pure
            json.dumps(decision.seen, allow_nan=False)
            if isinstance(decision, Stop):
                return decision, view
            if isinstance(decision, Continue):
                assert running  # nothing would ever wake it
                break
            if isinstance(decision, Expand):
                assert 1 <= decision.by <= view.room
                for _ in range(decision.by):
                    running[len(begun)] = Branch(len(begun))
                    begun.append(now)
            elif isinstance(decision, Copy):
                assert 1 <= len(decision.branches) <= view.room
                for at in decision.branches:
                    assert 1 <= decision.segments <= len(shown(running[at]).segments)
                    running[len(begun)] = Branch(len(begun), inherited=decision.segments)
                    begun.append(now - decision.segments)
            else:
                assert decision.branches
                for at in decision.branches:
                    lost.append(shown(running.pop(at)))


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=15, deadline=None)
@given(fates=FATES)
def test_every_rule_ends_and_keeps_its_promises(spec: str, fates: list[Fate]) -> None:
    rule = parse_rule(spec)
    stop, view = drive(rule, fates)
    answered = {branch.cluster for branch in view.finished if branch.cluster is not None}
    probed = {probe for branch in (*view.running, *view.lost, *view.finished) for probe in branch.probes}
    assert stop.winner is None or stop.winner in answered | (probed if "probes" in rule.needs else set())
    if stop.winner is None and stop.reason in ("agreed", "verified"):
        assert "probes" in rule.needs


@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_makes_the_round_trip(spec: str) -> None:
    rule = parse_rule(spec)
    assert parse_rule(rule.spec) == rule
    assert rule.needs <= {"confidence", "kinds", "probes", "tokens", "verdicts"}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.permutations(range(4)))
def test_the_names_of_the_clusters_do_not_matter(clusters: list[int], names: list[int]) -> None:
    for rule in (Beta(), Elastic(), EntropyThreshold()):
        plain = rule.decide(voted(*clusters, running=6, room=4))
        renamed = rule.decide(voted(*(names[cluster] for cluster in clusters), running=6, room=4))
        assert type(plain) is type(renamed)
        if isinstance(plain, Stop) and isinstance(renamed, Stop) and plain.winner is not None:
            assert renamed.winner == names[plain.winner]


def voted(*clusters: int | None, running: int = 0, room: int = 0, **given: float) -> View:
    """Branches that arrived by their length."""
    finished = tuple(Branch(at, cluster, tokens=100 + at) for at, cluster in enumerate(clusters))
    still = tuple(Branch(len(clusters) + at, tokens=100) for at in range(running))
    return View(finished, still, room=room, elapsed=given.get("elapsed", 0.0))


def alike(view: View) -> View:
    """The same branches, all equally long, so that length does not tell why they arrived as they did."""
    return replace(view, finished=tuple(replace(branch, tokens=100) for branch in view.finished))


def stopped(decision: object) -> tuple[str, int | None]:
    assert isinstance(decision, Stop), decision
    return decision.reason, decision.winner


def test_adaptive_consistency_goes_one_by_one() -> None:
    rule = AdaptiveConsistency()
    assert rule.initial == 1
    assert rule.decide(voted(0, 0, 0, room=37)) == Expand(1, {"posterior": 0.9375, "first": 3, "second": 0})
    assert stopped(rule.decide(voted(0, 0, 0, 0, room=36))) == ("agreed", 0)
    assert stopped(rule.decide(voted(0, 1, room=0))) == ("exhausted", 0)


def test_early_stopping_judges_whole_windows() -> None:
    rule = EarlyStopping(window=3, width=9)
    assert isinstance(rule.decide(voted(0, 0, running=1, room=6)), Continue)
    assert rule.decide(voted(0, 0, 1, room=6)) == Expand(3, {"window": 0, "answers": 2})
    assert stopped(rule.decide(voted(0, 0, 1, 1, 1, 1, room=3))) == ("agreed", 1)
    assert stopped(rule.decide(voted(0, 0, 1, 2, 1, 1, 0, 0, 2))) == ("exhausted", 0)


@pytest.mark.parametrize("name", ["esc", "deepconf"])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_what_a_rule_begins_with_is_never_more_than_its_width(name: str, width: int) -> None:
    rule = parse_rule(name, width=width)
    assert rule.initial == min(width, parse_rule(name).initial)
    assert isinstance(rule.decide(voted(*[0] * width)), Stop)


def test_a_window_of_abstentions_is_no_agreement() -> None:
    assert isinstance(EarlyStopping(window=2, width=4).decide(voted(None, None, room=2)), Expand)


def test_the_entropy_rule_needs_answers_not_silence() -> None:
    rule = EntropyThreshold(width=8)
    assert stopped(rule.decide(voted(0, 0, 0, 0, running=4))) == ("agreed", 0)
    assert isinstance(rule.decide(voted(0, None, None, None, running=4)), Continue)
    assert isinstance(rule.decide(voted(None, None, None, None, running=4)), Continue)


class TestElastic:
    def test_patience_goes_from_all_to_the_square_root(self) -> None:
        assert [Elastic(patience, width=64).initial for patience in (0.0, 0.43, 1.0)] == [64, 26, 8]
        assert Elastic(1.0, width=4).initial == 3  # what a unanimous decision takes

    def test_three_equal_votes_decide_at_once(self) -> None:
        rule = Elastic()
        assert isinstance(rule.decide(voted(0, 0, running=25, room=37)), Continue)
        assert stopped(rule.decide(voted(0, 0, 0, running=24, room=37))) == ("agreed", 0)

    def test_what_is_asked_falls_to_a_half_at_the_quorum(self) -> None:
        rule = Elastic()
        asked = [rule.asked(votes) for votes in range(20)]
        assert asked[:4] == [0.93] * 4
        assert asked == sorted(asked, reverse=True)
        assert asked[14:] == [0.5] * 6

    def test_it_gives_up_at_the_quorum_with_the_plurality(self) -> None:
        votes = [0, 1, 2, 3] * 3 + [1, 2]
        assert isinstance(Elastic().decide(voted(*votes[:12], running=14, room=38)), Continue)
        assert stopped(Elastic().decide(voted(*votes, running=12, room=38))) == ("given_up", 1)

    def test_it_expands_only_where_votes_are_missing(self) -> None:
        rule = Elastic(patience=1)
        decision = rule.decide(voted(0, 1, running=6, room=56))
        assert isinstance(decision, Expand)
        assert decision.by == 6  # twelve votes are missing to the quorum, six are under way
        assert isinstance(Elastic(patience=1).decide(voted(0, 0, running=6, room=56)), Continue)

    def test_an_empty_branch_is_no_unanimity(self) -> None:
        decision = Elastic(patience=1).decide(voted(None, running=7, room=56))
        assert isinstance(decision, Expand)

    def test_it_stops_starting_when_nobody_answers(self) -> None:
        silent = [None] * 16
        assert isinstance(Elastic().decide(voted(*silent, running=4, room=40)), Continue)
        assert stopped(Elastic().decide(voted(*silent, running=0, room=40))) == ("exhausted", None)

    def test_a_lead_that_cannot_be_caught_ends_a_narrow_vote(self) -> None:
        assert stopped(Elastic(width=3).decide(voted(0, 0, running=1))) == ("agreed", 0)

    @given(st.lists(st.integers(0, 2), min_size=3, max_size=16))
    def test_where_arrivals_are_not_ordered_by_length_it_is_beta_on_arrivals(
        self, clusters: list[int]
    ) -> None:
        view = alike(voted(*clusters, running=16 - len(clusters)))
        ours, theirs = Elastic(0.0, width=16).decide(view), Beta(0.95, width=16).decide(view)
        assert type(ours) is type(theirs)
        if isinstance(ours, Stop) and isinstance(theirs, Stop):
            assert ours.winner == theirs.winner

    def test_where_they_are_not_a_quorum_runs_as_long_as_they_differ(self) -> None:
        decision = Elastic(patience=1).decide(alike(voted(0, 1, running=6, room=56)))
        assert isinstance(decision, Expand)
        assert decision.by == 8
        more = Elastic(patience=1).decide(alike(voted(*[0, 1] * 20, running=0, room=24)))
        assert isinstance(more, Expand)
        assert more.by == 14

    def test_branches_without_an_answer_tell_nothing_of_the_order(self) -> None:
        silent = alike(voted(*[None] * 16, running=4, room=40))
        assert isinstance(Elastic().decide(silent), Continue)  # the quorum still holds

    @given(st.lists(st.integers(1, 9), max_size=12))
    def test_the_order_of_length_is_kendalls_tau(self, tokens: list[int]) -> None:
        pairs = list(combinations(tokens, 2))
        tau = sum((a < b) - (a > b) for a, b in pairs)
        assert in_order_of_length(tokens) == (tau >= len(pairs) / 2)

    @given(st.lists(st.integers(0, 2), min_size=3, max_size=16))
    def test_without_a_quorum_it_is_beta_on_arrivals(self, clusters: list[int]) -> None:
        view = voted(*clusters, running=16 - len(clusters))
        ours = Elastic(0.0, 10**9, 0.95, 16).decide(view)
        theirs = Beta(0.95, width=16).decide(view)
        assert type(ours) is type(theirs)
        if isinstance(ours, Stop) and isinstance(theirs, Stop):
            assert ours.winner == theirs.winner

    @given(st.lists(st.integers(0, 3), min_size=1, max_size=15))
    def test_one_more_vote_for_the_leader_never_undoes_a_stop(self, clusters: list[int]) -> None:
        rule = Elastic()
        before = rule.decide(voted(*clusters, running=11, room=38))
        if isinstance(before, Stop) and before.winner is not None:
            after = rule.decide(voted(*clusters, before.winner, running=10, room=38))
            assert isinstance(after, Stop)
            assert after.winner == before.winner


class TestDeepConf:
    @staticmethod
    def branch(at: int, cluster: int | None, confidence: float | None) -> Branch:
        return Branch(at, cluster, confidence=confidence)

    def test_offline_lets_only_the_most_confident_vote(self) -> None:
        finished = (*(self.branch(at, 0, 5.0) for at in range(9)), self.branch(9, 1, 9.0))
        assert stopped(DeepConfOffline(keep=0.1, width=10).decide(View(finished))) == ("exhausted", 1)
        assert stopped(DeepConfOffline(keep=0.9, width=10).decide(View(finished))) == ("exhausted", 0)

    def test_without_confidence_it_is_the_plain_vote(self) -> None:
        finished = tuple(self.branch(at, at % 3 // 2, None) for at in range(6))
        assert stopped(DeepConfOffline(width=6).decide(View(finished))) == ("exhausted", 0)

    def test_a_confidence_that_is_no_number_is_the_least(self) -> None:
        finished = (self.branch(0, 0, float("nan")), self.branch(1, 1, 1.0))
        assert stopped(DeepConfOffline(keep=0.5, width=2).decide(View(finished))) == ("exhausted", 1)

    def test_online_sets_the_bar_by_the_warm_up_and_aborts_below_it(self) -> None:
        rule = DeepConfOnline(keep=0.5, warmup=4, width=8)
        warm = tuple(self.branch(at, at % 2, 4.0 + at) for at in range(4))
        started = rule.decide(View(warm, room=4))
        assert started == Expand(4, {"bar": 5.5, "share": 0.538462})
        running = (Branch(4, confidence=5.0), Branch(5, confidence=6.0), Branch(6))
        assert rule.decide(View(warm, running)) == Cancel((4,), started.seen)

    def test_online_stops_on_consensus_of_the_weight(self) -> None:
        rule = DeepConfOnline(keep=0.5, warmup=4, width=8)
        warm = tuple(self.branch(at, 0 if at < 2 else 1, 4.0 + at) for at in range(4))
        assert stopped(rule.decide(View(warm, room=4))) == ("agreed", 1)


class TestParallelProbe:
    rule = ParallelProbe(stable=3, patience=2, warmup=1, width=4)

    def test_a_majority_that_holds_ends_the_vote(self) -> None:
        running = tuple(Branch(at, probes=(at, 7, 7, 7, 7)) for at in range(4))
        assert stopped(self.rule.decide(View(running=running))) == ("agreed", 7)
        shorter = tuple(replace(branch, probes=branch.probes[:4]) for branch in running)
        assert isinstance(self.rule.decide(View(running=shorter)), Continue)

    def test_who_disagrees_for_long_is_pruned(self) -> None:
        running = (
            *(Branch(at, probes=(0, 1, 2, 7, 7)) for at in range(2)),
            Branch(2, probes=(0, 1, 2, 5, 5)),
        )
        decision = self.rule.decide(View((Branch(3, 7, probes=(7,)),), running))
        assert isinstance(decision, Cancel)
        assert decision.branches == (2,)


def test_the_first_accepted_answer_wins_and_refused_ones_do_not_vote() -> None:
    rule = FirstVerified(width=3)
    bad, unknown = Branch(0, 0, verified=False), Branch(1, 1)
    assert stopped(rule.decide(View((bad, Branch(1, 2, verified=True)), (Branch(2),)))) == ("verified", 2)
    assert isinstance(rule.decide(View((bad,), (Branch(1), Branch(2)))), Continue)
    assert stopped(rule.decide(View((bad, replace(bad, index=2), unknown)))) == ("exhausted", 1)


def test_a_deadline_wakes_itself() -> None:
    rule = Deadline(10.0)
    decision = rule.decide(voted(0, running=2, elapsed=4.0))
    assert isinstance(decision, Continue)
    assert decision.wake == 6.0
    assert stopped(rule.decide(voted(0, running=2, elapsed=10.0))) == ("deadline", 0)
    assert stopped(rule.decide(voted(running=2, elapsed=10.0))) == ("deadline", None)


def test_a_budget_counts_all_branches() -> None:
    assert isinstance(TokenBudget(301).decide(voted(0, running=2)), Continue)
    assert stopped(TokenBudget(300).decide(voted(0, running=2))) == ("budget", 0)


class TestCombinations:
    def test_any_stops_with_the_first_that_stops(self) -> None:
        rule = AnyOf((Beta(width=8), Deadline(5.0)))
        assert stopped(rule.decide(voted(0, 1, running=6, elapsed=5.0))) == ("deadline", 0)
        assert stopped(rule.decide(voted(0, 0, 0, 0, running=4, elapsed=1.0))) == ("agreed", 0)
        decision = rule.decide(voted(0, running=7, elapsed=1.0))
        assert isinstance(decision, Continue)
        assert decision.wake == 4.0
        assert set(decision.seen) == {"beta", "deadline:seconds=5.0"}

    def test_in_any_only_the_first_rule_starts_branches(self) -> None:
        rule = AnyOf((AdaptiveConsistency(), Deadline(5.0)))
        assert (rule.initial, rule.limit) == (1, 40)
        assert isinstance(rule.decide(voted(0, room=39)), Expand)

    def test_all_waits_for_every_rule(self) -> None:
        rule = AllOf((Beta(width=16), EntropyThreshold(0.0, width=16)))
        votes = (1, 0, 0, 0, 0, 0, 0)
        assert stopped(Beta(width=16).decide(voted(*votes, running=9))) == ("agreed", 0)
        assert isinstance(rule.decide(voted(*votes, running=9)), Continue)
        assert stopped(rule.decide(voted(0, 0, 0, 0, running=4))) == ("agreed", 0)

    def test_at_least_holds_a_stop_back(self) -> None:
        rule = AtLeast(6, Beta(width=8))
        assert isinstance(rule.decide(voted(0, 0, 0, 0, running=4)), Continue)
        assert isinstance(rule.decide(voted(0, 0, 0, 0, room=4)), Expand)
        assert stopped(rule.decide(voted(0, 0, 0, 0, 0, 0, running=2))) == ("agreed", 0)

    def test_they_nest_and_read_json(self) -> None:
        spec: dict[str, Json] = {
            "rule": "any",
            "rules": ["beta:0.9", {"rule": "at_least", "finished": 3, "rules": ["fixed"]}],
        }
        rule = parse_rule(spec, width=5)
        assert rule == AnyOf((Beta(0.9, width=5), AtLeast(3, FixedN(5))))
        assert parse_rule(rule.spec) == rule

    @pytest.mark.parametrize(
        ("spec", "says"),
        [
            ("any(beta", "lacks its closing bracket"),
            ("most(beta; fixed)", "combined by any, all, at_least, not by 'most'"),
            ("any()", "at least one rule"),
            ("at_least(beta; 3)", "takes a number and one rule"),
            ("at_least(0; beta)", "at least one branch"),
            ("all(beta; zeta)", "no rule is called 'zeta'"),
            ({"rule": "any", "rules": "beta"}, "must be a list"),
            ({"rule": "beta", "threshold": True}, "must be a number"),
            ({}, "no rule is called ''"),
        ],
    )
    def test_a_wrong_combination_is_told_what_is_right(
        self, spec: str | Mapping[str, bool | str], says: str
    ) -> None:
        with pytest.raises(RuleError, match=says):
            parse_rule(spec)


@pytest.mark.parametrize("spec", ["beta", "asc", "entropy:0.3,min_finished=1", "elastic", DEFAULT_RULE])
def test_one_answer_beside_four_abstentions_is_not_agreed(spec: str) -> None:
    decision = parse_rule(spec, width=8).decide(voted(0, None, None, None, None, running=3))
    assert not (isinstance(decision, Stop) and decision.reason == "agreed")


def test_abstentions_stand_against_the_lead() -> None:
    tally = voted(0, 0, 0, 1, None, None).tally()
    assert (tally.first, tally.second, tally.silence, tally.against) == (3, 1, 2, 3)
    assert tally.share == 0.5
    assert stopped(Beta(width=8).decide(voted(0, 0, 0, 0, running=4)))[0] == "agreed"
    assert not isinstance(Beta(width=8).decide(voted(0, 0, 0, 0, None, None, running=2)), Stop)


def test_the_default_rule_is_recorded_by_its_own_name() -> None:
    assert parse_rule(DEFAULT_RULE).spec == DEFAULT_RULE
    assert parse_rule(FIRST_DEFAULT_RULE) == Elastic()


VOTES = st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.sampled_from([0.25, 0.5, 1.0, 2.0])))
LATER = st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), max_size=4)


@pytest.mark.parametrize(
    "rule", [Beta(1.0), Deadline(), TokenBudget(), AdaptiveConsistency(1.0), AcrossKinds()]
)
@given(votes=VOTES, later=LATER, room=st.integers(0, 2))
def test_what_is_decided_no_heavy_branch_can_turn(
    rule: StopRule, votes: list[tuple[int | None, float]], later: list[float], room: int
) -> None:
    """Weights are such that their sums are exact."""
    finished = tuple(Branch(at, cluster, weight=weight) for at, (cluster, weight) in enumerate(votes))
    running = tuple(Branch(len(votes) + at, weight=weight) for at, weight in enumerate(later))
    view = View(finished, running, room=room, heaviest=2.0)
    decision, tally = rule.decide(view), view.tally()
    if isinstance(decision, Stop) and decision.reason in ("agreed", "decided"):
        assert decision.winner == tally.winner
        assert tally.first > tally.second + tally.silence + sum(later) + 2.0 * room


def test_branches_count_with_their_votes() -> None:
    light, heavy = Branch(0, 0, weight=0.5), Branch(1, 1, weight=1.5)
    assert stopped(FixedN(width=2).decide(View((light, heavy)))) == ("exhausted", 1)
    still = View((light, heavy), (Branch(2, weight=2.0),))  # its entropy is 0.56
    assert stopped(EntropyThreshold(0.6, min_finished=2, width=3).decide(still)) == ("agreed", 1)
    assert isinstance(EntropyThreshold(0.5, min_finished=2, width=3).decide(still), Continue)
    probed = (Branch(0, probes=(0, 0, 0), weight=0.5), Branch(1, probes=(1, 1, 1), weight=1.5))
    assert stopped(ParallelProbe(stable=1, warmup=9, width=2).decide(View(running=probed))) == ("agreed", 1)
    assert Tally.of((light, heavy), [4.0, 1.0]).weights == {0: 2.0, 1: 1.5}
