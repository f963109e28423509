from __future__ import annotations

import pytest

from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.values import Answer, Cluster, Spent
from orchestrator.tasks.trust import is_unsure, trust_in
from orchestrator.voting.splitting import unless_split

VOTED = Answer("so 72", "72", 0.75, 0.5, (Cluster("72", 3), Cluster("96", 1)))


def result(
    answer: Answer | None, outcome: RunOutcome = RunOutcome.ANSWERED, limit: str | None = None
) -> Result:
    return Result(outcome, answer, Spent(), limit=limit)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Answer("It is Paris.", "Paris"), "one answer, not compared with others"),
        (Answer("Roses are red, …"), ""),
        (VOTED, "3 of 4 branches agree"),
        (Answer("x", "x", clusters=(Cluster("x", 2),)), "both branches agree"),
        (Answer("x", "y", clusters=(Cluster("x", 2),)), "one answer, not compared with others"),
        (Answer("7", "7", basis="computed in the last of 4 steps"), "computed in the last of 4 steps"),
        (Answer("x", basis="two\nlines"), "two lines"),
    ],
)
def test_the_line_says_what_the_answer_rests_on(answer: Answer, line: str) -> None:
    assert trust_in(result(answer), None) == line
    assert not is_unsure(result(answer), None)


def test_how_often_answers_like_it_were_right_is_said_where_it_is_known() -> None:
    line = trust_in(result(VOTED), 0.94, "answers like this were right in 47 of 50 questions")
    assert line == "3 of 4 branches agree; answers like this were right in 47 of 50 questions"


def test_what_is_known_of_answers_like_it_counts_more_than_a_majority() -> None:
    split = Answer("so 72", "72", clusters=(Cluster("72", 2), Cluster("9", 2)), doubtful=True)
    assert trust_in(result(split), None) == "unsure: 2 of 4 branches agree"
    assert is_unsure(result(split), 0.4)
    assert is_unsure(result(VOTED), 0.5), "wrong as often as right"
    assert not is_unsure(result(split), 0.8)
    assert trust_in(result(VOTED), 0.31, "rarely right") == "unsure: 3 of 4 branches agree; rarely right"


def test_an_undecided_answer_is_unsure_for_its_reason() -> None:
    undecided = Answer("", undecided="the answer was cut off", basis="3 of 3 agree")
    assert trust_in(result(undecided, RunOutcome.UNDECIDED), None) == "unsure: the answer was cut off"


def test_a_split_vote_says_how_many_agree() -> None:
    votes = Answer(
        "72", "72", clusters=tuple(Cluster(claim, 2) for claim in ("72", "9")), basis="2 of 4 agree"
    )
    undecided = unless_split(votes)
    assert undecided.undecided
    assert trust_in(result(undecided, RunOutcome.UNDECIDED), None) == "unsure: 2 of 4 agree"


def test_a_text_that_was_ended_early_says_only_that() -> None:
    line = trust_in(result(Answer("Roses are red, …"), RunOutcome.LIMITED, "tokens"), None)
    assert line == "the run was ended early (tokens)"


def test_a_run_that_was_ended_early_says_so() -> None:
    line = trust_in(result(VOTED, RunOutcome.LIMITED, "tokens"), None)
    assert line == "3 of 4 branches agree; the run was ended early (tokens)"


def test_a_reason_that_counts_one_is_put_plainly() -> None:
    why = "1 of 1 branches gave no answer: 1 without an answer that can be used"
    told = trust_in(result(Answer("", undecided=why), RunOutcome.UNDECIDED), None)
    assert told == "unsure: no answer was given: without an answer that can be used"
