from __future__ import annotations

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Budget, Cluster, Question
from orchestrator.voting.ballot import Merge
from planners.vote import vote
from tests.orchestrator.runtime.saying import Saying
from tests.planners.conftest import play
from tests.workers.virtual_time import virtual_time
from workers.calls import Chunk, FinishReason, Usage
from workers.engines.simulator.engine import CostModel, Fault, Simulator, sampled


async def test_the_branches_agree_and_the_answer_says_how_many() -> None:
    played = await play(vote, "What is 24 + 48?", Simulator(r"24 + 48 = 72, so \boxed{72}."), n=5)
    assert played.answer.claim == "72"
    assert played.answer.confidence == 1.0
    assert played.answer.entropy == 0.0
    assert played.verdicts("elastic")[-1] == "stop: agreed"


async def test_a_majority_wins_and_the_minority_is_counted() -> None:
    script = [r"\boxed{7}", r"\boxed{8}", r"\boxed{7}", r"\boxed{7}", r"\boxed{8}"]
    played = await play(vote, "How many?", Simulator(script), n=5, rule="fixed")
    assert played.answer.claim == "7"
    assert played.answer.clusters == (Cluster("7", 3), Cluster("8", 2))
    assert played.answer.confidence == pytest.approx(0.6)


@virtual_time
async def test_once_they_agree_the_rest_is_cancelled_at_the_engine() -> None:
    cost = CostModel(latency=1.0, decode_tokens_per_s=50, jitter=1.0)
    engine = Simulator("A long way to go, step by step. " * 20 + r"\boxed{4}", cost=cost, seed=3)
    played = await play(vote, "What is 2 + 2?", engine, n=8, rule="beta")
    counters = engine.counters()
    assert played.answer.claim == "4"
    assert counters.started == 8
    assert counters.aborted > 0
    assert counters.finished + counters.aborted == 8
    assert played.result.spent.cancelled_tokens > 0


async def test_the_letter_of_a_choice_is_what_is_voted_on() -> None:
    question = Question("Which river is longest?", choices=("Rhine", "Nile", "Po"))
    answers = sampled({r"The Nile: \boxed{B}": 8, r"I take \text{A}, \boxed{A}": 1})
    played = await play(vote, question, Simulator(answers), n=9, rule="fixed")
    assert played.answer.claim == "B"
    asked, task = (text for _, text in played.prompts()[0][-2:])
    assert asked.endswith("A. Rhine\nB. Nile\nC. Po\n</question>\n")
    assert "letter of the right choice" in task


async def test_branches_have_one_prompt_and_different_seeds() -> None:
    played = await play(vote, "How many?", Simulator(r"\boxed{1}"), n=4, rule="fixed")
    requests = played.requests("branch")
    assert len({request["key"] for request in requests}) == 1
    assert len({request["seed"] for request in requests}) == 4


async def test_failed_branches_are_no_votes() -> None:
    engine = Simulator(r"\boxed{5}", faults=[Fault(kind="reset", calls={0, 2}, after_tokens=1)])
    played = await play(vote, "How many?", engine, n=4, rule="fixed")
    assert played.answer.claim == "5"
    assert played.answer.clusters == (Cluster("5", 2),)


async def test_no_branch_at_all_is_a_typed_failure() -> None:
    played = await play(vote, "How many?", Simulator(faults=[Fault(kind="refuse")]), n=3)
    assert played.failure == "engine_unavailable"


@virtual_time
async def test_a_branch_that_hangs_does_not_keep_the_others_from_agreeing() -> None:
    engine = Simulator(r"\boxed{5}", faults=[Fault(kind="hang", calls={1})])
    played = await play(vote, "How many?", engine, n=5)
    assert played.answer.claim == "5"
    assert engine.counters().aborted >= 1


async def test_a_budget_of_calls_ends_it_with_the_best_answer_so_far() -> None:
    budget = Budget(calls=3)
    played = await play(vote, "How many?", Simulator(r"\boxed{5}"), n=5, rule="fixed", budget=budget)
    assert played.result.limit == "calls"


@virtual_time
async def test_few_branches_start_and_more_where_they_disagree() -> None:
    cost = CostModel(latency=1.0, jitter=1.0)
    for answers, most in ((r"\boxed{4}", 4), (sampled({r"\boxed{4}": 1, r"\boxed{5}": 1}), 8)):
        engine = Simulator(answers, cost=cost, seed=3)
        await play(vote, "What is 2 + 2?", engine, n=8)
        assert engine.counters().started == most


async def test_a_rule_with_a_deadline_is_woken_and_stops_with_what_it_has() -> None:
    engine = Simulator(r"\boxed{4}", faults=[Fault(kind="hang", calls={1, 2})])
    played = await play(vote, "What is 2 + 2?", engine, n=3, rule="any(fixed; deadline:0.3)")
    assert played.answer.claim == "4"
    assert played.verdicts("any(fixed")[-1] == "stop: deadline"
    assert engine.counters().aborted == 2


async def test_a_rule_may_bring_its_own_width() -> None:
    played = await play(vote, "How many?", Simulator(r"\boxed{5}"), n=2, rule="fixed:6")
    assert len(played.nodes(NodeKind.GENERATE)) == 6


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"n": 0}, "greater than or equal to 1"),
        ({"n": "many"}, "valid integer"),
        ({"rule": "fixed:999999"}, "more than 1024"),
        ({"rule": "gut feeling"}, "no rule is called"),
        ({"rule": "beta:2"}, "threshold must"),
        ({"temperature": 3}, "less than or equal to 2"),
        ({"width": 3}, "its options: n, rule"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        vote.validate(options)


@pytest.mark.parametrize("reason", ["refused", "abort", "length"])
async def test_a_branch_that_was_not_finished_abstains(reason: FinishReason) -> None:
    unfinished = Chunk(r"\boxed{8}", 1, finish_reason=reason)
    engine = Saying(unfinished, then=[unfinished, *[Chunk(r"\boxed{7}", 1, finish_reason="stop")] * 3])
    played = await play(vote, "How many?", engine, n=5, rule="fixed")
    assert played.answer.claim == "7"
    assert played.answer.clusters == (Cluster("7", 3),)


@pytest.mark.parametrize("merge", ["majority", "medoid"])
async def test_the_text_of_the_answer_comes_without_the_thinking(merge: Merge) -> None:
    engine = Simulator(r"<think>\boxed{8}? No.</think>It is \boxed{7}.")
    played = await play(vote, "How many?", engine, n=3, rule="fixed", merge=merge)
    assert (played.answer.text, played.answer.claim) == (r"It is \boxed{7}.", "7")


async def test_a_fragment_is_not_the_completion_in_the_middle() -> None:
    said = [Chunk("one two three", 1, finish_reason="length")] * 2
    engine = Saying(said[0], then=[said[1], *[Chunk(r"four \boxed{4}", 1, finish_reason="stop")] * 2])
    played = await play(vote, "How many?", engine, n=4, rule="fixed", merge="medoid")
    assert played.answer.text == r"four \boxed{4}"


async def test_a_synthesis_that_is_cut_off_is_not_the_answer() -> None:
    ends = [Chunk(rf"\boxed{{{each}}}", 1, finish_reason="stop") for each in (7, 8)]
    engine = Saying(ends[0], then=[*ends[1:], Chunk("All in all,", 1, finish_reason="length")])
    played = await play(vote, "How many?", engine, n=2, rule="fixed", merge="synthesis")
    assert played.verdicts("merge")[0] == "synthesis failed"
    assert played.answer.claim == "7"


async def test_a_synthesis_that_only_thinks_is_not_the_answer() -> None:
    ends = [Chunk(rf"\boxed{{{each}}}", 1, finish_reason="stop") for each in (7, 8)]
    engine = Saying(ends[0], then=[*ends[1:], Chunk("<think>All in all", 1, finish_reason="stop")])
    played = await play(vote, "How many?", engine, n=2, rule="fixed", merge="synthesis")
    assert played.verdicts("merge")[0] == "synthesis failed"
    assert (played.answer.claim, played.answer.text) == ("7", r"\boxed{7}")


async def test_a_synthesis_of_fragments_alone_is_undecided() -> None:
    cut = [Chunk(f"First we take {each}", 1, finish_reason="length") for each in (7, 8, 9)]
    engine = Saying(cut[0], then=[*cut[1:], Chunk(r"\boxed{7}", 1, finish_reason="stop")])
    played = await play(vote, "How many?", engine, n=3, rule="fixed", merge="synthesis")
    assert played.verdicts("merge") == ["synthesis"]
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_thinking_is_not_the_completion_in_the_middle() -> None:
    said = [Chunk("<think>one two three", 1, finish_reason="stop")] * 2
    engine = Saying(said[0], then=[said[1], *[Chunk(r"four \boxed{4}", 1, finish_reason="stop")] * 2])
    played = await play(vote, "How many?", engine, n=4, rule="fixed", merge="medoid")
    assert played.answer.text == r"four \boxed{4}"


async def test_texts_of_which_most_only_think_are_undecided() -> None:
    said = [Chunk("<think>one two three", 1, finish_reason="stop")] * 2
    engine = Saying(said[0], then=[said[1], Chunk("A river.", 1, finish_reason="stop")])
    played = await play(vote, "How many?", engine, n=3, rule="fixed", merge="medoid")
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_thinking_apart_that_uses_up_a_segment_is_not_begun_again() -> None:
    engine = Saying(Chunk(reasoning="hm " * 9, tokens=9, finish_reason="length", usage=Usage(5, 0, 9, 9)))
    played = await play(vote, "How many?", engine, n=1, rule="parallel_probe", segment=9, max_tokens=90)
    assert len(played.nodes(NodeKind.GENERATE)) == 1
