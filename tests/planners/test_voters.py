"""Votes and cascades over several models, by role."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import Planner
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Question
from planners.cascade import cascade
from planners.vote import vote
from tests.planners.conftest import Played, play
from tests.planners.revisiting import killed_anywhere
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

ROLES = Capabilities("simulator", roles=frozenset({"math", "law", "large"}))
DOMAINS = {"math": "numbers, sums, primes", "law": "courts, contracts, sellers"}


async def ask(
    planner: Planner, claims: dict[str, str], question: str = "How many?", **options: Any
) -> Played:
    def answer(call: Call, _: Random) -> str:
        return rf"So: \boxed{{{claims[call.role]}}}"

    given = {"capabilities": ROLES, **options}
    return await play(planner, question, Simulator(answer), **given)


def roles(played: Played) -> list[str]:
    return [request.get("role", "branch") for request in played.requests("branch")]


async def test_branches_take_turns_with_the_models_over_one_prompt() -> None:
    played = await ask(vote, {"math": "7", "law": "7"}, voters={"math": 1, "law": 1}, n=5, rule="fixed")
    assert roles(played) == ["law", "math", "law", "math", "law"]  # by name
    assert len(set(played.said("branch"))) == 1
    assert played.answer.kinds == ("law", "math")
    assert played.answer.basis == "all 5 branches of different kinds agree"


@pytest.mark.parametrize("planner", [vote, cascade])
async def test_domains_without_voters_are_refused(planner: Planner) -> None:
    played = await ask(planner, {"branch": "7", "large": "7"}, domains=DOMAINS)
    assert "domains say how much voters count: give voters, too" in str(played.result.failure)


async def test_an_answer_counts_as_much_as_is_given_for_its_model() -> None:
    claims = {"math": "8", "law": "7", "branch": "7"}
    plain = await ask(vote, claims, voters={"math": 1, "law": 1, "branch": 1}, n=3, rule="fixed")
    assert plain.answer.claim == "7"
    assert plain.answer.confidence == pytest.approx(2 / 3)
    heavy = await ask(vote, claims, voters={"math": 4, "law": 1, "branch": 1}, n=3, rule="fixed")
    assert heavy.answer.claim == "8"
    assert heavy.answer.confidence == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("question", "claim"),
    [("How many primes are there?", "8"), ("What do courts say?", "7"), ("What is it?", "8")],
)
async def test_the_model_counts_most_whose_domain_is_closest(question: str, claim: str) -> None:
    given = {"voters": {"math": 1.1, "law": 1}, "domains": DOMAINS}  # the weights decide where domains do not
    played = await ask(vote, {"math": "8", "law": "7"}, question, **given, n=2, rule="fixed")
    assert played.answer.claim == claim
    (decision,) = played.decisions("voters")
    assert decision["verdict"] == "weighed by domain"
    assert decision["saw"].keys() == DOMAINS.keys()


async def test_the_material_tells_of_the_domain_as_well() -> None:
    question = Question("What is it?", context="The sellers went to the courts over the contracts.")
    played = await play(
        vote,
        question,
        Simulator(lambda call, _: rf"\boxed{{{call.role}}}"),
        capabilities=ROLES,
        voters={"math": 1, "law": 1},
        domains=DOMAINS,
        n=2,
        rule="fixed",
    )
    assert played.answer.claim == "law"


@pytest.mark.parametrize("planner", [vote, cascade], ids=lambda each: str(each.name))
@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"voters": {"maths": 1}}, "no model has the role maths; there are branch, large, law, math"),
        ({"voters": {"math": 1, "law": 1}, "domains": {"math": "sums"}}, "give each voter one, or none"),
    ],
)
async def test_voters_without_a_model_or_a_domain_are_refused(
    planner: Planner, options: dict[str, Any], hint: str
) -> None:
    played = await ask(planner, {}, **options)
    assert played.failure == "invalid_request"
    assert played.result.failure is not None
    assert hint in played.result.failure.message
    assert played.requests() == []


@pytest.mark.parametrize(
    ("voters", "hint"),
    [
        ({}, "at least 1"),
        ({"math": 0}, "greater than or equal to 0.001"),
        ({"math": "much"}, "valid number"),
        ({"ma th": 1}, "should match"),
        (["math"], "valid dictionary"),
    ],
)
def test_bad_voters_are_refused(voters: object, hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        vote.validate({"voters": voters})


async def test_a_cascade_over_models_believes_those_that_agree() -> None:
    played = await ask(cascade, {"math": "7", "law": "7"}, voters={"math": 2, "law": 1}, n=4)
    assert played.verdicts("cascade") == ["finish: agreed"]
    assert roles(played) == ["law", "math"] * 2


async def test_the_entropy_of_their_votes_decides_on_the_large_model() -> None:
    claims = {"math": "8", "law": "7", "branch": "8", "large": "9"}
    even = {"math": 1, "law": 1, "branch": 1}
    split = await ask(cascade, claims, voters=even, n=3, between="seat:0.3,rounds=1")
    assert split.verdicts("cascade") == ["escalate: exhausted"]
    assert (split.answer.claim, roles(split)[-1]) == ("9", "large")
    # Who says otherwise counts so little that the entropy of the votes is low.
    sure = await ask(cascade, claims, voters={**even, "law": 0.1}, n=3, between="seat:0.3,rounds=1")
    assert sure.verdicts("cascade") == ["finish: agreed"]
    assert sure.answer.entropy == pytest.approx(0.191, abs=0.001)


async def test_every_model_is_asked_plainly_and_with_the_answers_in_view() -> None:
    claims = {"math": "8", "law": "7", "large": "9"}
    played = await ask(cascade, claims, voters={"math": 1, "law": 1}, n=4)
    second = [each for each in played.nodes(NodeKind.GENERATE, "branch") if each.startswith("1.")]
    assert len(second) == 4
    shown = Counter(
        (request["role"], "Earlier attempts" in str(request["prompt"]))
        for request in played.requests("branch")[4:8]
    )
    assert shown == {(role, seen): 1 for role in ("math", "law") for seen in (False, True)}


async def test_confidence_over_rounds_counts_votes_and_words_count_branches() -> None:
    claims = {"math": "8", "law": "7"}
    played = await ask(cascade, claims, voters={"math": 3, "law": 1}, n=2, large=0)
    assert played.answer.claim == "8"
    assert played.answer.confidence == pytest.approx(3 / 4)
    assert played.answer.basis == "2 of 4 answers of 2 rounds agree"


@pytest.mark.parametrize(
    "options", [{"n": 2}, {"n": 8, "rule": "fixed:2"}], ids=["n", "the width of the rule"]
)
async def test_a_voter_that_would_never_be_asked_is_told(options: dict[str, Any]) -> None:
    voters = {"math": 1, "law": 1, "large": 1}
    played = await ask(vote, {}, voters=voters, **options)
    assert played.failure == "invalid_request"
    assert "3 voters take turns, but there are 2 branches: give n=3" in str(played.result.failure)


@pytest.mark.parametrize("planner", [vote, cascade], ids=lambda each: str(each.name))
async def test_it_goes_on_wherever_it_was_killed(planner: Planner) -> None:
    """Only branches may be asked here: whoever goes on is not told of other roles."""

    def engine() -> Simulator:
        return Simulator(lambda call, _: rf"\boxed{{{7 + (call.sampling.seed or 0) % 2}}}")

    await killed_anywhere(planner, "How many?", engine, voters={"branch": 2}, n=3)
