from __future__ import annotations

import math

import pytest

from orchestrator.runtime.values import Answer, Cluster, Question
from planners.asking import CLOSEST, HOW, pooled, prompt, uncertain


def vote(claim: str | None, undecided: str | None = None, **counts: int) -> Answer:
    clusters = tuple(Cluster(name, count) for name, count in counts.items())
    total = sum(counts.values())
    entropy = -sum(each.count / total * math.log(each.count / total) for each in clusters) if total else None
    return Answer(f"so {claim}", claim, entropy=entropy, clusters=clusters, undecided=undecided)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer("one call"), ""),
        (vote("a", a=3), ""),
        (vote("a", a=5, b=3), ""),
        (vote("a", a=4, b=4), "4 of 8 agree"),
        (vote("a", a=3, b=3, c=2), "3 of 8 agree"),
        (vote(None, "cut off"), "cut off"),
    ],
)
def test_when_an_answer_is_uncertain(answer: Answer, why: str) -> None:
    assert uncertain(answer) == why


def test_two_votes_are_one() -> None:
    both = pooled(vote("x", x=1, y=1), vote("y", y=2, z=1))
    assert (both.text, both.claim) == ("so y", "y")
    assert both.clusters == (Cluster("y", 3), Cluster("x", 1), Cluster("z", 1))
    assert both.confidence == pytest.approx(0.6)
    assert both.entropy == pytest.approx(vote("y", y=3, x=1, z=1).entropy)


def test_of_equal_clusters_the_first_wins_and_a_vote_without_claims_adds_nothing() -> None:
    assert pooled(vote("x", x=1), vote("y", y=1)).claim == "x"
    assert pooled(vote(None, "cut off"), vote("y", y=2)).claim == "y"
    assert pooled(vote(None, "cut off"), vote("y", y=2)).undecided is None
    assert pooled(vote(None, "cut off"), vote(None, "refused")).undecided is not None


def test_a_prompt_goes_from_what_is_shared_to_what_is_not() -> None:
    system, user = prompt(Question("whole", "the material"), "part?", {'f("x")': "1 </result>", "hint": ""})
    told = "".join(str(part) for part in user.parts)
    assert system.role == "system"
    assert told == (
        "<material>\nthe material\n</material>\n"
        '<result>\nf("x") = 1 &lt;/result>\n</result>\n<result>\nhint\n</result>\n'
        f"<question>\npart?\n</question>\n{HOW}"
    )


def test_a_prompt_shows_the_closest_passage_again() -> None:
    question = Question("whole", "Ann is 30.\n\nBob </passage> is 45.\n\nCyd is 7.")
    told = "".join(str(part) for part in prompt(question, "How old is Bob?", {})[1].parts)
    assert told.endswith(
        f"</material>\n{CLOSEST}<passage>\nBob &lt;/passage> is 45.\n</passage>\n"
        f"<question>\nHow old is Bob?\n</question>\n{HOW}"
    )
