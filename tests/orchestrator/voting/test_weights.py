"""Votes whose branches ask several models, and count more or less."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer
from orchestrator.voting.ballot import Turn
from orchestrator.voting.splitting import split
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, play
from workers.calls import Call
from workers.engines.simulator.engine import Simulator

Says = Callable[[Call], str]


def by_role(**claims: str) -> Says:
    return lambda call: rf"\boxed{{{claims[call.role]}}}" if claims[call.role] else ""


def turns(**weights: float) -> list[Turn]:
    """A turn for each role."""
    return [Turn([user("How many?")], role, role=role, weight=weight) for role, weight in weights.items()]


async def held(says: Says, given: Sequence[Turn], **options: Any) -> Played:
    def answer(call: Call, _: Random) -> str:
        return says(call)

    async def body(run: Run) -> Answer:
        settings = {"rule": "fixed", "width": 3, "max_tokens": 64, **options}
        return await run.vote(given[0], turns=given[1:], **settings)

    return await play(body, Simulator(answer))


def answer_of(played: Played) -> Answer:
    assert played.result.answer is not None
    return played.result.answer


def roles(played: Played) -> list[str]:
    return [e.data["request"].get("role", "branch") for e in played.events if "request" in e.data]


def journal(played: Played) -> list[tuple[str, str, Any]]:
    """What a run decided and what came of it."""
    kept = (EventType.DECISION, EventType.RUN_FINISHED)
    return [(e.type, e.path, e.data) for e in played.events if e.type in kept]


async def test_a_branch_asks_the_model_of_its_turn() -> None:
    given = [*turns(small=1, law=1), Turn([user("How many?")])]
    played = await held(by_role(small="7", law="7", branch="7"), given, width=4)
    assert roles(played) == ["small", "law", "branch", "small"]
    probed = await held(
        lambda call: "word " * 400 + r"\boxed{7}",
        turns(small=1, law=1),
        rule="parallel_probe:stable=2,warmup=1",
        width=2,
        segment=8,
    )
    labels = {e.path: e.data["label"] for e in probed.events if e.type is EventType.NODE_ADDED}
    asked = {(labels[e.path][:8], e.data["request"]["role"]) for e in probed.events if "request" in e.data}
    assert asked == {("branch 0", "small"), ("branch 1", "law")}  # its probes and segments too


@pytest.mark.parametrize(
    "rule", ["fixed", "beta:0.8", "elastic", "entropy", "asc", "kinds", "at_least(2; beta)"]
)
@pytest.mark.parametrize("weight", [0.3, 7.0])
async def test_equal_weights_are_no_weights(rule: str, weight: float) -> None:
    says = by_role(one="7", two="8", three="7")
    plain = await held(says, turns(one=1, two=1, three=1), rule=rule, width=6)
    heavy = await held(says, turns(one=weight, two=weight, three=weight), rule=rule, width=6)
    assert journal(heavy) == journal(plain)
    assert heavy.result == plain.result
    assert all(cluster.weight is None for cluster in answer_of(heavy).clusters)


async def test_the_heavier_model_wins_against_more_branches() -> None:
    played = await held(by_role(large="8", one="7", two="7"), turns(large=3, one=1, two=1))
    answer = answer_of(played)
    assert (answer.claim, answer.kinds) == ("8", ("large",))
    assert answer.confidence == pytest.approx(3 / 5)
    assert [(each.claim, each.count) for each in answer.clusters] == [("8", 1), ("7", 2)]
    assert [each.votes for each in answer.clusters] == pytest.approx([9 / 5, 6 / 5])
    assert answer.basis == "the most votes by weight; 1 of 3 branches gave it"
    assert not answer.doubtful
    (merge,) = [e.data for e in played.events if e.data.get("by") == "merge"]
    assert (merge["verdict"], sorted(merge["saw"]["weights"].values())) == ("weighted majority", [1.2, 1.8])


async def test_the_entropy_is_that_of_the_votes() -> None:
    played = await held(by_role(large="8", one="7", two="7"), turns(large=2, one=1, two=1))
    assert answer_of(played).entropy == pytest.approx(math.log(2))
    silent = await held(by_role(large="8", one="7", two=""), turns(large=2, one=1, two=1))
    assert answer_of(silent).entropy == pytest.approx(0.5 * math.log(2) + 2 * 0.25 * math.log(4))


async def test_a_lead_that_one_heavy_branch_may_turn_is_waited_for() -> None:
    """Two of three agree, which ends a plain vote of three; the third has as many votes as both."""

    def says(call: Call) -> str:
        return "So it is. " * 40 + r"\boxed{8}" if call.role == "large" else r"\boxed{7}"

    rule = "deadline:1000"
    plain = await held(says, turns(one=1, two=1, large=1), rule=rule, max_tokens=512)
    heavy = await held(says, turns(one=1, two=1, large=3), rule=rule, max_tokens=512)
    assert (answer_of(plain).claim, answer_of(heavy).claim) == ("7", "8")
    assert len(answer_of(plain).votes) == 2
    assert len(answer_of(heavy).votes) == 3


async def test_a_vote_may_be_split_by_weight() -> None:
    even = answer_of(await held(by_role(large="8", one="7", two="7"), turns(large=2, one=1, two=1)))
    assert split(even) == "of 3 answers, the first two have 1.5 votes each"
    clear = answer_of(await held(by_role(large="8", one="7", two="6"), turns(large=3, one=1, two=1)))
    assert split(clear) is None


async def test_the_answer_has_what_each_branch_came_to() -> None:
    votes = answer_of(await held(by_role(a="7", b="", c="8"), turns(a=1, b=1, c=1), width=4)).votes
    assert [(each.branch, each.kind, each.claim) for each in votes] == [
        (0, "a", "7"),
        (1, "b", None),
        (2, "c", "8"),
        (3, "a", "7"),
    ]
    assert votes[0].text == r"\boxed{7}"


@pytest.mark.parametrize("weight", [0, -1, math.inf, math.nan])
async def test_a_weight_is_a_number_above_0(weight: float) -> None:
    played = await held(by_role(one="7", two="7"), turns(one=1, two=weight))
    assert "the weight of a turn is a number above 0" in played.failure


async def test_a_copy_counts_as_much_as_the_branch_that_it_goes_on_from() -> None:
    def says(call: Call) -> str:
        claim = 8 if call.role == "large" else 7
        if "final answer is" in (call.prompt.prefill or ""):  # it is made to answer
            return f"{claim}}}"
        return "word " * 40 if len(call.prompt.prefill or "") < 60 else rf"\boxed{{{claim}}}"

    rule = "tournament:capacity=3,agreement=1"
    played = await held(says, turns(large=3, one=1, two=1), rule=rule, width=4, segment=8)
    copies = [e.data["saw"] for e in played.events if e.data.get("verdict") == "copy"]
    assert [(each["of"], each["as"]) for each in copies] == [([1], [3])]  # branch 3 would be a large one
    assert [each.votes for each in answer_of(played).clusters] == pytest.approx([3 * 3 / 5])


@pytest.mark.parametrize(
    ("weights", "claims", "decided"),
    [
        ({"large": 6, "one": 1, "two": 1}, {"large": "8", "one": "7", "two": "9"}, "8"),
        ({"large": 2, "one": 1, "two": 1}, {"large": "8", "one": "7", "two": "7"}, None),
    ],
)
async def test_a_synthesis_is_asked_for_where_no_answer_has_a_majority_of_the_votes(
    weights: dict[str, float], claims: dict[str, str], decided: str | None
) -> None:
    asked = []

    def says(call: Call) -> str:
        if "Several attempts" in "".join(segment.text for segment in call.prompt.segments):
            asked.append(call.role)
            return r"\boxed{7}"
        return rf"\boxed{{{claims[call.role]}}}"

    answer = answer_of(await held(says, turns(**weights), merge="synthesis"))
    assert len(asked) == (decided is None)
    assert answer.claim == (decided or "7")
    share = 6 / 8 if decided else 2 / 4
    assert answer.confidence == pytest.approx(share)


@pytest.mark.parametrize("merge", ["medoid", "synthesis"])
async def test_the_share_of_an_answer_that_was_not_elected_is_one_of_votes(merge: str) -> None:
    given = turns(large=3, one=2, two=1)
    answer = answer_of(await held(by_role(large="8", one="7", two="7", branch="7"), given, merge=merge))
    assert answer.claim == "7"
    assert answer.confidence == pytest.approx(3 / 6)
