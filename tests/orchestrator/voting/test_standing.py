"""What explains the answer of a vote: one branch for each answer, and who agrees."""

from __future__ import annotations

import pytest

from orchestrator.consensus.entropy import Entropy
from orchestrator.runtime.values import Answer
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from orchestrator.voting.standing import agreement, basis, shows_steps
from planners.vote import vote
from storage.opening import open_store
from workers.engines.simulator.engine import Simulator

BARE = r"\boxed{72}"
SHORT = "48 / 2 = 24.\n48 + 24 = 72.\n\\boxed{72}"
LONG = "In April she sold 48 clips. In May, half as many: 24.\nIn all 48 + 24 = 72 clips.\n\\boxed{72}"
OTHER = "48 * 2 = 96.\n\\boxed{96}"


async def solved(said: dict[str, int], **options: object) -> tuple[Solution, Answer]:
    request = TaskRequest(query="x", planner="vote", options={"rule": "fixed:6", **options}, seed=5)
    async with await open_store("memory") as store:
        service = Service(store, Simulator({"x": said}), planners={"vote": vote})
        solution = await service.solve(request)
        replayed = await service.replay(solution.trace_id)
        assert replayed.result.answer is not None
        return solution, replayed.result.answer


@pytest.mark.parametrize("said", [{BARE: 1, SHORT: 1, LONG: 1}, {LONG: 2, SHORT: 1}, {SHORT: 1}])
async def test_the_shortest_text_that_shows_steps_stands_for_an_answer(said: dict[str, int]) -> None:
    solution, _ = await solved(said)
    assert solution.answer == "72"
    assert solution.reasoning == (SHORT if SHORT in said else LONG)


async def test_where_no_branch_shows_steps_the_longest_text_stands() -> None:
    solution, _ = await solved({BARE: 1, r"So it is \boxed{72}": 1})
    assert solution.reasoning == r"So it is \boxed{72}"


async def test_who_disagrees_is_told_with_what_one_of_them_says() -> None:
    solution, _ = await solved({SHORT: 3, OTHER: 1})
    counts = {cluster.claim: cluster.count for cluster in solution.clusters}
    assert counts.keys() == {"72", "96"}
    (other,) = solution.dissent
    assert (other.claim, other.count) in counts.items()
    assert other.claim != solution.answer
    assert other.text == {"72": SHORT, "96": OTHER}[other.claim]
    assert "of 6 branches agree" in solution.trust


async def test_a_replay_explains_the_answer_in_the_same_way() -> None:
    solution, again = await solved({SHORT: 2, LONG: 2, BARE: 1, OTHER: 1})
    assert again.reasoning == solution.reasoning
    assert [(each.claim, each.count, each.text) for each in again.dissent] == [
        (each.claim, each.count, each.text) for each in solution.dissent
    ]
    assert again.basis is not None
    assert again.basis in solution.trust


async def test_branches_without_an_answer_are_counted_as_such() -> None:
    solution, _ = await solved({SHORT: 3, "": 1})
    silent = 6 - sum(cluster.count for cluster in solution.clusters)
    assert silent
    assert f"{6 - silent} of 6 branches agree, {silent} gave no answer" in solution.trust


async def test_a_merge_that_is_no_count_is_named() -> None:
    solution, _ = await solved({SHORT: 1, LONG: 1, OTHER: 1}, merge="medoid")
    assert solution.trust.removeprefix("unsure: ").startswith("the text that shares most with the others; ")
    assert solution.reasoning == solution.text


def test_agreement_in_words() -> None:
    assert agreement(4, 4) == "all 4 branches agree"
    assert agreement(2, 2) == "both branches agree"
    assert agreement(1, 1) == "one answer, not compared with others"
    assert agreement(1, 3) == "1 of 3 branches gave it"
    assert agreement(3, 5, what="readings") == "3 of 5 readings agree"
    assert agreement(3, 3, silent=2) == "3 of 5 branches agree, 2 gave no answer"


def test_agreement_that_says_nothing_is_told_as_such() -> None:
    copies = Entropy(None, (4,), 0, "all completions are byte-identical, as from a cache")
    assert basis("majority", 4, copies) == (
        "all 4 branches agree, but all completions are byte-identical, as from a cache"
    )


def test_steps_are_what_comes_before_the_last_line_or_sentence() -> None:
    assert shows_steps(SHORT)
    assert shows_steps("Half is 24. So 72.")
    assert not shows_steps(BARE)
    assert not shows_steps("\n72\n")


def test_one_sure_look_says_so() -> None:
    one, none = Entropy(None, (1,), 0), Entropy(None, (), 1)
    assert basis("majority", 1, one, sure=0.978) == "one answer; the model was 97 % sure of it"
    assert basis("majority", 1, one, sure=1.0) == "one answer; the model was 99 % sure of it"
    assert basis("majority", 1, one) == "one answer, not compared with others"
    assert basis("majority", 0, none) == "no short answer was found"
