from __future__ import annotations

import math
from random import Random

import pytest

from orchestrator.consensus.reliability import Given, Reliability, reliabilities


def answers(voter: str, right: int, wrong: int, wrongs: int = 1) -> list[list[Given]]:
    """A question for each answer; wrong ones are so many different ones in turns."""
    told = [Given(voter, "right", True)] * right
    return [[each] for each in (*told, *(Given(voter, f"wrong {at % wrongs}", False) for at in range(wrong)))]


def test_a_voter_weighs_the_log_odds_of_its_answers() -> None:
    """No two answers to one question are known here, so that there are two wrong ones, one over a half."""
    found = reliabilities([*answers("good", 30, 8), *answers("poor", 18, 20)])
    assert found["good"] == Reliability(30, 38, round(math.log(2 * 31 / 9), 3))
    assert found["poor"] == Reliability(18, 38, round(math.log(2 * 19 / 21), 3))


def test_wrong_answers_that_seldom_coincide_make_every_answer_count() -> None:
    apart = [[Given("a", "wrong 1", False), Given("b", "wrong 2", False)]] * 30
    alike = [[Given("a", "wrong", False), Given("b", "wrong", False)]] * 30
    right = [[Given("a", "right", True), Given("b", "right", True)]] * 15
    assert reliabilities([*apart, *right])["a"].weight == pytest.approx(math.log(32 * 16 / 31), abs=0.001)
    assert reliabilities([*alike, *right])["a"].weight is None  # it is more often this wrong one than right


def test_of_few_answers_nothing_is_said() -> None:
    assert reliabilities(answers("few", 19, 0)) == {"few": Reliability(19, 19, None)}
    assert reliabilities([]) == {}


def test_a_vote_by_these_weights_is_right_more_often_than_one_of_equals() -> None:
    rng = Random(0)
    sure = {"expert": 0.95, "one": 0.6, "two": 0.6}

    def asked() -> list[Given]:
        return [
            Given(voter, "right" if right else rng.choice(["wrong 1", "wrong 2"]), right)
            for voter, share in sure.items()
            for right in [rng.random() < share]
        ]

    weights = {
        voter: each.weight or 0.0 for voter, each in reliabilities([asked() for _ in range(300)]).items()
    }
    won = {"weighed": 0, "equal": 0}
    for _ in range(1000):
        given = asked()
        for how, votes in (("weighed", weights), ("equal", dict.fromkeys(sure, 1.0))):
            total: dict[str, float] = {}
            for each in given:
                total[each.answer] = total.get(each.answer, 0.0) + votes[each.voter]
            won[how] += max(total, key=lambda answer: total[answer]) == "right"
    assert won["weighed"] > won["equal"] + 50
